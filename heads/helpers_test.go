package heads_test

import (
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// all are the heads, each form of each.
var all = []heads.Head{heads.L2{}, heads.SquaredL2{}, heads.L1{}, heads.WeightedL1{}, heads.WeightedL1{Signed: true}, heads.Cosine{}}

// batch is two sides of a batch of embeddings, and what a weighted head has
// learned, if the test sets it.
type batch struct {
	rows, features int
	x, y           []float64 // rows·features
	weight         []float64 // "head.weight", features
}

// weights holds the two sides as "x" and "y", so that they have gradients.
func (c batch) weights(t testing.TB, head heads.Head, dtype tensor.Dtype) *graph.Weights {
	t.Helper()
	w := graph.NewWeights(dtype, 1)
	shape := []int{c.rows, c.features}
	for name, values := range map[string][]float64{"x": c.x, "y": c.y} {
		if err := w.Add(name, graph.Bias, shape, values); err != nil {
			t.Fatal(err)
		}
	}
	if c.weight != nil {
		role := graph.Gain
		if head == (heads.WeightedL1{Signed: true}) {
			role = graph.Kernel
		}
		if err := w.Add("head.weight", role, shape[1:], c.weight); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// draw compares x with y, row by row, and x with itself, all with all. The
// cost adds up the distances, each with a factor of its own.
func (c batch) draw(head heads.Head) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		x := b.Weight("x", graph.Bias, graph.Initializer{}, c.rows, c.features)
		y := b.Weight("y", graph.Bias, graph.Initializer{}, c.rows, c.features)
		between, matrix := head.Paired(b, x, y), head.Pairwise(b, x, x)
		cost := b.Node(gorgonia.Add(total(b, "pairs", between), total(b, "matrix", matrix)))
		return graph.Outputs{"between": between, "matrix": matrix, graph.Cost: cost}
	}
}

// total is Σ factor·d with factors that differ, also across the diagonal.
func total(b *graph.Builder, name string, d *graph.Node) *graph.Node {
	factors := b.Weight("factors of "+name, graph.Buffer, graph.Normal(1, 0.5), d.Shape()...)
	return b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(factors, d))))
}

// result is what a run of a head gives.
type result struct {
	between, matrix []float64
	gradients       map[string][]float64
	distance        heads.Distance
}

func (c batch) run(t testing.TB, head heads.Head, dtype tensor.Dtype) result {
	t.Helper()
	w := c.weights(t, head, dtype)
	program, err := graph.Build(w, graph.Training, c.draw(head))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	r := result{gradients: map[string][]float64{}}
	if r.between, err = program.Get("between"); err != nil {
		t.Fatal(err)
	}
	if r.matrix, err = program.Get("matrix"); err != nil {
		t.Fatal(err)
	}
	for _, p := range program.Parameters() {
		if r.gradients[p.Name()], err = p.Elements(); err != nil {
			t.Fatal(err)
		}
	}
	if r.distance, err = head.Distance(w); err != nil {
		t.Fatal(err)
	}
	return r
}

// formOf is the form of a distance that has one.
func formOf(distance heads.Distance) heads.Form {
	form, _ := distance.Form()
	return form
}

// row gives row i of values as float32.
func (c batch) row(values []float64, i int) []float32 {
	row := make([]float32, c.features)
	for j := range row {
		row[j] = float32(values[i*c.features+j])
	}
	return row
}
