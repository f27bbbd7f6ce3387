package kernel

import (
	"fmt"
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Activation is an elementwise function.
type Activation int

const (
	Identity    Activation = iota // x
	ReLU                          // max(x, 0)
	PReLU                         // x above zero, slope·x below; He et al. (2015), equation 1
	Sigmoid                       // 1/(1 + e⁻ˣ)
	Tanh                          // tanh x
	ReLU6                         // min(max(x, 0), 6)
	HardSigmoid                   // relu6(x + 3)/6
	HardSwish                     // x·relu6(x + 3)/6; Howard et al. (2019), section 5.2
	SiLU                          // x·sigmoid x, also called swish
	GELU                          // x·Φ(x), the exact form of Hendrycks & Gimpel (2016)
	activationCount
)

var activationNames = [activationCount]string{
	"identity", "relu", "prelu", "sigmoid", "tanh", "relu6", "hardsigmoid", "hardswish", "silu", "gelu",
}

// String returns the activation's name in lower case.
func (a Activation) String() string {
	if !a.valid() {
		return fmt.Sprintf("activation(%d)", int(a))
	}
	return activationNames[a]
}

func (a Activation) valid() bool { return a >= 0 && a < activationCount }

// ActivationNamed returns the activation with a name other than that of the identity, and
// whether there is one.
func ActivationNamed(name string) (Activation, bool) {
	at := slices.Index(activationNames[1:], name)
	return Activation(at + 1), at >= 0
}

// ActivationNames returns the names of all activations except the identity.
func ActivationNames() []string { return slices.Clone(activationNames[1:]) }

// loop returns the loop of an engine that computes the activation.
func (a Activation) loop() vector.Activation {
	return vector.Activation(a-ReLU6) + vector.ReLU6 // both have the same order
}

// NeedsArgument reports whether the gradient is computed from the argument: it is not known
// from the result. ReLU and ReLU6 have the same slope at both.
func (a Activation) NeedsArgument() bool { return a == PReLU || a >= HardSigmoid }

// monotonic reports whether the activation of a maximum is the maximum of the activations.
func (a Activation) monotonic() bool { return a != PReLU && a < HardSwish }

// Activate writes y = a(x). x and y are (rows, channels). The slope of PReLU is
// (channels), or (1) for all channels; it is nil for the other activations. The result
// for NaN is NaN. y may be x.
func Activate[T Float](a Activation, y, x, slope []T, channels int) {
	checkLength("y", y, len(x))
	checkSlope(a, slope, channels)
	forEachRowChunk(len(x), channels, func(first, last int) {
		activate(a, y[first:last], x[first:last], slope)
	})
}

func activate[T Float](a Activation, y, x, slope []T) {
	y = y[:len(x)]
	switch a {
	case Identity:
		copy(y, x)
	case ReLU:
		vector.For[T]().ReLU(y, x)
	case PReLU:
		c := 0
		for i, v := range x {
			y[i] = max(v, 0) + slope[c]*min(v, 0)
			if c++; c == len(slope) {
				c = 0
			}
		}
	case Sigmoid:
		for i, v := range x {
			y[i] = T(1 / (1 + math.Exp(-float64(v))))
		}
	case Tanh:
		for i, v := range x {
			y[i] = T(math.Tanh(float64(v)))
		}
	default:
		vector.For[T]().Activate(a.loop(), y, x)
	}
}

// ActivateBackward writes the gradients of Activate that are not nil, given its x and y
// and the gradient dy of y. At zero the gradient of ReLU is zero and that of PReLU is
// its slope, and at the kinks of the others it is that of the constant part. Identity,
// Sigmoid and Tanh do not read x, and only Sigmoid and Tanh read y; an array that is not
// read may be nil. dx may be dy.
func ActivateBackward[T Float](a Activation, dx, dslope, x, y, dy, slope []T, channels int) {
	checkOptional("dx", dx, len(dy))
	checkSlope(a, slope, channels)
	if a == PReLU && dslope != nil { // before dx is written, which may be dy
		checkLength("dslope", dslope, len(slope))
		slopeGradient(dslope, x, dy)
	}
	if dx != nil {
		forEachRowChunk(len(dy), channels, func(first, last int) {
			activateBackward(a, dx[first:last], part(x, first, last), part(y, first, last), dy[first:last], slope)
		})
	}
}

func activateBackward[T Float](a Activation, dx, x, y, dy, slope []T) {
	dx = dx[:len(dy)]
	switch a {
	case Identity:
		copy(dx, dy)
	case ReLU:
		vector.For[T]().ReLUGradient(dx, x[:len(dy)], dy)
	case PReLU:
		x = x[:len(dy)]
		c := 0
		for i, g := range dy {
			dx[i] = g * choose(x[i] <= 0, slope[c], 1)
			if c++; c == len(slope) {
				c = 0
			}
		}
	case Sigmoid:
		y = y[:len(dy)]
		for i, g := range dy {
			dx[i] = g * y[i] * (1 - y[i])
		}
	case Tanh:
		y = y[:len(dy)]
		for i, g := range dy {
			dx[i] = g * (1 - y[i]*y[i])
		}
	default:
		vector.For[T]().ActivateGradient(a.loop(), dx, x, dy)
	}
}

// AddActivate writes y = a(x₁ + x₂), like Activate, in one pass over memory. If the
// activation's gradient needs its argument, the sum is stored in sum, which is otherwise not
// used and may be nil.
func AddActivate[T Float](a Activation, y, sum, x1, x2, slope []T, channels int) {
	checkLength("y", y, len(x1))
	checkLength("x2", x2, len(x1))
	checkSlope(a, slope, channels)
	e := vector.For[T]()
	forEachRowChunk(len(x1), channels, func(first, last int) {
		to := y[first:last]
		if sum != nil && a.NeedsArgument() {
			to = sum[first:last]
		}
		copy(to, x1[first:last])
		e.Add(to, x2[first:last])
		if a != Identity {
			activate(a, y[first:last], to, slope)
		}
	})
}

// AddActivateBackward writes the gradients of AddActivate that are not nil, given its sum, its
// result y and the gradient dy of y. Those of the two summands are equal.
func AddActivateBackward[T Float](a Activation, dx1, dx2, dslope, sum, y, dy, slope []T, channels int) {
	checkOptional("dx1", dx1, len(dy))
	checkOptional("dx2", dx2, len(dy))
	if dslope != nil {
		ActivateBackward(a, nil, dslope, sum, y, dy, slope, channels)
	}
	argument := y
	if a.NeedsArgument() {
		argument = sum
	}
	dx := dx1
	if dx == nil {
		dx, dx2 = dx2, nil
	}
	if dx == nil {
		return
	}
	forEachRowChunk(len(dy), channels, func(first, last int) {
		activateBackward(a, dx[first:last], part(argument, first, last), part(y, first, last), dy[first:last], slope)
		if dx2 != nil {
			copy(dx2[first:last], dx[first:last])
		}
	})
}

// slopeGradient writes Σ dy·min(x, 0) over all rows, each of len(dslope) elements.
func slopeGradient[T Float](dslope, x, dy []T) {
	checkLength("x", x, len(dy))
	columns := len(dslope)
	total := make([]float64, columns)
	reduceRows(total, len(dy)/columns, columns, func(sum []float64, first, last int) {
		addSlope(sum, x[first*columns:last*columns], dy[first*columns:last*columns])
	})
	round(dslope, total)
}

func addSlope[T Float](sum []float64, x, dy []T) {
	c := 0
	for i, g := range dy[:len(x)] {
		sum[c] += float64(g) * float64(min(x[i], 0))
		if c++; c == len(sum) {
			c = 0
		}
	}
}

// choose returns yes if the condition holds and no otherwise, without a branch: the
// signs of activations are random, and half of the branches would be mispredicted.
func choose[T Float](condition bool, yes, no T) T {
	index := 0
	if condition {
		index = 1
	}
	return [2]T{no, yes}[index]
}

// checkSlope panics unless PReLU has a slope of the right length and the other
// activations have none.
func checkSlope[T Float](a Activation, slope []T, channels int) {
	if a == PReLU && len(slope) != 1 || a != PReLU && slope != nil {
		want := 0
		if a == PReLU {
			want = channels
		}
		checkLength("slope", slope, want)
	}
}

// forEachRowChunk calls work for ranges of whole rows, each of the given number of
// channels, of size elements.
func forEachRowChunk(size, channels int, work func(first, last int)) {
	step := rowsPerChunk(channels) * channels
	parallel.For(ceilDiv(size, step), func(i int) { work(i*step, min((i+1)*step, size)) })
}

// part returns x[first:last], or nil if x is nil.
func part[T Float](x []T, first, last int) []T {
	if x == nil {
		return nil
	}
	return x[first:last]
}
