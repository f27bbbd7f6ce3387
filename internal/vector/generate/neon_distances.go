package main

// neonDistances writes the functions of n elements that return a sum.
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

// sum writes a function that adds to sums what the body makes of elements: each
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

// halves calls the body with the lower and with the upper half of vectors, as
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
