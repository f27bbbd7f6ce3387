package main

// Registers of the tiles of Rows and Outer; those between are pointers.
const (
	neonCall    = general(0)
	neonPointer = general(1) // the first
	neonB       = general(15)
	neonLeft    = general(16)
	neonSkip    = general(17)
	neonCount   = general(19)
	neonLength  = general(20)
	neonOffsets = general(21)
	neonBits    = general(22)
	neonAdd     = general(23)
	neonBase    = general(24)
)

const callDeclaration = "(call *byte)"

// neonRows writes the tiles of Rows, of every width and height. As the
// instructions multiply by one lane of a vector, four elements of each row of A
// are loaded at once.
func neonRows(t *text) {
	for width := 1; width < len(neon.rows); width++ {
		for rows := 1; rows <= neon.rows[width]; rows++ {
			t.rowsTile(width, rows)
		}
	}
}

func (t *text) rowsTile(width, rows int) {
	t.function(rowsName(neon, width, rows), callDeclaration, 16*width*rows, 8)
	t.op("MOVD", "call+0(FP)", neonCall)
	t.op("MOVD", at(neonCall, rowsMask), neonBits)
	t.rowsBegin(width, rows)

	// A pointer to each row.
	t.op("MOVD", at(neonCall, rowsA), neonBase)
	t.op("MOVD", at(neonCall, rowsAOffsets), neonOffsets)
	for row := range rows {
		t.rowPointer(neonPointer + general(row))
	}
	t.op("MOVD", at(neonCall, rowsB), neonB)
	t.op("MOVD", at(neonCall, rowsLength), neonLength)
	t.op("MOVD", at(neonCall, rowsSkip), neonSkip)
	t.op("MOVD", at(neonCall, rowsSegments), neonCount)

	segment, loop, rest, restLoop, next := t.newLabel("segment"), t.newLabel("loop"), t.newLabel("rest"), t.newLabel("restLoop"), t.newLabel("next")
	t.label(segment)
	t.op("SUBS", 16, neonLength, neonLeft)
	t.op("BLT", rest)
	t.label(loop)
	t.rowsStep(width, rows, 4)
	t.op("SUBS", 16, neonLeft)
	t.op("BGE", loop)
	t.label(rest)
	t.op("ADDS", 16, neonLeft)
	t.op("BEQ", next)
	t.label(restLoop)
	t.rowsStep(width, rows, 1)
	t.op("SUBS", 4, neonLeft)
	t.op("BNE", restLoop)
	t.label(next)
	for row := range rows {
		t.op("ADD", neonSkip, neonPointer+general(row))
	}
	t.op("SUBS", 1, neonCount)
	t.op("BNE", segment)

	t.op("MOVD", at(neonCall, rowsC), neonBase)
	t.op("MOVD", at(neonCall, rowsCOffsets), neonOffsets)
	t.op("MOVD", at(neonCall, rowsAdd), neonAdd)
	t.store(width, rows, func() { t.rowPointer(neonPointer) })
}

// rowsBegin sets the sums to the initial row, or zero.
func (t *text) rowsBegin(width, rows int) {
	zero, full, copies, begun := t.newLabel("zero"), t.newLabel("full"), t.newLabel("copies"), t.newLabel("begun")
	t.op("MOVD", at(neonCall, rowsInitial), neonBase)
	t.op("CBZ", neonBase, zero)
	last := vector(width - 1)
	t.op("TBNZ", 3, neonBits, full)
	t.loadRow(0, width-1, neonBase, false)
	t.loadPart(neonBase, 16*int(last), last, vector(width*rows), neonBits)
	t.op("B", copies)
	t.label(full)
	t.loadRow(0, width, neonBase, false)
	t.label(copies)
	for i := width; i < width*rows; i++ {
		t.op("VMOV", vector(i%width).bytes(), vector(i).bytes())
	}
	t.op("B", begun)
	t.label(zero)
	for i := range width * rows {
		t.zero(vector(i))
	}
	t.label(begun)
}

// rowPointer reads the next offset and points to that element of the base.
func (t *text) rowPointer(to general) {
	t.op("MOVW.P", at(neonOffsets, 4), to)
	t.line("\tADD\t%v<<2, %v, %v", to, neonBase, to)
}

// rowsStep multiplies the next elements of each row, one or four, by as many
// rows of the packed columns.
func (t *text) rowsStep(width, rows, elements int) {
	columns := vector(width * rows)
	element := columns + vector(width)
	for row := range rows {
		if elements == 4 {
			t.op("FMOVQ.P", at(neonPointer+general(row), 16), (element + vector(row)).scalar())
		} else {
			t.op("FMOVS.P", at(neonPointer+general(row), 4), (element + vector(row)).scalar())
		}
	}
	for k := range elements {
		t.loadRow(columns, width, neonB, true)
		for row := range rows {
			for v := range width {
				t.fmaLane(vector(row*width+v), columns+vector(v), element+vector(row), k)
			}
		}
	}
}
