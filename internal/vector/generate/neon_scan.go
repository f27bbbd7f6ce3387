package main

// neonScan writes the tiles of Scan, of one query each.
func neonScan(t *text) {
	for _, k := range scanKinds {
		for _, queries := range k.tiles(neon) {
			t.scanTile(k, k.name(neon, queries))
		}
	}
}

// scanTile writes the loops over groups and units. A product of a code of 8 bits and a signed
// element has 16 bits.
func (t *text) scanTile(k scanKind, name string) {
	const (
		call, codes, base, first, queryStride, limits, near = general(0), general(1), general(2), general(3), general(4), general(5), general(6)
		nearStride, units, groups, query, left, number      = general(7), general(8), general(9), general(10), general(11), general(12)

		even, odd, evenCodes, oddCodes, limit, weights, low = vector(20), vector(21), vector(22), vector(23), vector(24), vector(25), vector(26)
		bits, pieces                                        = vector(27), vector(16) // pieces has four
	)
	sums := scanRows * k.unit / 16 // vectors
	t.function(name, callDeclaration, 0, 8)
	t.op("MOVD", "call+0(FP)", call)
	for _, field := range []struct {
		offset int
		to     general
	}{
		{scanCodes, codes}, {scanBase, base}, {scanQueries, first}, {scanQueryStride, queryStride}, {scanLimits, limits},
		{scanNear, near}, {scanNearStride, nearStride}, {scanUnits, units}, {scanGroups, groups},
	} {
		t.op("MOVD", at(call, field.offset), field.to)
	}
	// The bit of each row of a vector of sums.
	t.op("MOVD", 1|2<<32, number)
	t.line("\tVMOV\t%v, V%d.D[0]", number, weights)
	t.op("MOVD", 4|8<<32, number)
	t.line("\tVMOV\t%v, V%d.D[1]", number, weights)
	t.op("FMOVS", at(limits, 0), limit.scalar())
	t.op("VDUP", limit.lane(0), limit)
	t.op("VMOVI", 255, low.bytes())
	t.unary(shiftRight8, low, low)

	group := t.newLabel("group")
	t.label(group)
	if k.unit == 4 {
		t.loadRow(0, sums, base, true)
	} else {
		for i := range vector(sums) {
			t.zero(i)
		}
	}
	t.op("MOVD", first, query)
	t.op("MOVD", units, left)
	unit := t.newLabel("unit")
	t.label(unit)
	if k.unit == 4 {
		t.op("FMOVS", at(query, 0), odd.scalar())
		t.op("VDUP", odd.lane(0), odd)
		t.unary(shiftLeft8, odd, even)
		t.unary(shiftRightSigned8, even, even)
		t.unary(shiftRightSigned8, odd, odd)
	} else {
		t.op("FMOVD", at(query, 0), even.scalar())
		t.line("\tVDUP\tV%d.D[0], %s", even, even.doubles())
	}
	t.op("ADD", queryStride, query)
	for v := range vector(sums) {
		piece := pieces + v%4
		if v%4 == 0 {
			t.loadRow(pieces, 4, codes, true)
		}
		if k.unit == 4 {
			t.vectors(and, low, piece, evenCodes)
			t.unary(shiftRight8, piece, oddCodes)
			t.vectors(multiply16, even, evenCodes, evenCodes)
			t.vectors(multiply16, odd, oddCodes, oddCodes)
			t.unary(addSignedPairs16, evenCodes, v)
			t.unary(addSignedPairs16, oddCodes, v)
		} else {
			t.vectors(difference8, even, piece, piece)
			t.unary(sumPairs8, piece, piece)
			t.unary(addPairs16, piece, v)
		}
	}
	t.op("SUBS", 1, left)
	t.op("BNE", unit)

	if k.unit == 8 { // two sums of each row
		for v := range vector(sums / 2) {
			t.vectors(addPairs32, 2*v, 2*v+1, v)
		}
	}
	t.zero(bits)
	for v := vector(scanRows/4) - 1; v >= 0; v-- {
		if k.unit == 4 {
			t.vectors(atLeast32, v, limit, v)
		} else {
			t.vectors(atLeast32, limit, v, v)
		}
		t.vectors(and, weights, v, v)
		t.unary(shiftLeft4, bits, bits)
		t.vectors(add32, v, bits, bits)
	}
	t.vectors(addPairs32, bits, bits, bits)
	t.vectors(addPairs32, bits, bits, bits)
	t.op("FMOVS", bits.scalar(), at(near, 0))
	t.op("ADD", nearStride, near)
	t.op("SUBS", 1, groups)
	t.op("BNE", group)
	t.op("RET")
}
