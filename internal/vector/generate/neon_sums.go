package main

// neonSums writes the sums of batch norm over rows of n channels, in float64.
// They stay in registers for as many channels as fit.
func neonSums(t *text) {
	t.columnSums("sumRows_neon", []string{"x"}, func(sum, _, x, _, _ vector) {
		t.vectors(add64, sum, x, sum)
	})
	t.columnSums("sumSquares_neon", []string{"x", "mean"}, func(sum, _, x, mean, _ vector) {
		t.vectors(subtract64, x, mean, x)
		t.fma64(x, x, sum)
	})
	t.columnSums("sumProducts_neon", []string{"x", "dy", "mean"}, func(sum, second, x, mean, dy vector) {
		t.vectors(subtract64, x, mean, x)
		t.fma64(dy, x, sum)
		t.vectors(add64, second, dy, second)
	})
}

// columnSums writes a function that adds what the body makes of each row to a
// row of n sums or, if there is dy, to two that follow each other.
func (t *text) columnSums(name string, arrays []string, body func(sum, second, x, mean, dy vector)) {
	const (
		stride, left, rows, nextX, nextDy, secondPointer = general(16), general(17), general(19), general(20), general(21), general(22)
		sum, second, x, mean, dy, narrow                 = vector(0), vector(4), vector(8), vector(12), vector(16), vector(20)
	)
	arguments := append([]string{"sum *float64"}, pointers32(arrays...)...)
	registers := t.begin(name, append(arguments, "n int", "rows int"), "")
	_, hasMean := registers["mean"]
	_, hasDy := registers["dy"]
	t.op("MOVD", registers["n"], left)
	t.op("LSL", 2, left, stride)
	t.line("\tADD\t%v<<1, %v, %v", stride, registers["sum"], secondPointer)
	t.inChunks(left, func(c chunk) {
		t.loadDoubles(c, sum, registers["sum"])
		t.op("MOVD", registers["x"], nextX)
		if hasMean {
			t.load(c, narrow, registers["mean"], true)
			t.widen(c, narrow, mean)
		}
		if hasDy {
			t.loadDoubles(c, second, secondPointer)
			t.op("MOVD", registers["dy"], nextDy)
		}
		t.op("MOVD", registers["rows"], rows)
		row := t.newLabel("row")
		t.label(row)
		t.load(c, narrow, nextX, false)
		t.op("ADD", stride, nextX)
		t.widen(c, narrow, x)
		if hasDy {
			t.load(c, narrow, nextDy, false)
			t.op("ADD", stride, nextDy)
			t.widen(c, narrow, dy)
		}
		for i := range vector(c.doubles()) {
			body(sum+i, second+i, x+i, mean+i, dy+i)
		}
		t.op("SUBS", 1, rows)
		t.op("BNE", row)
		t.saveDoubles(c, sum, registers["sum"])
		t.op("ADD", 4*c.elements, registers["x"])
		if hasDy {
			t.saveDoubles(c, second, secondPointer)
			t.op("ADD", 4*c.elements, registers["dy"])
		}
	})
	t.op("RET")
}
