package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Three towers whose sigmoids are reshaped and subtracted. The subtraction may
// work in place, and Gorgonia's Reshape shares the memory of the sigmoid, which
// the gradient still needs.
func reshapedTowers(reshape func(b *graph.Builder, x *graph.Node) *graph.Node) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		var towers [3]*graph.Node
		for i, name := range []string{"anchor", "positive", "negative"} {
			x := b.Sequence([]graph.Block{graph.Conv{Filters: 2, Kernel: 3}}, weight(b, name, 2, 4, 5, 1))
			towers[i] = reshape(b, b.Node(gorgonia.Sigmoid(x)))
		}
		near := b.Node(gorgonia.Sub(towers[0], towers[1]))
		far := b.Node(gorgonia.Sub(towers[0], towers[2]))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sub(sumOfSquares(b, near), sumOfSquares(b, far)))}
	}
}

func TestReshapeAndFlattenCopy(t *testing.T) {
	flatten := reshapedTowers(func(b *graph.Builder, x *graph.Node) *graph.Node {
		return b.Sequence([]graph.Block{graph.Flatten{}}, x)
	})
	own := reshapedTowers(func(b *graph.Builder, x *graph.Node) *graph.Node { return b.Reshape(x, 2, 12) })
	stock := reshapedTowers(func(b *graph.Builder, x *graph.Node) *graph.Node {
		return b.Node(gorgonia.Reshape(x, tensor.Shape{2, 12}))
	})
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, flatten)
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, own)

	graph.AllowWrongOperations(t)
	gradientsOf := func(draw func(*graph.Builder) graph.Outputs) values {
		program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, draw)
		run(t, program)
		return gradients(t, program)
	}
	expectNear(t, "gradients with Flatten and with Reshape", gradientsOf(flatten), gradientsOf(own), 1e-12)
	if cmp.Equal(gradientsOf(own), gradientsOf(stock), cmpopts.EquateApprox(1e-3, 1e-3)) {
		t.Error("Gorgonia's own Reshape gives the right gradients: these towers do not provoke the trap")
	}
}

// Reductions over the first, the second and the last axis are right, those over another
// axis are wrong. Where Gorgonia is mended, the refusal can go.
func TestReductionsOverInnerAxes(t *testing.T) {
	graph.AllowWrongOperations(t)
	shape := []int{2, 3, 4, 5}
	x := make([]float64, 2*3*4*5)
	for i := range x {
		x[i] = float64(i * i % 17)
	}
	for axis, extent := range shape {
		program := build(t, graph.NewWeights(graph.Float64, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			in := b.Input("x", shape...)
			return graph.Outputs{"sum": b.Node(gorgonia.Sum(in, axis)), "max": b.Node(gorgonia.Max(in, axis))}
		})
		set(t, program, values{"x": x})
		run(t, program)
		inside := 1
		for _, n := range shape[axis+1:] {
			inside *= n
		}
		sums, maxima := make([]float64, len(x)/extent), make([]float64, len(x)/extent)
		for i, v := range x {
			at := i/(inside*extent)*inside + i%inside
			sums[at] += v
			maxima[at] = max(maxima[at], v)
		}
		right := cmp.Equal(get(t, program, "sum"), sums) && cmp.Equal(get(t, program, "max"), maxima)
		if wrong := axis == 2; right == wrong {
			t.Errorf("axis %d of 4: found right values %v, expected %v", axis, right, !wrong)
		}
	}
}

// Two operations that are alike in all but their state stay two.
func TestEqualOperationsAreNotMerged(t *testing.T) {
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Input("x", 3)
		return graph.Outputs{
			"first":  b.Apply("shift", tensor.Shape{3}, &shift[float32]{by: 1}, &shift[float64]{by: 1}, x),
			"second": b.Apply("shift", tensor.Shape{3}, &shift[float32]{by: 2}, &shift[float64]{by: 2}, x),
		}
	})
	set(t, program, values{"x": {10, 20, 30}})
	run(t, program)
	expectEqual(t, "first", get(t, program, "first"), []float64{11, 21, 31})
	expectEqual(t, "second", get(t, program, "second"), []float64{12, 22, 32})
}

type shift[T graph.Float] struct{ by T }

func (s *shift[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		y[i] = v + s.by
	}
}

func (s *shift[T]) Backward(dx, x [][]T, y, dy []T) { copy(dx[0], dy) }

// A transposed view is read in the order of its rows, by users and by
// operations.
func TestTransposedViews(t *testing.T) {
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Node(gorgonia.Transpose(b.Input("x", 2, 3)))
		return graph.Outputs{"x": x, "shifted": b.Apply("shift", x.Shape(), &shift[float32]{by: 10}, &shift[float64]{by: 10}, x)}
	})
	set(t, program, values{"x": {1, 2, 3, 4, 5, 6}})
	run(t, program)
	expectEqual(t, "x", get(t, program, "x"), []float64{1, 4, 2, 5, 3, 6})
	expectEqual(t, "shifted", get(t, program, "shifted"), []float64{11, 14, 12, 15, 13, 16})
}

// One node may be given back under two names, and so may an input or a weight.
func TestOutputsOfOneNode(t *testing.T) {
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Input("x", 2)
		y := b.Node(gorgonia.Neg(x))
		return graph.Outputs{"x": x, "y": y, "again": y, "weight": b.Weight("w", graph.Bias, graph.Constant(7), 2), "five": b.Constant(5)}
	})
	set(t, program, values{"x": {1, -2}})
	run(t, program)
	for name, expected := range (values{"x": {1, -2}, "y": {-1, 2}, "again": {-1, 2}, "weight": {7, 7}, "five": {5}}) {
		expectEqual(t, name, get(t, program, name), expected)
	}
}

// Operations in place must overwrite neither what a user reads nor what the
// program does not own. Every operand here is one that Gorgonia would like to
// overwrite, and a batch of one is where broadcasting has nothing to copy.
func TestNothingIsOverwritten(t *testing.T) {
	for _, rows := range []int{1, 3} {
		weights := graph.NewWeights(graph.Float64, 1)
		program := build(t, weights, graph.Training, func(b *graph.Builder) graph.Outputs {
			x, w, column := b.Input("x", rows, 2), weight(b, "w", rows, 2), weight(b, "column", 2)
			difference := b.Node(gorgonia.Sub(w, x))
			product := b.Node(gorgonia.HadamardProd(difference, b.Node(gorgonia.Neg(w))))
			sigmoid := b.Node(gorgonia.Sigmoid(product))
			sum := b.Node(gorgonia.BroadcastAdd(column, sigmoid, []byte{0}, nil))
			exponential := b.Node(gorgonia.Exp(sum))
			return graph.Outputs{
				"difference": difference, "product": product, "sigmoid": sigmoid, "sum": sum, "exponential": exponential,
				graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Exp(b.Node(gorgonia.Neg(exponential)))))), "x": x,
			}
		})
		x := normal(rows*2, "x")
		set(t, program, values{"x": x})
		before := weightValues(weights)
		for range 3 {
			run(t, program)
			expectEqual(t, "input", get(t, program, "x"), x)
			expectEqual(t, "weights", weightValues(weights), before)
			for i, w := range before["w"] {
				difference := w - x[i]
				product := -difference * w
				sigmoid := 1 / (1 + math.Exp(-product))
				sum := before["column"][i%2] + sigmoid
				for name, expected := range map[string]float64{
					"difference": difference, "product": product, "sigmoid": sigmoid, "sum": sum, "exponential": math.Exp(sum),
				} {
					expectNear(t, name, get(t, program, name)[i], expected, 1e-14)
				}
			}
		}
	}
}

// Gorgonia adds up gradients over runs; here each run has its own, also after
// one that failed half-way.
func TestGradientsDoNotAccumulate(t *testing.T) {
	fragile := &fragile{}
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		y := b.Sequence([]graph.Block{graph.Linear{Units: 3}}, b.Input("x", 2, 4))
		return graph.Outputs{graph.Cost: sumOfSquares(b, fragile.apply(b, y))}
	})
	set(t, program, values{"x": normal(8, "x")})
	run(t, program)
	first := gradients(t, program)
	for range 3 {
		run(t, program)
		expectEqual(t, "gradients", gradients(t, program), first)
	}
	fragile.backward = true
	if program.Run() == nil {
		t.Fatal("the run did not fail")
	}
	fragile.backward = false
	run(t, program)
	expectEqual(t, "gradients after an aborted run", gradients(t, program), first)
}

// A panic inside an operation would end the process, because Gorgonia runs
// operations in a goroutine of its own. It becomes an error that names the
// layer, and the program runs again.
func TestPanicsBecomeErrors(t *testing.T) {
	fragile := &fragile{}
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		y := b.Scope("tower", func() *graph.Node { return fragile.apply(b, weight(b, "x", 3)) })
		return graph.Outputs{"y": y, graph.Cost: sumOfSquares(b, y)}
	})
	run(t, program)
	y, gradient := get(t, program, "y"), gradients(t, program)
	for name, where := range map[string]*bool{"forward": &fragile.forward, "backward": &fragile.backward, "worker": &fragile.worker} {
		*where = true
		err := program.Run()
		*where = false
		if err == nil || !strings.Contains(err.Error(), "tower.fragile") || !strings.Contains(err.Error(), "broken "+name) {
			t.Errorf("%s: found error %v, expected one of tower.fragile", name, err)
		}
		if _, err := program.Get("y"); err == nil {
			t.Errorf("%s: an aborted run has an output", name)
		}
		if _, err := program.Parameters()[0].Grad(); err == nil {
			t.Errorf("%s: an aborted run has a gradient", name)
		}
		run(t, program)
		expectEqual(t, "output", get(t, program, "y"), y)
		expectEqual(t, "gradients", gradients(t, program), gradient)
	}
}

// fragile is the identity until it is set to panic.
type fragile struct{ forward, backward, worker bool }

func (f *fragile) apply(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.Apply("fragile", x.Shape(), fragileFunction[float32]{f}, fragileFunction[float64]{f}, x)
}

type fragileFunction[T graph.Float] struct{ *fragile }

func (f fragileFunction[T]) Forward(y []T, x ...[]T) {
	graph.Parallel(4, func(i int) {
		if f.worker && i == 3 {
			panic("broken worker")
		}
	})
	if f.forward {
		panic("broken forward")
	}
	copy(y, x[0])
}

func (f fragileFunction[T]) Backward(dx, x [][]T, y, dy []T) {
	if f.backward {
		panic("broken backward")
	}
	copy(dx[0], dy)
}
