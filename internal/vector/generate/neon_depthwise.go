package main

// The registers of the tiles of Depthwise; see depthwise.go.
const (
	neonDepthwiseX = general(1 + iota)
	neonDepthwiseY
	neonDepthwiseW
	neonDepthwiseInitial
	neonDepthwiseVectors
	neonDepthwisePixel
	neonDepthwiseTap
	neonDepthwiseRow
	neonDepthwiseTaps
	neonDepthwiseRows
	neonDepthwiseAt
	neonDepthwiseApart
	neonDepthwiseXRow
	neonDepthwiseWSkip
	neonDepthwiseLines
	neonDepthwiseOffset
)

// neonDepthwise writes the tiles of Depthwise and DepthwiseGradient.
func neonDepthwise(t *text) {
	for _, tile := range depthwiseTiles() {
		t.depthwiseTile(tile, false)
		t.depthwiseTile(tile, true)
	}
}

func (t *text) depthwiseTile(tile depthwiseTile, gradient bool) {
	t.function(tile.name(neon, gradient), callDeclaration, 0, 8)
	t.op("MOVD", "call+0(FP)", neonCall)
	field := func(offset int, to general) { t.op("MOVD", at(neonCall, offset), to) }
	result := func(i int) vector { return vector(i) }
	column := func(i int) vector { return vector(tile.results + i) }
	loaded := func(i int) vector { // in turn, so that loads need not wait for products
		first := tile.results + tile.columns
		return vector(first + i%(32-first))
	}
	// load and store move the address by the distance in a register.
	load := func(v vector, from, distance general) { t.line("\tVLD1.P\t(%v)(%v), [%v]", from, distance, v) }
	store := func(v vector, to, distance general) { t.line("\tVST1.P\t[%v], (%v)(%v)", v, to, distance) }
	eachResult := func(from general, distance int, visit func(v vector, at, apart general)) {
		t.op("MOVD", from, neonDepthwiseAt)
		field(distance, neonDepthwiseApart)
		for i := range tile.results {
			visit(result(i), neonDepthwiseAt, neonDepthwiseApart)
		}
	}
	begin := func(pointer, offset int, to general) {
		field(pointer, to)
		field(offset, neonDepthwiseOffset)
		t.op("ADD", neonDepthwiseOffset, to)
	}

	line, channels, down := t.newLabel("line"), t.newLabel("channels"), t.newLabel("down")
	field(depthwiseXPixel, neonDepthwisePixel)
	field(depthwiseWTap, neonDepthwiseTap)
	field(depthwiseXRow, neonDepthwiseXRow)
	field(depthwiseWSkip, neonDepthwiseWSkip)
	field(depthwiseLines, neonDepthwiseLines)
	t.label(line)
	begin(depthwiseX, depthwiseXLineAt, neonDepthwiseX)
	begin(depthwiseY, depthwiseYLineAt, neonDepthwiseY)
	field(depthwiseW, neonDepthwiseW)
	if !gradient {
		begin(depthwiseInitial, depthwiseInitialLineAt, neonDepthwiseInitial)
	}
	field(depthwiseVectors, neonDepthwiseVectors)
	t.label(channels)
	if gradient {
		eachResult(neonDepthwiseY, depthwiseYPixel, load)
	} else {
		eachResult(neonDepthwiseInitial, depthwiseInitialPixel, load)
	}
	t.op("MOVD", neonDepthwiseX, neonDepthwiseRow)
	t.op("MOVD", neonDepthwiseW, neonDepthwiseTaps)
	field(depthwiseRows, neonDepthwiseRows)
	t.label(down)
	for i := range tile.columns {
		if gradient {
			t.zero(column(i))
		} else {
			load(column(i), neonDepthwiseTaps, neonDepthwiseTap)
		}
	}
	t.op("MOVD", neonDepthwiseRow, neonDepthwiseAt)
	for i := range tile.pixels() {
		load(loaded(i), neonDepthwiseAt, neonDepthwisePixel)
		tile.products(i, func(r, k int) {
			if gradient {
				t.op("VFMLA", loaded(i), result(r), column(k))
			} else {
				t.op("VFMLA", loaded(i), column(k), result(r))
			}
		})
	}
	if gradient {
		for i := range tile.columns {
			t.op("FMOVQ", at(neonDepthwiseTaps, 0), loaded(i).scalar())
			t.vectors(add, loaded(i), column(i), column(i))
			store(column(i), neonDepthwiseTaps, neonDepthwiseTap)
		}
	}
	t.op("ADD", neonDepthwiseXRow, neonDepthwiseRow)
	t.op("ADD", neonDepthwiseWSkip, neonDepthwiseTaps)
	t.op("SUBS", 1, neonDepthwiseRows)
	t.op("BNE", down)
	if !gradient {
		eachResult(neonDepthwiseY, depthwiseYPixel, store)
		t.op("ADD", 16, neonDepthwiseInitial)
	}
	for _, pointer := range []general{neonDepthwiseX, neonDepthwiseY, neonDepthwiseW} {
		t.op("ADD", 16, pointer)
	}
	t.op("SUBS", 1, neonDepthwiseVectors)
	t.op("BNE", channels)
	for _, each := range [][2]int{{depthwiseXLineAt, depthwiseXLine}, {depthwiseYLineAt, depthwiseYLine}, {depthwiseInitialLineAt, depthwiseInitialLine}} {
		field(each[0], neonDepthwiseAt)
		field(each[1], neonDepthwiseOffset)
		t.op("ADD", neonDepthwiseOffset, neonDepthwiseAt)
		t.op("MOVD", neonDepthwiseAt, at(neonCall, each[0]))
	}
	t.op("SUBS", 1, neonDepthwiseLines)
	t.op("BNE", line)
	t.op("RET")
}
