package graph_test

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// blend is a user's Function of three operands: y = t·u + (1 − t)·v, with a
// scratch of its own. It notes which gradients it was asked for.
type blend[T graph.Float] struct {
	difference []T // u − v of the last forward pass
	wanted     *[][]bool
}

func (f *blend[T]) Forward(y []T, x ...[]T) {
	t, u, v := x[0], x[1], x[2]
	f.difference = f.difference[:0]
	for i := range y {
		f.difference = append(f.difference, u[i]-v[i])
		y[i] = v[i] + t[i]*f.difference[i]
	}
}

func (f *blend[T]) Backward(dx, x [][]T, y, dy []T) {
	*f.wanted = append(*f.wanted, []bool{dx[0] != nil, dx[1] != nil, dx[2] != nil})
	for i, d := range dy {
		t := x[0][i]
		for k, slope := range []T{f.difference[i], t, 1 - t} {
			if dx[k] != nil {
				dx[k][i] = d * slope
			}
		}
	}
}

func applyBlend(b *graph.Builder, wanted *[][]bool, t, u, v *graph.Node) *graph.Node {
	return b.Apply("blend", u.Shape(), &blend[float32]{wanted: wanted}, &blend[float64]{wanted: wanted}, t, u, v)
}

func TestUserFunction(t *testing.T) {
	var wanted [][]bool
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
		t, u, v := weight(b, "t", 2, 3), weight(b, "u", 2, 3), weight(b, "v", 2, 3)
		first := applyBlend(b, &wanted, t, u, v)
		second := applyBlend(b, &wanted, b.Node(gorgonia.Sigmoid(first)), v, v) // one operand twice
		return graph.Outputs{graph.Cost: sumOfSquares(b, applyBlend(b, &wanted, t, first, second), weight(b, "importance", 2, 3))}
	})
}

// Backward is asked for the gradients that lead to a learned weight, and in an
// evaluation it is not asked at all.
func TestFunctionIsAskedForWhatIsNeeded(t *testing.T) {
	weights := graph.NewWeights(graph.Float32, 1)
	var wanted [][]bool
	draw := func(b *graph.Builder) graph.Outputs {
		u, v := weight(b, "u", 3), weight(b, "v", 3)
		y := applyBlend(b, &wanted, b.Input("t", 3), b.Node(gorgonia.Neg(u)), v)
		return graph.Outputs{graph.Cost: sumOfSquares(b, y)}
	}
	runOf := func(mode graph.Mode) [][]bool {
		wanted = nil
		run(t, build(t, weights, mode, draw))
		return wanted
	}
	expectEqual(t, "all learned", runOf(graph.Training), [][]bool{{false, true, true}})
	if err := weights.Freeze("v"); err != nil {
		t.Fatal(err)
	}
	expectEqual(t, "v frozen", runOf(graph.Training), [][]bool{{false, true, false}})
	expectEqual(t, "evaluation", runOf(graph.Evaluation), nil)
}

// A block of a user's own is one among others: twins share its weights, and its
// gradients are right.
func TestUserBlock(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	gradcheck.Check(t, weights, nil, func(b *graph.Builder) graph.Outputs {
		blocks := []graph.Block{graph.Linear{Units: 3}, Swish{}, graph.Linear{Units: 2}, Swish{}}
		difference := b.Node(gorgonia.Sub(b.Sequence(blocks, weight(b, "left", 4, 3)), b.Sequence(blocks, weight(b, "right", 4, 3))))
		return graph.Outputs{graph.Cost: sumOfSquares(b, difference, weight(b, "importance", 4, 2))}
	})
	for name, size := range map[string]int{"swish1.beta": 3, "swish2.beta": 2} {
		expectEqual(t, name, len(elements(weights.Get(name))), size)
	}
}

// A function may come in one arithmetic, and then serves graphs of no other.
func TestFunctionOfOneArithmetic(t *testing.T) {
	draw := func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"y": b.Apply("halve", tensor.Shape{2}, &halve{}, nil, b.Input("x", 2))}
	}
	program := build(t, graph.NewWeights(graph.Float32, 1), graph.Evaluation, draw)
	set(t, program, values{"x": {3, 5}})
	run(t, program)
	expectEqual(t, "y", get(t, program, "y"), []float64{1.5, 2.5})
	_, err := graph.Build(graph.NewWeights(graph.Float64, 1), graph.Evaluation, draw)
	if err == nil || !strings.Contains(err.Error(), "halve: the function has no form for float64") {
		t.Errorf("found error %v", err)
	}
}

type halve struct{}

func (*halve) Forward(y []float32, x ...[]float32) {
	for i, v := range x[0] {
		y[i] = v / 2
	}
}

func (*halve) Backward(dx, x [][]float32, y, dy []float32) { (&halve{}).Forward(dx[0], dy) }
