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

// neonChannels writes the loops of batch norm over elements.
func neonChannels(t *text) {
	for _, l := range []loop{
		{name: "normalize_neon", to: "y", elements: []string{"x"}, channels: []string{"mean", "scale", "shift"}, body: func(in []vector) vector {
			x, mean, scale, shift := in[0], in[1], in[2], in[3]
			t.vectors(subtract, x, mean, x)
			t.op("VFMLA", scale, x, shift)
			return shift
		}},
		{name: "centre_neon", to: "dx", elements: []string{"x", "dy"}, channels: []string{"mean", "scale", "along", "dyMean"}, body: func(in []vector) vector {
			x, dy, mean, scale, along, dyMean := in[0], in[1], in[2], in[3], in[4], in[5]
			t.vectors(subtract, x, mean, x)
			t.vectors(subtract, dy, dyMean, dy)
			t.op("VFMLS", along, x, dy)
			t.vectors(multiply, dy, scale, dy)
			return dy
		}},
		{name: "centreZero_neon", to: "dx", elements: []string{"x"}, channels: []string{"mean", "scale", "along", "dyMean"}, body: func(in []vector) vector {
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
