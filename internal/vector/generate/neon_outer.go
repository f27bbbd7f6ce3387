package main

// neonOuter writes the tiles of Outer, of every width and height. A run of A is
// loaded as vectors, whose lanes the instructions multiply by.
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

// outerStep adds one outer product. With part, the last vector of B counts in
// part.
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

// place is a lane of a vector.
type place struct {
	vector
	lane int
}

// loadRun loads elements that follow each other, nothing behind them, and tells
// where each lies: the last of four or more in a vector that ends with them.
func (t *text) loadRun(to vector, count int, from general) []place {
	var places []place
	load := func(mnemonic string, first, elements int) {
		t.op(mnemonic, at(from, 4*first), to.scalar())
		for len(places) < first+elements {
			places = append(places, place{to, len(places) - first})
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
	return places
}
