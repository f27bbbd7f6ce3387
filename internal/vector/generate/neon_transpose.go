package main

// neonTranspose writes the transpose of four columns of blocks times four rows.
// Strides are in bytes.
func neonTranspose(t *text) {
	registers := t.begin("transpose_neon", []string{"y *float32", "yStride int", "x *float32", "xStride int", "blocks int"}, "")
	y, yStride, x, xStride, blocks := registers["y"], registers["yStride"], registers["x"], registers["xStride"], registers["blocks"]
	const column, pairs, columns = general(16), vector(4), vector(8)
	loop := t.newLabel("loop")
	t.label(loop)
	for row := range vector(4) {
		t.op("FMOVQ", at(x, 0), row.scalar())
		t.op("ADD", xStride, x)
	}
	// Pairs of rows by pairs of elements, then pairs of those.
	for i := range vector(2) {
		t.op("VTRN1", 2*i+1, 2*i, pairs+2*i)
		t.op("VTRN2", 2*i+1, 2*i, pairs+2*i+1)
	}
	for i := range vector(2) {
		t.op("VTRN1", (pairs + 2 + i).doubles(), (pairs + i).doubles(), (columns + i).doubles())
		t.op("VTRN2", (pairs + 2 + i).doubles(), (pairs + i).doubles(), (columns + 2 + i).doubles())
	}
	t.op("MOVD", y, column)
	for i := range vector(4) {
		t.op("FMOVQ", (columns + i).scalar(), at(column, 0))
		t.op("ADD", yStride, column)
	}
	t.op("ADD", 16, y)
	t.op("SUBS", 1, blocks)
	t.op("BNE", loop)
	t.op("RET")
}
