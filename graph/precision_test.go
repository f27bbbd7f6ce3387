package graph_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gonum.org/v1/gonum/floats"
	"gorgonia.org/gorgonia"
)

func TestParsePrecision(t *testing.T) {
	for name, want := range map[string]graph.Precision{"": graph.SinglePrecision, "float32": graph.SinglePrecision, "bfloat16": graph.BFloat16} {
		if got, err := graph.ParsePrecision(name); got != want || err != nil {
			t.Errorf("%q: found %v and error %v, expected %v", name, got, err, want)
		}
		if name != "" && want.String() != name {
			t.Errorf("found the name %q, expected %q", want, name)
		}
	}
	if _, err := graph.ParsePrecision("float16"); err == nil || !strings.Contains(err.Error(), `found "float16", expected float32 or bfloat16`) {
		t.Errorf("found error %v", err)
	}
	if got := graph.Precision(7).String(); got != "Precision(7)" {
		t.Errorf("found %q", got)
	}
	_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		b.SetPrecision(7)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "found Precision(7), expected float32 or bfloat16") {
		t.Errorf("found error %v", err)
	}
}

// Networks whose layers are rounded: Conv4 (Vinyals et al. 2016) with 20 filters, to which Winograd's
// algorithms do not apply, and a residual network with strides, shortcuts and a bottleneck.
var roundedNetworks = map[string][]graph.Block{
	"conv4": {
		graph.Conv{Filters: 20, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		graph.Conv{Filters: 20, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		graph.Conv{Filters: 20, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu"},
		graph.Flatten{}, graph.Linear{Units: 9},
	},
	"residual": {
		graph.Conv{Filters: 32, Kernel: 5, Stride: 2, Padding: 2, NoBias: true, BatchNorm: true, Activation: "silu"},
		graph.Residual{
			Body: []graph.Block{
				graph.Conv{Filters: 16, Kernel: 1, NoBias: true, BatchNorm: true, Activation: "silu"},
				graph.Conv{Filters: 16, Kernel: 3, Stride: 2, Padding: 1, NoBias: true, BatchNorm: true, Activation: "silu"},
				graph.Conv{Filters: 64, Kernel: 1, NoBias: true, BatchNorm: true},
			},
			Shortcut:   []graph.Block{graph.Conv{Filters: 64, Kernel: 1, Stride: 2, NoBias: true, BatchNorm: true}},
			Activation: "silu",
		},
		graph.Flatten{}, graph.Linear{Units: 9},
	},
}

// gradientsIn returns the gradients of two towers with images (4, 12, 12, 3).
func gradientsIn(t *testing.T, blocks []graph.Block, dtype func() *graph.Weights, precision graph.Precision) values {
	t.Helper()
	program := build(t, dtype(), graph.Training, func(b *graph.Builder) graph.Outputs {
		b.SetPrecision(precision)
		x := b.Sequence(blocks, b.Input("x", 4, 12, 12, 3))
		y := b.Sequence(blocks, b.Input("y", 4, 12, 12, 3))
		b.SetPrecision(graph.SinglePrecision)
		return graph.Outputs{graph.Cost: sumOfSquares(b, b.Node(gorgonia.Sub(x, y)))}
	})
	set(t, program, values{"x": normal(4*12*12*3, "x"), "y": normal(4*12*12*3, "y")})
	run(t, program)
	return gradients(t, program)
}

// The gradients of a network with factors of bfloat16 point in the direction of those of float64. Rounding
// changes each factor by a random part of at most 2⁻⁸, and so a gradient by a few times as much, and the
// cosine of the angle by half the square of that: in a smooth network it is above 1 − 2⁻¹⁰. Where other
// elements than in float64 are above zero or the maximum of their window, those of about one in 2⁸
// windows, a gradient changes more: with ReLU and pools the cosine is above 1 − 2⁻⁶. That of float32
// is above 1 − 10⁻⁹.
func TestGradientsInBFloat16(t *testing.T) {
	defer graph.SetPairs(graph.BFloat16.Faster())
	defer graph.SetThreads(graph.Threads())
	for name, blocks := range roundedNetworks {
		tolerance := map[string]float64{"conv4": 0x1p-6, "residual": 0x1p-10}[name]
		single := func() *graph.Weights { return graph.NewWeights(graph.Float32, 3) }
		exact := gradientsIn(t, blocks, func() *graph.Weights { return graph.NewWeights(graph.Float64, 3) }, graph.BFloat16) // which float64 ignores
		plain := gradientsIn(t, blocks, single, graph.SinglePrecision)
		for _, pairs := range []bool{false, true} {
			graph.SetPairs(pairs)
			what := fmt.Sprintf("%s, pairs %v", name, pairs)
			graph.SetThreads(1)
			rounded := gradientsIn(t, blocks, single, graph.BFloat16)
			graph.SetThreads(3)
			expectEqual(t, what+", three threads", gradientsIn(t, blocks, single, graph.BFloat16), rounded)
			for weight, want := range exact {
				if off := angle(plain[weight], want); off > 1e-9 {
					t.Errorf("%s: float32: the gradient of %s has a cosine of 1 - %g with that of float64", what, weight, off)
				}
				if off := angle(rounded[weight], want); off > tolerance || off < 1e-9 {
					t.Errorf("%s: the gradient of %s has a cosine of 1 - %g with that of float64, expected 1e-9 to %g", what, weight, off, tolerance)
				}
			}
		}
	}
}

// angle returns one minus the cosine of the angle between two vectors.
func angle(x, y []float64) float64 {
	return 1 - floats.Dot(x, y)/(floats.Norm(x, 2)*floats.Norm(y, 2))
}

// The products of a network by hand, and those of them that are rounded: in training only, and not
// the depthwise convolution.
func TestWork(t *testing.T) {
	blocks := []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1},            // 64 · 9 · 3 · 8
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Groups: 8}, // 64 · 9 · 8
		graph.Flatten{}, graph.Linear{Units: 5}, // 512 · 5
	}
	const images, rounded, depthwise = 4, 64*9*3*8 + 512*5, 64 * 9 * 8
	for _, c := range []struct {
		mode      graph.Mode
		precision graph.Precision
		want      graph.Work
	}{
		{graph.Training, graph.SinglePrecision, graph.Work{Direct: images * (rounded + depthwise), Fastest: images * (rounded + depthwise)}},
		{graph.Training, graph.BFloat16, graph.Work{Direct: images * (rounded + depthwise), Fastest: images * (rounded + depthwise), Rounded: images * rounded}},
		{graph.Evaluation, graph.BFloat16, graph.Work{Direct: images * (rounded + depthwise), Fastest: images * (rounded + depthwise)}},
	} {
		program := build(t, graph.NewWeights(graph.Float32, 1), c.mode, func(b *graph.Builder) graph.Outputs {
			b.SetPrecision(c.precision)
			y := b.Sequence(blocks, b.Input("x", images, 8, 8, 3))
			return graph.Outputs{graph.Cost: sumOfSquares(b, y)}
		})
		expectEqual(t, fmt.Sprint(c.mode, c.precision), program.Work(), c.want)
	}
	// Winograd's F(4×4, 3×3) computes 16 results with 36 products: 8×8 results are 4 tiles.
	program := build(t, graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		b.SetPrecision(graph.BFloat16)
		y := b.Sequence([]graph.Block{graph.Conv{Filters: 32, Kernel: 3, Padding: 1}}, b.Input("x", 16, 8, 8, 16))
		return graph.Outputs{graph.Cost: sumOfSquares(b, y)}
	})
	expectEqual(t, "Winograd", program.Work(), graph.Work{Direct: 16 * 64 * 9 * 16 * 32, Fastest: 16 * 4 * 36 * 16 * 32})
	if work := (*graph.Program)(nil).Work(); work != (graph.Work{}) || math.IsNaN(work.Direct) {
		t.Errorf("a nil program: found %v", work)
	}
}

// The arithmetic that checkpoints record says how factors of bfloat16 are multiplied.
func TestPrecisionArithmetic(t *testing.T) {
	defer graph.SetPairs(graph.BFloat16.Faster())
	if got := graph.SinglePrecision.Arithmetic(); got != graph.Arithmetic() {
		t.Errorf("float32: found %q", got)
	}
	graph.SetPairs(false)
	without := graph.BFloat16.Arithmetic()
	graph.SetPairs(true)
	if with := graph.BFloat16.Arithmetic(); with == without || !strings.HasPrefix(with, graph.Arithmetic()+", bfloat16 by ") {
		t.Errorf("found %q with pairs and %q without", with, without)
	}
}
