package main

import "slices"

// neonWindows writes max pooling and its gradient: functions of count windows of n channels,
// step bytes apart. The numbers of positions are int32 in the lanes of vectors.
func neonWindows(t *text) {
	t.maxWindows("maxWindows_neon", false)
	t.maxWindows("maxScaledWindows_neon", true)
	t.scatterWindows("scatterWindows_neon", false)
	t.scatterWindows("addWindows_neon", true)
}

const (
	windowsChannels  = general(14) // left
	windowsX         = general(15)
	windowsScale     = general(16)
	windowsShift     = general(17)
	windowsOffset    = general(19)
	windowsPositions = general(20) // left
	windowsElements  = general(21)
	windowsSpare     = general(22)

	windowsNumber = vector(28) // of the position
	windowsOne    = vector(29)
	windowsNone   = vector(27) // behind the last position
)

// windows writes a function of windows; the body processes a chunk of channels.
func (t *text) windows(name string, arguments []string, body func(c chunk, registers map[string]general)) {
	registers := t.begin(name, append(arguments, "positions int", "n int", "count int", "step int"), "")
	t.op("MOVD", 1, windowsSpare)
	t.op("VDUP", windowsSpare, windowsOne)
	t.op("VDUP", registers["positions"], windowsNone)
	window := t.newLabel("window")
	t.label(window)
	t.op("MOVD", registers["n"], windowsChannels)
	t.op("MOVD", registers["x"], windowsX)
	if slices.Contains(arguments, "scale *float32") {
		t.op("MOVD", registers["scale"], windowsScale)
	}
	if slices.Contains(arguments, "shift *float32") {
		t.op("MOVD", registers["shift"], windowsShift)
	}
	t.inChunks(windowsChannels, func(c chunk) {
		t.zero(windowsNumber)
		t.op("MOVD", registers["offsets"], windowsOffset)
		t.op("MOVD", registers["positions"], windowsPositions)
		body(c, registers)
		t.op("ADD", 4*c.elements, windowsX)
	})
	t.op("ADD", registers["step"], registers["x"])
	t.op("SUBS", 1, registers["count"])
	t.op("BNE", window)
	t.op("RET")
}

// nextPosition advances the pointer to the elements of the next position.
func (t *text) nextPosition() {
	t.op("MOVW.P", at(windowsOffset, 4), windowsElements)
	t.line("\tADD\t%v<<2, %v, %v", windowsElements, windowsX, windowsElements)
}

// maxWindows writes the maxima of X or, if scaled, of X·scale + shift.
func (t *text) maxWindows(name string, scaled bool) {
	const x, value, best, kept, position = vector(0), vector(2), vector(4), vector(6), vector(8)
	const scale, shift, larger, number = vector(10), vector(12), vector(14), vector(15)
	arguments := []string{"y *float32", "x *float32", "kept *float32", "position *uint8", "rectify int", "offsets *int32"}
	if scaled {
		arguments = append(arguments, pointers32("scale", "shift")...)
	}
	t.windows(name, arguments, func(c chunk, registers map[string]general) {
		if scaled {
			t.load(c, scale, windowsScale, true)
			t.load(c, shift, windowsShift, true)
		}
		vectors := func(body func(i vector)) {
			for i := range vector(c.vectors) {
				body(i)
			}
		}
		read := func() {
			t.nextPosition()
			t.load(c, x, windowsElements, false)
			vectors(func(i vector) {
				if scaled {
					t.op("VMOV", (shift + i).bytes(), (value + i).bytes())
					t.op("VFMLA", scale+i, x+i, value+i)
				} else {
					t.op("VMOV", (x + i).bytes(), (value + i).bytes())
				}
			})
		}
		read()
		vectors(func(i vector) {
			t.op("VMOV", (value + i).bytes(), (best + i).bytes())
			t.op("VMOV", (x + i).bytes(), (kept + i).bytes())
			t.zero(position + i)
		})
		loop, done := t.newLabel("loop"), t.newLabel("done")
		t.op("SUBS", 1, windowsPositions)
		t.op("BEQ", done)
		t.label(loop)
		t.op("VADD", windowsOne, windowsNumber, windowsNumber)
		read()
		vectors(func(i vector) {
			// Larger, or the first NaN.
			t.vectors(equal, best+i, best+i, number)
			t.vectors(atLeast, best+i, value+i, larger)
			t.vectors(andNot, number, larger, larger)
			t.op("VBIT", larger.bytes(), (value + i).bytes(), (best + i).bytes())
			t.op("VBIT", larger.bytes(), (x + i).bytes(), (kept + i).bytes())
			t.op("VBIT", larger.bytes(), windowsNumber.bytes(), (position + i).bytes())
		})
		t.op("SUBS", 1, windowsPositions)
		t.op("BNE", loop)
		t.label(done)

		unwanted, positive := t.newLabel("unwanted"), t.newLabel("positive")
		t.op("CBZ", registers["kept"], unwanted)
		t.save(c, []vector{kept, kept + 1}, registers["kept"])
		t.label(unwanted)
		t.op("CBZ", registers["rectify"], positive)
		vectors(func(i vector) {
			t.unary(atMostZero, best+i, larger)
			t.vectors(andNot, best+i, larger, best+i)
			t.op("VBIT", larger.bytes(), windowsNone.bytes(), (position + i).bytes())
		})
		t.label(positive)
		t.save(c, []vector{best, best + 1}, registers["y"])
		t.savePositions(c, position, registers["position"])
	})
}

// scatterWindows writes or adds Y, times the scale if there is one, at the positions of the
// maxima.
func (t *text) scatterWindows(name string, adds bool) {
	const y, scale, position, chosen, old = vector(0), vector(2), vector(4), vector(6), vector(8)
	arguments := []string{"y *float32", "x *float32", "position *uint8", "offsets *int32", "scale *float32"}
	t.windows(name, arguments, func(c chunk, registers map[string]general) {
		plain, loop := t.newLabel("plain"), t.newLabel("loop")
		t.load(c, y, registers["y"], true)
		t.op("CBZ", registers["scale"], plain)
		t.load(c, scale, windowsScale, true)
		for i := range vector(c.vectors) {
			t.vectors(multiply, y+i, scale+i, y+i)
		}
		t.label(plain)
		t.loadPositions(c, position, registers["position"])
		t.label(loop)
		t.nextPosition()
		if adds {
			t.load(c, old, windowsElements, false)
		}
		for i := range vector(c.vectors) {
			t.op("VCMEQ", windowsNumber, position+i, chosen+i)
			t.op("VAND", (y + i).bytes(), (chosen + i).bytes(), (chosen + i).bytes())
			if adds {
				t.vectors(add, chosen+i, old+i, chosen+i)
			}
		}
		t.save(c, []vector{chosen, chosen + 1}, windowsElements)
		t.op("VADD", windowsOne, windowsNumber, windowsNumber)
		t.op("SUBS", 1, windowsPositions)
		t.op("BNE", loop)
	})
}

// savePositions stores a chunk of numbers as bytes and advances the pointer.
func (t *text) savePositions(c chunk, from vector, to general) {
	if c.elements == 1 {
		t.line("\tVMOV\tV%d.B[0], %v", int(from), windowsSpare)
		t.op("MOVB.P", windowsSpare, at(to, 1))
		return
	}
	for i := range vector(c.vectors) {
		t.unary(narrow16, from+i, from+i)
		t.unary(narrow8, from+i, from+i)
		t.op("FMOVS.P", (from + i).scalar(), at(to, 4))
	}
}

// loadPositions loads a chunk of bytes as numbers and advances the pointer.
func (t *text) loadPositions(c chunk, to vector, from general) {
	if c.elements == 1 {
		t.op("MOVBU.P", at(from, 1), windowsSpare)
		t.op("VDUP", windowsSpare, to)
		return
	}
	for i := range vector(c.vectors) {
		t.op("FMOVS.P", at(from, 4), (to + i).scalar())
		t.line("\tVUSHLL\t$0, V%[1]d.B8, V%[1]d.H8", int(to+i))
		t.line("\tVUSHLL\t$0, V%[1]d.H4, V%[1]d.S4", int(to+i))
	}
}
