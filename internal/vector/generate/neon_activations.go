package main

// The registers of the activations, above those of the arguments.
const (
	neonHigh     = vector(8) // the upper bound of an argument
	neonConstant = vector(9) // a constant that is used once
	neonRounded  = vector(10)
	neonInteger  = vector(11)
	neonPower    = vector(12) // of e
	neonSquare   = vector(13)
	neonExponent = vector(14)
	neonSize     = vector(16)
	neonInverse  = vector(17)
	neonTail     = vector(18)
	neonSlope    = vector(19)
	neonMask     = vector(20)
)

// neonActivations writes the activations and their gradients; package vector has the
// formulas.
func neonActivations(t *text) {
	for _, each := range []struct {
		name  string
		value func(x vector) vector
		slope func(x, dy vector) vector
	}{
		{"relu6", t.clamp, t.between},
		{"hardSigmoid", t.hardSigmoid, t.hardSigmoidGradient},
		{"hardSwish", t.hardSwish, t.hardSwishGradient},
		{"silu", t.silu, t.siluGradient},
		{"gelu", t.gelu, t.geluGradient},
	} {
		t.loop(loop{name: each.name + "_neon", to: "y", elements: []string{"x"}, table: true, body: func(in []vector) vector {
			return each.value(in[0])
		}})
		t.loop(loop{name: each.name + "Gradient_neon", to: "dx", elements: []string{"x", "dy"}, table: true, body: func(in []vector) vector {
			return each.slope(in[0], in[1])
		}})
	}
}

// constant loads a constant into a vector, which it returns.
func (t *text) constant(number int, to vector) vector {
	t.op("FMOVQ", at(t.table, constantBytes*number), to.scalar())
	return to
}

func (t *text) clamp(x vector) vector {
	t.vectors(maximum, x, neonZero, x)
	t.vectors(minimum, x, t.constant(atSix, neonHigh), x)
	return x
}

// between clears dy where x is at most zero or at least 6.
func (t *text) between(x, dy vector) vector {
	t.vectors(atLeast, x, t.constant(atSix, neonHigh), neonMask)
	t.vectors(andNot, dy, neonMask, dy)
	t.unary(atMostZero, x, x)
	t.vectors(andNot, dy, x, dy)
	return dy
}

func (t *text) hardSigmoid(x vector) vector {
	t.vectors(add, x, t.constant(atThree, neonConstant), x)
	t.clamp(x)
	t.vectors(multiply, x, t.constant(atSixth, neonConstant), x)
	return x
}

func (t *text) hardSigmoidGradient(x, dy vector) vector {
	t.vectors(add, x, t.constant(atThree, neonConstant), x)
	t.vectors(multiply, dy, t.constant(atSixth, neonConstant), dy)
	return t.between(x, dy)
}

func (t *text) hardSwish(x vector) vector {
	t.vectors(add, x, t.constant(atThree, neonConstant), neonSize)
	t.vectors(multiply, x, t.clamp(neonSize), x)
	t.vectors(multiply, x, t.constant(atSixth, neonConstant), x)
	return x
}

func (t *text) hardSwishGradient(x, dy vector) vector {
	t.constant(atHalf, neonSlope)
	t.op("VFMLA", x, t.constant(atThird, neonConstant), neonSlope)
	t.vectors(add, x, t.constant(atThree, neonConstant), x)
	t.vectors(atLeast, x, t.constant(atSix, neonHigh), neonMask)
	t.vectors(andNot, neonSlope, neonMask, neonSlope)
	t.op("VAND", neonMask.bytes(), t.constant(atOne, neonConstant).bytes(), neonMask.bytes())
	t.op("VORR", neonMask.bytes(), neonSlope.bytes(), neonSlope.bytes())
	t.vectors(multiply, dy, neonSlope, dy)
	t.unary(atMostZero, x, x)
	t.vectors(andNot, dy, x, dy)
	return dy
}

// exp writes eᵛ to neonPower, for v between the bounds of the exponential function, and
// overwrites v.
func (t *text) exp(v vector) vector {
	t.constant(atRound, neonRounded)
	t.op("VFMLA", v, t.constant(atLog2E, neonConstant), neonRounded)
	t.vectors(subtract, neonRounded, t.constant(atRound, neonConstant), neonInteger)
	t.op("VFMLS", neonInteger, t.constant(atLn2High, neonConstant), v)
	t.op("VFMLS", neonInteger, t.constant(atLn2Low, neonConstant), v)
	p := t.polynomial(atExpTerms, expTerms, v, neonPower)
	t.vectors(multiply, v, v, neonSquare)
	t.op("VFMLA", p, neonSquare, v)
	t.vectors(add, v, t.constant(atOne, neonConstant), neonPower)
	t.op("VADD", t.constant(atBias, neonConstant), neonRounded, neonRounded)
	t.op("VSHL", 23, neonRounded, neonRounded)
	t.vectors(multiply, neonPower, neonRounded, neonPower)
	return neonPower
}

// polynomial computes a polynomial of x in the register to or in neonConstant, and returns
// which.
func (t *text) polynomial(first, terms int, x, to vector) vector {
	p, next := to, neonConstant
	t.constant(first, p)
	for k := 1; k < terms; k++ {
		t.constant(first+k, next)
		t.op("VFMLA", p, x, next)
		p, next = next, p
	}
	return p
}

// onePlusExp writes 1 + e⁻ˣ to neonPower.
func (t *text) onePlusExp(x vector) vector {
	t.unary(negate, x, neonExponent)
	t.vectors(maximum, neonExponent, t.constant(atLeastExp, neonConstant), neonExponent)
	t.vectors(minimum, neonExponent, t.constant(atMostExp, neonConstant), neonExponent)
	t.exp(neonExponent)
	t.vectors(add, neonPower, t.constant(atOne, neonConstant), neonPower)
	return neonPower
}

func (t *text) silu(x vector) vector {
	t.vectors(divide, x, t.onePlusExp(x), x)
	return x
}

func (t *text) siluGradient(x, dy vector) vector {
	t.onePlusExp(x)
	t.constant(atOne, neonConstant)
	t.vectors(divide, neonConstant, neonPower, neonSlope)
	t.vectors(subtract, neonConstant, neonSlope, neonSquare)
	t.vectors(multiply, x, neonSlope, x)
	t.op("VFMLA", x, neonSquare, neonSlope)
	t.vectors(multiply, dy, neonSlope, dy)
	return dy
}

// tail writes |x|, at most farthest, to neonSize, e^(−x²/2) to neonPower and the polynomial
// Q to neonTail.
func (t *text) tail(x vector) {
	t.unary(absolute, x, neonSize)
	t.vectors(minimum, neonSize, t.constant(atFarthest, neonConstant), neonSize)
	t.vectors(multiply, neonSize, neonSize, neonExponent)
	t.vectors(multiply, neonExponent, t.constant(atHalf, neonConstant), neonExponent)
	t.unary(negate, neonExponent, neonExponent)
	t.vectors(maximum, neonExponent, t.constant(atLeastExp, neonConstant), neonExponent)
	t.exp(neonExponent)
	t.constant(atOne, neonInverse)
	t.vectors(subtract, neonInverse, neonZero, neonSquare)
	t.op("VFMLA", neonSize, t.constant(atTailStep, neonConstant), neonSquare)
	t.vectors(divide, neonInverse, neonSquare, neonInverse)
	if t.polynomial(atTailTerms, tailTerms, neonInverse, neonTail) != neonTail {
		panic("the polynomial has an even number of terms")
	}
}

func (t *text) gelu(x vector) vector {
	t.tail(x)
	t.vectors(multiply, neonPower, neonTail, neonTail)
	t.vectors(maximum, x, neonZero, x)
	t.op("VFMLS", neonSize, neonTail, x)
	return x
}

func (t *text) geluGradient(x, dy vector) vector {
	t.tail(x)
	t.vectors(multiply, neonSize, t.constant(atDensity, neonConstant), neonSlope)
	t.vectors(subtract, neonSlope, neonTail, neonSlope)
	t.vectors(multiply, neonSlope, neonPower, neonSlope)
	t.op("VAND", x.bytes(), t.constant(atSign, neonConstant).bytes(), neonConstant.bytes())
	t.op("VEOR", neonConstant.bytes(), neonSlope.bytes(), neonSlope.bytes())
	t.unary(signs, x, neonMask)
	t.vectors(andNot, t.constant(atOne, neonConstant), neonMask, neonConstant)
	t.vectors(add, neonSlope, neonConstant, neonSlope)
	t.vectors(multiply, dy, neonSlope, dy)
	return dy
}
