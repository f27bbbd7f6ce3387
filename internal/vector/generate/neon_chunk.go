package main

// chunk is how many elements a loop takes at once: two vectors, one, or a single
// element, in the first lane of a vector whose other lanes are zero.
type chunk struct{ elements, vectors int }

var chunks = []chunk{{8, 2}, {4, 1}, {1, 1}}

// inChunks writes the loops over count elements, which are counted down: as
// many large chunks as there are, then smaller ones.
func (t *text) inChunks(count general, body func(chunk)) {
	for _, c := range chunks {
		loop, end := t.newLabel("loop"), t.newLabel("end")
		t.op("SUBS", c.elements, count)
		t.op("BLT", end)
		t.label(loop)
		body(c)
		t.op("SUBS", c.elements, count)
		t.op("BGE", loop)
		t.label(end)
		if c.elements > 1 {
			t.op("ADD", c.elements, count)
		}
	}
}

// load loads a chunk, and with advance moves the pointer behind it.
func (t *text) load(c chunk, first vector, from general, advance bool) {
	switch {
	case c.elements > 1:
		t.loadRow(first, c.vectors, from, advance)
	case advance:
		t.op("FMOVS.P", at(from, 4), first.scalar())
	default:
		t.op("FMOVS", at(from, 0), first.scalar())
	}
}

// save stores a chunk and moves the pointer behind it.
func (t *text) save(c chunk, from []vector, to general) {
	switch c.elements {
	case 1:
		t.op("FMOVS.P", from[0].scalar(), at(to, 4))
	case 4:
		t.op("FMOVQ.P", from[0].scalar(), at(to, 16))
	default:
		t.line("\tFSTPQ.P\t(%s, %s), %s", from[0].scalar(), from[1].scalar(), at(to, 32))
	}
}

// doubles is the number of vectors of a chunk as float64.
func (c chunk) doubles() int { return min(2*c.vectors, c.elements) }

// widen converts a chunk to float64.
func (t *text) widen(c chunk, from, to vector) {
	for i := range vector(c.doubles()) {
		if i%2 == 0 {
			t.unary(lower64, from+i/2, to+i)
		} else {
			t.unary(upper64, from+i/2, to+i)
		}
	}
}

// loadDoubles loads a chunk of float64.
func (t *text) loadDoubles(c chunk, first vector, from general) {
	if c.elements == 1 {
		t.op("FMOVD", at(from, 0), first.scalar())
		return
	}
	t.loadRow(first, c.doubles(), from, false)
}

// saveDoubles stores a chunk of float64 and moves the pointer behind it.
func (t *text) saveDoubles(c chunk, first vector, to general) {
	if c.elements == 1 {
		t.op("FMOVD.P", first.scalar(), at(to, 8))
		return
	}
	t.storeRow(first, c.doubles(), to)
	t.op("ADD", 8*c.elements, to)
}
