package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// activation has the arguments x and, for PReLU, slopes.
func activation(a Activation, rows, channels, slopes int) subject {
	s := subject{
		arguments: []int{rows * channels}, result: rows * channels,
		single: activationOperation[float32](a, channels),
		double: activationOperation[float64](a, channels),
		naive:  naiveActivation(a),
	}
	s.prepare = func(x [][]float64) { // so that some are beyond 6
		for i := range x[0] {
			x[0][i] *= 3
		}
	}
	if a == PReLU {
		s.arguments = append(s.arguments, slopes)
	}
	return s
}

func activationOperation[T Float](a Activation, channels int) operation[T] {
	slope := func(x [][]T) []T {
		if len(x) > 1 {
			return x[1]
		}
		return nil
	}
	return operation[T]{
		forward: func(y []T, x ...[]T) { Activate(a, y, x[0], slope(x), channels) },
		backward: func(dx, x [][]T, y, dy []T) {
			ActivateBackward(a, dx[0], slope(dx), x[0], y, dy, slope(x), channels)
		},
	}
}

var activations = []Activation{Identity, ReLU, PReLU, Sigmoid, Tanh, ReLU6, HardSigmoid, HardSwish, SiLU, GELU}

func TestActivate(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		channels := rapid.IntRange(1, 9).Draw(t, "channels")
		return activation(rapid.SampledFrom(activations).Draw(t, "activation"),
			rapid.IntRange(1, 30).Draw(t, "rows"), channels,
			rapid.SampledFrom([]int{1, channels}).Draw(t, "slopes"))
	})
}

func TestActivateInParts(t *testing.T) {
	for _, a := range activations {
		check(t, activation(a, 2*rowsPerChunk(7)+3, 7, 7), 1)
	}
}

func TestActivateGradient(t *testing.T) {
	for _, a := range activations {
		s := activation(a, 5, 2, 2)
		s.prepare = func(x [][]float64) { awayFromKinks(x[0]) }
		t.Run(a.String(), func(t *testing.T) { checkGradient(t, s) })
	}
}

// awayFromKinks moves x away from 0 and from 3, −3 and 6, where some of the functions are
// not differentiable, and some of it beyond them.
func awayFromKinks(x []float64) {
	awayFromZero(x)
	for i, v := range x {
		if i%3 == 0 {
			x[i] = v + math.Copysign(6.5, v)
		}
	}
}

// awayFromZero moves x away from zero.
func awayFromZero(x []float64) {
	for i, v := range x {
		x[i] = v + math.Copysign(0.01, v)
	}
}

// Layers without memory of their own use them in place.
func TestActivateInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(activations).Draw(t, "activation")
		x, dy := activation(a, 6, 2, 2).draw(rapid.Uint64().Draw(t, "seed"))
		f := activationOperation[float64](a, 2)
		y, dx := run(f, x, dy, nil)
		f.backward(append([][]float64{dy}, dx[1:]...), x, y, dy)
		sameBits(t, "dx in place of dy", dy, dx[0])
		f.forward(x[0], x...)
		sameBits(t, "y in place of x", x[0], y)
	})
}

// NaN must be propagated, so that it is noticed; infinities must not become NaN.
func TestActivateExtremes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	x := []float32{nan, -inf, inf, float32(math.Copysign(0, -1)), 0}
	for a, want := range map[Activation][]float32{
		Identity:    x,
		ReLU:        {nan, 0, inf, 0, 0},
		PReLU:       {nan, -inf, inf, 0, 0},
		Sigmoid:     {nan, 0, 1, 0.5, 0.5},
		Tanh:        {nan, -1, 1, 0, 0},
		ReLU6:       {nan, 0, 6, 0, 0},
		HardSigmoid: {nan, 0, 1, 0.5, 0.5},
		SiLU:        {nan, nan, inf, 0, 0}, // as in PyTorch, −∞·0
		GELU:        {nan, 0, inf, 0, 0},
	} {
		var slope []float32
		if a == PReLU {
			slope = []float32{0.25}
		}
		y := make([]float32, len(x))
		Activate(a, y, x, slope, 1)
		if diff := cmp.Diff(want, y, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%v: %s", a, diff)
		}
	}
	y := make([]float32, 1)
	if Activate(ReLU, y, x[3:4], nil, 1); math.Signbit(float64(y[0])) {
		t.Error("the ReLU of minus zero is minus zero, want zero")
	}
}

// The gradient of ReLU at zero is zero, even for an infinite dy.
func TestReLUGradientAtZero(t *testing.T) {
	dx := make([]float64, 3)
	ActivateBackward(ReLU, dx, nil, []float64{0, math.Copysign(0, -1), -1}, nil, []float64{1, math.Inf(1), math.Inf(-1)}, nil, 3)
	near(t, "dx", dx, []float64{0, 0, 0}, 0)
}

func TestActivationString(t *testing.T) {
	if got, want := fmt.Sprint(append(activations, 99)), "[identity relu prelu sigmoid tanh relu6 hardsigmoid hardswish silu gelu activation(99)]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
