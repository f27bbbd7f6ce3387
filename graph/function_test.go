package graph_test

import (
	"math"
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

// A user-defined block is one among others: twins share its weights, and its gradients
// are right.
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

// halfSquares is a Function with a scalar as its output: y = k·Σ x²/2, of a
// vector and, as second operand, a scalar factor k.
type halfSquares[T graph.Float] struct{}

func (halfSquares[T]) Forward(y []T, x ...[]T) {
	y[0] = 0
	for _, v := range x[0] {
		y[0] += x[1][0] * v * v / 2
	}
}

func (halfSquares[T]) Backward(dx, x [][]T, y, dy []T) {
	k := x[1][0]
	if dx[0] != nil {
		for i, v := range x[0] {
			dx[0][i] = dy[0] * k * v
		}
	}
	if dx[1] != nil {
		dx[1][0] = dy[0] * y[0] / k
	}
}

func applyHalfSquares(b *graph.Builder, x, factor *graph.Node) *graph.Node {
	return b.Apply("half squares", tensor.ScalarShape(), halfSquares[float32]{}, halfSquares[float64]{}, x, factor)
}

// A Function may give a scalar, which is a cost as it is, the operand of
// Gorgonia's operations, and the operand of another Function.
func TestScalarFunctions(t *testing.T) {
	draw := func(b *graph.Builder) map[string]*graph.Node {
		x, three := weight(b, "x", 4), b.Constant(3)
		direct := applyHalfSquares(b, x, three)
		chained := applyHalfSquares(b, x, direct)
		stock := b.Node(gorgonia.Mul(b.Node(gorgonia.Square(direct)), b.Node(gorgonia.Sum(x))))
		shared := b.Node(gorgonia.Add(b.Node(gorgonia.Exp(b.Node(gorgonia.Neg(direct)))), applyHalfSquares(b, x, direct)))
		return map[string]*graph.Node{"direct": direct, "chained": chained, "stock": stock, "shared": shared}
	}
	for _, dtype := range []tensor.Dtype{graph.Float64, graph.Float32} {
		weights := graph.NewWeights(dtype, 1)
		for _, name := range []string{"direct", "chained", "stock", "shared"} {
			asCost := func(b *graph.Builder) graph.Outputs {
				node := draw(b)[name]
				if !node.IsScalar() {
					t.Errorf("%s: the node has shape %v, expected a scalar", name, node.Shape())
				}
				return graph.Outputs{graph.Cost: node}
			}
			if dtype == graph.Float64 {
				gradcheck.Check(t, weights, nil, asCost)
			}
			for _, mode := range []graph.Mode{graph.Training, graph.Evaluation} {
				program := build(t, weights, mode, asCost)
				for range 3 {
					for i := range 4 { // the weights change between two runs, as in training
						setElement(weights.Get("x"), i, float64(i)+1)
					}
					run(t, program)
					found, err := program.Scalar(graph.Cost)
					if err != nil {
						t.Fatal(err)
					}
					const squares, sum = 1. + 4 + 9 + 16, 10. // of 1, 2, 3, 4
					direct := 3 * squares / 2
					expected := map[string]float64{
						"direct": direct, "chained": direct * squares / 2, "stock": direct * direct * sum,
						"shared": math.Exp(-direct) + direct*squares/2,
					}[name]
					expectNear(t, name, found, expected, 1e-6)
					setElement(weights.Get("x"), 0, 0)
					run(t, program)
					again, err := program.Scalar(graph.Cost)
					if err != nil || again >= found {
						t.Errorf("%s: found %v (error %v) for smaller weights, expected less than %v", name, again, err, found)
					}
				}
			}
		}
	}
}

// setElement sets one element of a weight.
func setElement(weight *graph.Weight, i int, value float64) {
	if weight.Value.Dtype() == graph.Float64 {
		weight.Value.Float64s()[i] = value
	} else {
		weight.Value.Float32s()[i] = float32(value)
	}
}

// A reshape to the scalar shape makes a cost of a tensor with one element.
func TestReshapeToScalar(t *testing.T) {
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
		product := b.Node(gorgonia.Mul(weight(b, "row", 1, 3), weight(b, "column", 3, 1)))
		return graph.Outputs{graph.Cost: b.Reshape(product)}
	})
}
