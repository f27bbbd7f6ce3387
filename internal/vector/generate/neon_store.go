package main

// store writes the sums of a tile to the rows of C, or adds them, and returns.
// next points the first pointer to the next row.
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

// storeRow stores vectors that follow each other.
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

// storePart is store for rows whose last vector counts in part: the sums go
// through the frame, and the last vector from there lane by lane.
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
