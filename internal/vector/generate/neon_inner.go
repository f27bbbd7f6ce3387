package main

// neonInner writes inner products in float64, as writeInner does. The elements of the rows are
// loaded two at a time, because the instructions multiply by one lane of a vector.
func neonInner(t *text) {
	rows, columns := neon.innerTile()
	vectors := columns / 2
	first := vector(rows * vectors) // of the columns, and after them the elements of the rows
	registers := t.begin("innerProducts_neon", []string{"c *float64", "stride int", "a *float64", "b *float64", "n int"}, "")
	c, stride, a, b, n := registers["c"], registers["stride"], registers["a"], registers["b"], registers["n"]
	const row = general(16)
	eachRow := func(body func(sums vector)) {
		t.op("MOVD", c, row)
		for i := range rows {
			body(vector(i * vectors))
			t.op("ADD", stride, row)
		}
	}
	eachRow(func(sums vector) { t.loadRow(sums, vectors, row, false) })
	loop := t.newLabel("loop")
	t.label(loop)
	elements := first + vector(vectors)
	t.loadRow(first, vectors, b, true)
	t.loadRow(elements, rows/2, a, true)
	for i := range rows {
		for v := range vector(vectors) {
			t.fmaLane64(vector(i*vectors)+v, first+v, elements+vector(i/2), i%2)
		}
	}
	t.op("SUBS", 1, n)
	t.op("BNE", loop)
	eachRow(func(sums vector) { t.storeRow(sums, vectors, row) })
	t.op("RET")
}
