package vector

import "math"

// Activation is an elementwise function of Engine.Activate.
type Activation int

const (
	ReLU6       Activation = iota // min(max(x, 0), 6)
	HardSigmoid                   // min(max(x + 3, 0), 6)/6
	HardSwish                     // x·min(max(x + 3, 0), 6)/6
	SiLU                          // x/(1 + e⁻ˣ)
	GELU                          // x·Φ(x), Φ being the distribution function of the standard normal distribution
)

// In single precision the functions are computed without those of package math, which take
// double precision and ten times as long.
//
// eᵛ is 2ⁿ·eʳ, where n is the integer next to v/ln 2, and eʳ a polynomial of degree 6. The
// tail of the normal distribution, Φ(−a) for a ≥ 0, is e^(−a²/2)·Q(1/(1 + 0.3·a)), where Q is
// a polynomial of degree 8. Both polynomials minimize the largest relative error, 3e-9 and
// 6e-8, so rounding is all that is left of it.
const (
	log2E    = 1 / math.Ln2
	round    = 3 << 22     // a number plus this is rounded to an integer, which is in its lowest bits
	ln2High  = 0.693359375 // has few bits, so that its products with n are exact
	ln2Low   = math.Ln2 - ln2High
	leastExp = -88 // e to this is zero, because the exponent is; subnormal numbers would be slow
	mostExp  = 89  // e to this is infinite
	expBias  = 127 // of the exponent of a float32

	farthest = 14 // e^(−a²/2) is zero there
	tailStep = 0.3
	density  = 0.3989422804014327 // 1/√(2π)
)

// The coefficients of the polynomials, the highest first: of (eʳ − 1 − r)/r², and of Q.
var (
	expTerms  = [...]float32{0.0013950479915365577, 0.008368883281946182, 0.04166620597243309, 0.166665181517601, 0.5}
	tailTerms = [...]float32{
		0.03837830573320389, -0.1691661924123764, 0.2286602407693863, -0.07650664448738098, 0.14253562688827515,
		0.09468348324298859, 0.12192035466432571, 0.1194876879453659, 7.168933734646998e-06,
	}
)

// constants are what the assembly reads from memory, because it has more constants than
// registers: each is in all lanes of the longest vector. The generator has the same order.
var constants = func() (all [31][16]float32) {
	list := []float32{
		1, 0.5, 3, 6, 1. / 6, 1. / 3, float32(math.Copysign(0, -1)),
		log2E, round, ln2High, ln2Low, leastExp, mostExp, math.Float32frombits(expBias),
		farthest, tailStep, density,
	}
	for i, v := range append(append(list, expTerms[:]...), tailTerms[:]...) {
		for lane := range all[i] {
			all[i][lane] = v
		}
	}
	return all
}()

// exp32 returns eᵛ.
func exp32(v float32) float32 {
	v = min(max(v, leastExp), mostExp)
	rounded := v*log2E + round
	n := rounded - round
	r := v - n*ln2High - n*ln2Low
	p := expTerms[0]
	p = p*r + expTerms[1]
	p = p*r + expTerms[2]
	p = p*r + expTerms[3]
	p = p*r + expTerms[4]
	p = p*(r*r) + r + 1
	return p * math.Float32frombits((math.Float32bits(rounded)+expBias)<<23)
}

// tail32 returns e^(−a²/2) and Q, whose product is Φ(−a), for 0 ≤ a ≤ farthest.
func tail32(a float32) (e, q float32) {
	t := 1 / (1 + tailStep*a)
	q = tailTerms[0]
	for _, c := range tailTerms[1:] {
		q = q*t + c
	}
	return exp32(a * a * -0.5), q
}

// Activate writes y = f(x).
func (Portable[T]) Activate(f Activation, y, x []T) {
	y = y[:len(x)]
	switch f {
	case ReLU6:
		for i, v := range x {
			y[i] = min(max(v, 0), 6)
		}
	case HardSigmoid:
		for i, v := range x {
			y[i] = min(max(v+3, 0), 6) * (1. / 6)
		}
	case HardSwish:
		for i, v := range x {
			y[i] = v * min(max(v+3, 0), 6) * (1. / 6)
		}
	case SiLU:
		if single, ok := any(x).([]float32); ok {
			y := any(y).([]float32)
			for i, v := range single {
				y[i] = v / (1 + exp32(-v))
			}
			return
		}
		for i, v := range x {
			y[i] = v / T(1+math.Exp(-float64(v)))
		}
	case GELU:
		if single, ok := any(x).([]float32); ok {
			y := any(y).([]float32)
			for i, v := range single {
				a := min(max(v, -v), farthest)
				e, q := tail32(a)
				y[i] = max(v, 0) - a*(e*q)
			}
			return
		}
		for i, v := range x {
			y[i] = v * T(normal(float64(v)))
		}
	}
}

// normal returns Φ(x).
func normal(x float64) float64 { return math.Erfc(-x*math.Sqrt2/2) / 2 }

// ActivateGradient writes dx = f′(x)·dy.
func (Portable[T]) ActivateGradient(f Activation, dx, x, dy []T) {
	dx, x = dx[:len(dy)], x[:len(dy)]
	switch f {
	case ReLU6:
		for i, g := range dy {
			dx[i] = pick(x[i] <= 0 || x[i] >= 6, 0, g)
		}
	case HardSigmoid:
		for i, g := range dy {
			dx[i] = pick(x[i] <= -3 || x[i] >= 3, 0, g*(1./6))
		}
	case HardSwish:
		for i, g := range dy {
			v := x[i]
			dx[i] = g * pick(v <= -3, 0, pick(v >= 3, 1, v*(1./3)+0.5))
		}
	case SiLU:
		if x, ok := any(x).([]float32); ok {
			dx, dy := any(dx).([]float32), any(dy).([]float32)
			for i, g := range dy {
				s := 1 / (1 + exp32(-x[i]))
				dx[i] = g * (x[i]*s*(1-s) + s)
			}
			return
		}
		for i, g := range dy {
			s := 1 / (1 + math.Exp(-float64(x[i])))
			dx[i] = g * T(float64(x[i])*s*(1-s)+s)
		}
	case GELU:
		if x, ok := any(x).([]float32); ok {
			dx, dy := any(dx).([]float32), any(dy).([]float32)
			for i, g := range dy {
				v := x[i]
				a := min(max(v, -v), farthest)
				e, q := tail32(a)
				slope := (a*density - q) * e // of x·Φ(x) at −a is −slope, at a it is 1 + slope
				if math.Signbit(float64(v)) {
					dx[i] = g * -slope
				} else {
					dx[i] = g * (1 + slope)
				}
			}
			return
		}
		for i, g := range dy {
			v := float64(x[i])
			dx[i] = g * T(normal(v)+v*density*math.Exp(-v*v/2))
		}
	}
}
