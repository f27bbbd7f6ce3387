package main

// The registers of the tiles of Rows and Outer; those not named here are pointers.
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

// neonRows writes the tiles of Rows, of every width and height. Because the instructions
// multiply by one lane of a vector, four elements of each row of A are loaded at once.
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

// rowPointer loads the next offset and sets a pointer to that element of the base.
func (t *text) rowPointer(to general) {
	t.op("MOVW.P", at(neonOffsets, 4), to)
	t.line("\tADD\t%v<<2, %v, %v", to, neonBase, to)
}

// rowsStep multiplies the next elements of each row, one or four, by as many rows of the
// packed columns.
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

// neonOuter writes the tiles of Outer, of every width and height. A run of A is loaded into
// vectors, by whose lanes the instructions multiply.
func neonOuter(t *text) {
	for width := 1; width < len(neon.rows); width++ {
		for rows := 1; rows <= neon.rows[width]; rows++ {
			t.outerTile(width, rows)
		}
	}
}

func (t *text) outerTile(width, rows int) {
	t.function(outerName(neon, width, rows), callDeclaration, 16*width*rows, 8)
	t.op("MOVD", "call+0(FP)", neonCall)
	t.op("MOVD", at(neonCall, outerMask), neonBits)
	for i := range width * rows {
		t.zero(vector(i))
	}
	t.op("MOVD", at(neonCall, outerA), neonBase)
	t.op("MOVD", at(neonCall, outerAOffsets), neonOffsets)
	t.op("MOVD", at(neonCall, outerB), neonB)
	t.op("MOVD", at(neonCall, outerBOffsets), neonSkip)
	t.op("MOVD", at(neonCall, outerCount), neonCount)

	partLoop, loop, done := t.newLabel("partLoop"), t.newLabel("loop"), t.newLabel("done")
	t.op("TBZ", 3, neonBits, partLoop)
	t.label(loop)
	t.outerStep(width, rows, false)
	t.op("SUBS", 1, neonCount)
	t.op("BNE", loop)
	t.op("B", done)
	t.label(partLoop)
	t.outerStep(width, rows, true)
	t.op("SUBS", 1, neonCount)
	t.op("BNE", partLoop)
	t.label(done)

	t.op("MOVD", at(neonCall, outerC), neonBase)
	t.op("MOVD", at(neonCall, outerCStride), neonSkip)
	t.op("MOVD", at(neonCall, outerAdd), neonAdd)
	t.store(width, rows, func() {
		t.op("MOVD", neonBase, neonPointer)
		t.op("ADD", neonSkip, neonBase)
	})
}

// outerStep adds one outer product. With part, only some lanes of the last vector of B are
// used.
func (t *text) outerStep(width, rows int, part bool) {
	const run, columns = neonPointer, neonPointer + 1
	first := vector(width * rows)
	element, last := first+vector(width), first+vector(width-1)
	t.rowPointer(run)
	t.op("MOVW.P", at(neonSkip, 4), columns)
	t.line("\tADD\t%v<<2, %v, %v", columns, neonB, columns)
	if part {
		t.loadRow(first, width-1, columns, false)
		t.loadPart(columns, 16*(width-1), last, element, neonBits)
	} else {
		t.loadRow(first, width, columns, false)
	}
	for row, from := range t.loadRun(element, rows, run) {
		for v := range width {
			t.fmaLane(vector(row*width+v), first+vector(v), from.vector, from.lane)
		}
	}
}

// lane is a lane of a vector.
type lane struct {
	vector
	lane int
}

// loadRun loads consecutive elements, without reading beyond them, and returns the lane of
// each. If there are four or more, the last vector ends with the last element.
func (t *text) loadRun(to vector, count int, from general) []lane {
	var lanes []lane
	load := func(mnemonic string, first, elements int) {
		t.op(mnemonic, at(from, 4*first), to.scalar())
		for len(lanes) < first+elements {
			lanes = append(lanes, lane{to, len(lanes) - first})
		}
		to++
	}
	for i := 0; i < count; {
		switch left := count - i; {
		case count >= 4:
			load("FMOVQ", min(i, count-4), 4)
			i += 4
		case left >= 2:
			load("FMOVD", i, 2)
			i += 2
		default:
			load("FMOVS", i, 1)
			i++
		}
	}
	return lanes
}

// store writes the sums of a tile to the rows of C, or adds them, and returns.
// next sets the first pointer to the next row.
func (t *text) store(width, rows int, next func()) {
	part, write := t.newLabel("part"), t.newLabel("write")
	old := vector(width * rows)
	t.op("TBZ", 3, neonBits, part)
	t.op("CBZ", neonAdd, write)
	for row := range rows {
		next()
		t.loadRow(old, width, neonPointer, false)
		for v := range width {
			sum := vector(row*width + v)
			t.vectors(add, sum, old+vector(v), sum)
		}
		t.storeRow(vector(row*width), width, neonPointer)
	}
	t.op("RET")
	t.label(write)
	for row := range rows {
		next()
		t.storeRow(vector(row*width), width, neonPointer)
	}
	t.op("RET")
	t.label(part)
	t.storePart(width, rows, next)
}

// storeRow stores consecutive vectors.
func (t *text) storeRow(first vector, count int, to general) {
	for i := 0; i < count; i += 2 {
		from := first + vector(i)
		if i+1 == count {
			t.op("FMOVQ", from.scalar(), at(to, 16*i))
		} else {
			t.line("\tFSTPQ\t(%s, %s), %s", from.scalar(), (from + 1).scalar(), at(to, 16*i))
		}
	}
}

// storePart is store for rows of whose last vector only some lanes are inside the row: the
// sums are stored in the frame, and from there the last vector is stored lane by lane.
func (t *text) storePart(width, rows int, next func()) {
	const from, to, lanes, bits = neonB, neonPointer, neonLength, neonLeft
	const sum, old = vector(0), vector(1)
	t.line("\tMOVD\t$sums-%d(SP), %v", 16*width*rows, from)
	t.storeRow(0, width*rows, from)
	row, lane, write := t.newLabel("row"), t.newLabel("lane"), t.newLabel("write")
	t.op("MOVD", rows, neonCount)
	t.label(row)
	next()
	for range width - 1 {
		write := t.newLabel("write")
		t.op("FMOVQ.P", at(from, 16), sum.scalar())
		t.op("CBZ", neonAdd, write)
		t.op("FMOVQ", at(to, 0), old.scalar())
		t.vectors(add, sum, old, sum)
		t.label(write)
		t.op("FMOVQ.P", sum.scalar(), at(to, 16))
	}
	t.op("MOVD", from, lanes)
	t.op("MOVD", neonBits, bits)
	t.label(lane)
	t.op("FMOVS.P", at(lanes, 4), sum.scalar())
	t.op("CBZ", neonAdd, write)
	t.op("FMOVS", at(to, 0), old.scalar())
	t.op("FADDS", old.scalar(), sum.scalar())
	t.label(write)
	t.op("FMOVS.P", sum.scalar(), at(to, 4))
	t.op("LSR", 1, bits)
	t.op("CBNZ", bits, lane)
	t.op("ADD", 16, from)
	t.op("SUBS", 1, neonCount)
	t.op("BNE", row)
	t.op("RET")
}
