package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The places of the constants of the activations in the table of package vector.
const (
	atOne = iota
	atHalf
	atThree
	atSix
	atSixth
	atThird
	atSign
	atLog2E
	atRound
	atLn2High
	atLn2Low
	atLeastExp
	atMostExp
	atBias
	atFarthest
	atTailStep
	atDensity
	atExpTerms                   // 5 coefficients
	atTailTerms = atExpTerms + 5 // 9 coefficients
)

const (
	expTerms  = 5
	tailTerms = 9

	constantBytes = 64 // of a constant in all lanes of the longest vector
)

// activations writes the activations and their gradients, x being the argument. The
// constants are operands in memory wherever an instruction has one.
type activations struct {
	*code
	table     reg.GPVirtual
	zero      reg.VecVirtual
	low, high reg.VecVirtual // the bounds of an argument
}

// writeActivations writes all of them; package vector has the formulas.
func writeActivations(c *code) {
	for _, each := range []struct {
		name      string
		low, high int // of the constants that bound the argument, -1 for zero
		value     func(a *activations, x reg.VecVirtual) reg.VecVirtual
		slope     func(a *activations, x, dy reg.VecVirtual) reg.VecVirtual
	}{
		{"relu6", -1, atSix, (*activations).clamp, (*activations).between},
		{"hardSigmoid", -1, atSix, (*activations).hardSigmoid, (*activations).hardSigmoidGradient},
		{"hardSwish", -1, atSix, (*activations).hardSwish, (*activations).hardSwishGradient},
		{"silu", atLeastExp, atMostExp, (*activations).silu, (*activations).siluGradient},
		{"gelu", atLeastExp, atFarthest, (*activations).gelu, (*activations).geluGradient},
	} {
		begin := func() *activations {
			a := &activations{code: c, table: c.argument("table"), zero: c.zeros()}
			a.low, a.high = a.zero, a.load(each.high)
			if each.low >= 0 {
				a.low = a.load(each.low)
			}
			return a
		}
		c.routine(each.name, "(y, x *float32, n int, table *float32)")
		a := begin()
		c.elementwise([]string{"y", "x"}, 2, func(p part, y, x, _ reg.GPVirtual) {
			p.store(each.value(a, p.load(x)), y)
		})
		c.routine(each.name+"Gradient", "(dx, x, dy *float32, n int, table *float32)")
		a = begin()
		c.elementwise([]string{"dx", "x", "dy"}, 2, func(p part, dx, x, dy reg.GPVirtual) {
			p.store(each.slope(a, p.load(x), p.load(dy)), dx)
		})
	}
}

// at returns the address of a constant.
func (a *activations) at(constant int) operand.Mem {
	return operand.Mem{Base: a.table, Disp: constantBytes * constant}
}

// load returns a new vector of a constant.
func (a *activations) load(constant int) reg.VecVirtual {
	v := a.any()
	a.VMOVUPS(a.at(constant), v)
	return v
}

// xor writes to = x ^ y, of which x may be in memory.
func (a *activations) xor(x operand.Op, y, to reg.VecVirtual) {
	if a.wide() {
		a.VPXORD(x, y, to)
	} else {
		a.VPXOR(x, y, to)
	}
}

// clamp bounds x, NaN being NaN: of its operands an instruction returns the one that it
// has first here if one is NaN. Adding zero turns minus zero into zero.
func (a *activations) clamp(x reg.VecVirtual) reg.VecVirtual {
	a.VMAXPS(x, a.low, x)
	a.VMINPS(x, a.high, x)
	a.VADDPS(a.zero, x, x)
	return x
}

// between clears dy where x is at most zero or at least the upper bound.
func (a *activations) between(x, dy reg.VecVirtual) reg.VecVirtual {
	if a.wide() {
		above, inside := a.K(), a.K()
		a.VCMPPS(operand.Imm(notAtMost), a.zero, x, above)
		a.VCMPPS(operand.Imm(notAtLeast), a.high, x, above, inside)
		a.VMOVAPS_Z(dy, inside, dy)
		return dy
	}
	below := a.any()
	a.VCMPPS(operand.Imm(notAtLeast), a.high, x, below)
	a.VCMPPS(operand.Imm(notAtMost), a.zero, x, x)
	a.VANDPS(x, dy, dy)
	a.VANDPS(below, dy, dy)
	return dy
}

func (a *activations) hardSigmoid(x reg.VecVirtual) reg.VecVirtual {
	a.VADDPS(a.at(atThree), x, x)
	a.clamp(x)
	a.VMULPS(a.at(atSixth), x, x)
	return x
}

func (a *activations) hardSigmoidGradient(x, dy reg.VecVirtual) reg.VecVirtual {
	a.VMULPS(a.at(atSixth), dy, dy)
	a.VADDPS(a.at(atThree), x, x)
	return a.between(x, dy)
}

func (a *activations) hardSwish(x reg.VecVirtual) reg.VecVirtual {
	y := a.any()
	a.VADDPS(a.at(atThree), x, y)
	a.VMULPS(a.clamp(y), x, x)
	a.VMULPS(a.at(atSixth), x, x)
	return x
}

// hardSwishGradient has the slope x/3 + 1/2 between −3 and 3, 0 up to −3 and 1 from 3 on.
func (a *activations) hardSwishGradient(x, dy reg.VecVirtual) reg.VecVirtual {
	slope, shifted := a.load(atHalf), a.any()
	a.VFMADD231PS(a.at(atThird), x, slope)
	a.VADDPS(a.at(atThree), x, shifted)
	if a.wide() {
		above, beyond := a.K(), a.K()
		a.VCMPPS(operand.Imm(notBelow), a.high, shifted, beyond)
		a.VMOVUPS(a.at(atOne), beyond, slope)
		a.VCMPPS(operand.Imm(notAtMost), a.zero, shifted, above)
		a.VMULPS(slope, dy, dy)
		a.VMOVAPS_Z(dy, above, dy)
		return dy
	}
	beyond := a.any()
	a.VCMPPS(operand.Imm(notBelow), a.high, shifted, beyond)
	a.VBLENDVPS(beyond, a.at(atOne), slope, slope)
	a.VCMPPS(operand.Imm(notAtMost), a.zero, shifted, shifted)
	a.VMULPS(slope, dy, dy)
	a.VANDPS(shifted, dy, dy)
	return dy
}

// exp returns eᵛ for v between the bounds of the exponential function, and overwrites v.
func (a *activations) exp(v reg.VecVirtual) reg.VecVirtual {
	rounded, n, p, square := a.load(atRound), a.any(), a.load(atExpTerms), a.any()
	a.VFMADD231PS(a.at(atLog2E), v, rounded)
	a.VSUBPS(a.at(atRound), rounded, n)
	a.VFNMADD231PS(a.at(atLn2High), n, v)
	a.VFNMADD231PS(a.at(atLn2Low), n, v)
	for k := 1; k < expTerms; k++ {
		a.VFMADD213PS(a.at(atExpTerms+k), v, p)
	}
	a.VMULPS(v, v, square)
	a.VFMADD213PS(v, square, p)
	a.VADDPS(a.at(atOne), p, p)
	a.VPADDD(a.at(atBias), rounded, rounded) // the sum of integers
	a.VPSLLD(operand.Imm(23), rounded, rounded)
	a.VMULPS(rounded, p, p)
	return p
}

// onePlusExp returns 1 + e⁻ˣ.
func (a *activations) onePlusExp(x reg.VecVirtual) reg.VecVirtual {
	v := a.any()
	a.xor(a.at(atSign), x, v)
	a.VMAXPS(v, a.low, v)
	a.VMINPS(v, a.high, v)
	p := a.exp(v)
	a.VADDPS(a.at(atOne), p, p)
	return p
}

func (a *activations) silu(x reg.VecVirtual) reg.VecVirtual {
	p := a.onePlusExp(x)
	a.VDIVPS(p, x, x)
	return x
}

func (a *activations) siluGradient(x, dy reg.VecVirtual) reg.VecVirtual {
	p, s := a.onePlusExp(x), a.load(atOne)
	a.VDIVPS(p, s, s)
	rest := p
	a.VMOVUPS(a.at(atOne), rest)
	a.VSUBPS(s, rest, rest)
	a.VMULPS(s, x, x)
	a.VFMADD213PS(s, rest, x)
	a.VMULPS(x, dy, dy)
	return dy
}

// tail returns |x|, at most the upper bound, e^(−x²/2) and the polynomial Q.
func (a *activations) tail(x reg.VecVirtual) (size, e, q reg.VecVirtual) {
	size, v := a.any(), a.any()
	a.xor(a.at(atSign), x, size)
	a.VMAXPS(x, size, size) // if x is NaN it is
	a.VMINPS(size, a.high, size)
	a.VMULPS(size, size, v)
	a.VMULPS(a.at(atHalf), v, v)
	a.xor(a.at(atSign), v, v)
	a.VMAXPS(v, a.low, v)
	e = a.exp(v)
	t, divisor := a.load(atOne), a.load(atOne)
	a.VFMADD231PS(a.at(atTailStep), size, divisor)
	a.VDIVPS(divisor, t, t)
	q = a.load(atTailTerms)
	for k := 1; k < tailTerms; k++ {
		a.VFMADD213PS(a.at(atTailTerms+k), t, q)
	}
	return size, e, q
}

func (a *activations) gelu(x reg.VecVirtual) reg.VecVirtual {
	size, e, q := a.tail(x)
	a.VMULPS(e, q, q)
	a.VMAXPS(x, a.zero, x)
	a.VFNMADD231PS(size, q, x)
	return x
}

func (a *activations) geluGradient(x, dy reg.VecVirtual) reg.VecVirtual {
	size, e, q := a.tail(x)
	slope, sign, one := a.load(atDensity), a.load(atSign), a.any()
	a.VFMSUB213PS(q, size, slope)
	a.VMULPS(e, slope, slope)
	a.and(x, sign)
	a.xor(sign, slope, slope)
	a.VPSRAD(operand.Imm(31), x, x)
	if a.wide() {
		a.VPANDND(a.at(atOne), x, one)
	} else {
		a.VPANDN(a.at(atOne), x, one)
	}
	a.VADDPS(one, slope, slope)
	a.VMULPS(slope, dy, dy)
	return dy
}
