package main

// neonElements writes the loops over elements.
func neonElements(t *text) {
	for _, l := range []loop{
		{name: "add_neon", to: "y", elements: []string{"y", "x"}, body: func(in []vector) vector {
			t.vectors(add, in[0], in[1], in[0])
			return in[0]
		}},
		{name: "scale_neon", to: "y", elements: []string{"x"}, factor: true, body: func(in []vector) vector {
			t.vectors(multiply, in[0], neonFactor, in[0])
			return in[0]
		}},
		{name: "relu_neon", to: "y", elements: []string{"x"}, body: func(in []vector) vector {
			t.vectors(maximum, in[0], neonZero, in[0])
			return in[0]
		}},
		{name: "reluGradient_neon", to: "dx", elements: []string{"x", "dy"}, body: func(in []vector) vector {
			t.unary(atMostZero, in[0], in[0])
			t.vectors(andNot, in[1], in[0], in[1])
			return in[1]
		}},
		{name: "addDifference_neon", to: "dx", elements: []string{"dx", "x", "y"}, factor: true, body: func(in []vector) vector {
			t.vectors(subtract, in[1], in[2], in[1])
			t.op("VFMLA", neonFactor, in[1], in[0])
			return in[0]
		}},
	} {
		t.loop(l)
	}
}

// neonChannels writes the elementwise loops of batch normalization.
func neonChannels(t *text) {
	for _, l := range []loop{
		{name: "normalize_neon", to: "y", elements: []string{"x"}, channels: []string{"mean", "scale", "shift"}, body: func(in []vector) vector {
			x, mean, scale, shift := in[0], in[1], in[2], in[3]
			t.vectors(subtract, x, mean, x)
			t.op("VFMLA", scale, x, shift)
			return shift
		}},
		{name: "center_neon", to: "dx", elements: []string{"x", "dy"}, channels: []string{"mean", "scale", "along", "dyMean"}, body: func(in []vector) vector {
			x, dy, mean, scale, along, dyMean := in[0], in[1], in[2], in[3], in[4], in[5]
			t.vectors(subtract, x, mean, x)
			t.vectors(subtract, dy, dyMean, dy)
			t.op("VFMLS", along, x, dy)
			t.vectors(multiply, dy, scale, dy)
			return dy
		}},
		{name: "centerZero_neon", to: "dx", elements: []string{"x"}, channels: []string{"mean", "scale", "along", "dyMean"}, body: func(in []vector) vector {
			x, mean, scale, along, dyMean := in[0], in[1], in[2], in[3], in[4]
			t.vectors(subtract, x, mean, x)
			t.op("VFMLA", along, x, dyMean)
			t.unary(negate, scale, scale)
			t.vectors(multiply, dyMean, scale, dyMean)
			return dyMean
		}},
		{name: "scaleChannels_neon", to: "dx", elements: []string{"dy"}, channels: []string{"scale"}, body: func(in []vector) vector {
			t.vectors(multiply, in[0], in[1], in[0])
			return in[0]
		}},
	} {
		t.loop(l)
	}
}

// neonDistances writes the sums over n elements.
func neonDistances(t *text) {
	t.sum("dot_neon", []string{"x", "y"}, "float32", func(in []vector, sum vector) {
		t.op("VFMLA", in[0], in[1], sum)
	})
	t.sum("squaredDistance_neon", []string{"x", "y"}, "float64", func(in []vector, sum vector) {
		t.halves(in, sum, func(in []vector, sum vector) {
			t.vectors(subtract64, in[0], in[1], in[0])
			t.fma64(in[0], in[0], sum)
		})
	})
	t.sum("absoluteDistance_neon", []string{"x", "y"}, "float64", func(in []vector, sum vector) {
		t.halves(in, sum, func(in []vector, sum vector) {
			t.vectors(difference64, in[0], in[1], in[0])
			t.vectors(add64, sum, in[0], sum)
		})
	})
	t.sum("weightedDistance_neon", []string{"x", "y", "weight"}, "float64", func(in []vector, sum vector) {
		t.halves(in, sum, func(in []vector, sum vector) {
			t.vectors(difference64, in[0], in[1], in[0])
			t.fma64(in[0], in[2], sum)
		})
	})
}

// sum writes a function that returns a sum over elements, which the body adds to sum. Each
// vector of a chunk has two vectors of sums of its own.
func (t *text) sum(name string, arrays []string, result string, body func(in []vector, sum vector)) {
	const sums = vector(16)
	registers := t.begin(name, append(pointers32(arrays...), "n int"), result)
	for i := range vector(4) {
		t.zero(sums + i)
	}
	t.inChunks(registers["n"], func(c chunk) {
		for i, array := range arrays {
			t.load(c, vector(c.vectors*i), registers[array], true)
		}
		for k := range c.vectors {
			var in []vector
			for i := range arrays {
				in = append(in, vector(c.vectors*i+k))
			}
			body(in, sums+vector(2*k))
		}
	})
	add, pairs, move := add, addPairs, "FMOVS"
	if result == "float64" {
		add, pairs, move = add64, addPairs64, "FMOVD"
	}
	t.vectors(add, sums, sums+1, sums)
	t.vectors(add, sums+2, sums+3, sums+2)
	t.vectors(add, sums, sums+2, sums)
	t.vectors(pairs, sums, sums, sums)
	if result == "float32" {
		t.vectors(pairs, sums, sums, sums)
	}
	t.line("\t%s\t%s, ret+%d(FP)", move, sums.scalar(), 8*len(registers))
	t.op("RET")
}

// halves calls the body with the lower and with the upper half of vectors, converted to
// float64.
func (t *text) halves(in []vector, sum vector, body func(in []vector, sum vector)) {
	const first = vector(20)
	for half, convert := range []instruction{lower64, upper64} {
		var wide []vector
		for i, v := range in {
			wide = append(wide, first+vector(2*i+half))
			t.unary(convert, v, wide[i])
		}
		body(wide, sum+vector(half))
	}
}

// fma64 adds x·y to sum.
func (t *text) fma64(x, y, sum vector) { t.op("VFMLA", x.doubles(), y.doubles(), sum.doubles()) }

// neonSums writes the sums of batch normalization over rows of n channels, in float64. The
// sums of as many channels as possible stay in registers.
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

// columnSums writes a function that adds the terms of each row, computed by the body, to a
// row of n sums or, if there is dy, to two consecutive rows.
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

// neonTranspose writes the transpose of 4·blocks rows of four columns. Strides are in bytes.
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
	// Transpose pairs of elements in pairs of rows, then pairs of these pairs.
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
