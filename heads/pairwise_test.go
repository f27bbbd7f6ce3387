package heads_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"gorgonia.org/tensor"
)

// rectangle is rows embeddings x and references embeddings y of some features.

type rectangle struct {
	rows, references, features int
	x, y                       []float64
}

func newRectangle(rows, references, features int) rectangle {
	r, c := random.New(8, "rectangle"), rectangle{rows: rows, references: references, features: features}
	for range rows * features {
		c.x = append(c.x, float64(float32(r.NormFloat64())))
	}
	for range references * features {
		c.y = append(c.y, float64(float32(r.NormFloat64())))
	}
	return c
}

// degenerate has equal rows in both operands and a zero row in y.
func (c rectangle) degenerate() rectangle {
	c.y = slices.Clone(c.y)
	copy(c.y, c.x[:min(2*c.features, len(c.x), len(c.y))])
	clear(c.y[len(c.y)-c.features:])
	return c
}

func (c rectangle) weights(t testing.TB, head heads.Head, dtype tensor.Dtype) *graph.Weights {
	t.Helper()
	weights := graph.NewWeights(dtype, 1)
	for name, values := range map[string][]float64{"x": c.x, "y": c.y} {
		if err := weights.Add(name, graph.Bias, []int{len(values) / c.features, c.features}, values); err != nil {
			t.Fatal(err)
		}
	}
	return weights
}

func (c rectangle) draw(head heads.Head) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		x := b.Weight("x", graph.Bias, graph.Initializer{}, c.rows, c.features)
		y := b.Weight("y", graph.Bias, graph.Initializer{}, c.references, c.features)
		distances := head.Pairwise(b, x, y)
		return graph.Outputs{"distances": distances, graph.Cost: total(b, "pairs", distances)}
	}
}

// run returns the distances and the gradients.
func (c rectangle) run(t testing.TB, head heads.Head, dtype tensor.Dtype) (distances []float64, gradients map[string][]float64, weights *graph.Weights) {
	t.Helper()
	weights = c.weights(t, head, dtype)
	program, err := graph.Build(weights, graph.Training, c.draw(head))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	if distances, err = program.Get("distances"); err != nil {
		t.Fatal(err)
	}
	gradients = map[string][]float64{}
	for _, p := range program.Parameters() {
		if gradients[p.Name()], err = p.Elements(); err != nil {
			t.Fatal(err)
		}
	}
	return distances, gradients, weights
}

// Rectangular distances are, in float32 and in float64, the head's function of
// each row of x and each row of y.
func TestPairwiseOfTwoBatches(t *testing.T) {
	for _, head := range all {
		for _, shape := range [][3]int{{4, 7, 5}, {7, 4, 5}, {1, 3, 9}, {3, 1, 9}, {1, 1, 1}, {3, 3, 4}} {
			c := newRectangle(shape[0], shape[1], shape[2]).degenerate()
			for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
				distances, gradients, weights := c.run(t, head, dtype)
				distance, err := head.Distance(weights)
				if err != nil {
					t.Fatal(err)
				}
				if len(distances) != c.rows*c.references {
					t.Fatalf("%s of %v: found %d distances", head.Name(), shape, len(distances))
				}
				for i, found := range distances {
					x, y := narrow(c.x, i/c.references, c.features), narrow(c.y, i%c.references, c.features)
					want := distance.Between(x, y)
					if off := math.Abs(found - want); off > tolerance(head, want, x, y, formOf(distance).Weights) {
						t.Errorf("%s of %v in %v, distance (%d, %d): found %v, want %v", head.Name(), shape, dtype, i/c.references, i%c.references, found, want)
					}
				}
				for name, gradient := range gradients {
					if slices.ContainsFunc(gradient, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
						t.Errorf("%s of %v in %v: the gradient of %s is %v", head.Name(), shape, dtype, name, gradient)
					}
				}
			}
		}
	}
}

func narrow(values []float64, row, columns int) []float32 {
	out := make([]float32, columns)
	for j := range out {
		out[j] = float32(values[row*columns+j])
	}
	return out
}

// Their gradients by both operands and by the head's weights are those of finite
// differences in float64, and in float32 the same but for rounding.
func TestGradientsOfTwoBatches(t *testing.T) {
	for _, head := range all {
		for _, shape := range [][3]int{{3, 5, 4}, {5, 3, 4}, {1, 4, 3}, {4, 1, 3}} {
			c := newRectangle(shape[0], shape[1], shape[2])
			gradcheck.Check(t, c.weights(t, head, graph.Float64), nil, c.draw(head))
			_, double, _ := c.run(t, head, graph.Float64)
			_, single, _ := c.run(t, head, graph.Float32)
			if diff := cmp.Diff(double, single, cmpopts.EquateApprox(1e-4, 1e-5)); diff != "" {
				t.Errorf("%s of %v in float32: %s", head.Name(), shape, diff)
			}
		}
	}
}

// One node as both operands gives the same values as two nodes of equal values,
// bit for bit, and the sum of the gradients by the two operands.
func TestPairwiseOfOneBatch(t *testing.T) {
	for _, head := range all {
		c := newRectangle(4, 4, 5)
		c.y = c.x
		twice, gradients, _ := c.run(t, head, graph.Float32)
		program, err := graph.Build(c.weights(t, head, graph.Float32), graph.Training, func(b *graph.Builder) graph.Outputs {
			x := b.Weight("x", graph.Bias, graph.Initializer{}, c.rows, c.features)
			distances := head.Pairwise(b, x, x)
			return graph.Outputs{"distances": distances, graph.Cost: total(b, "pairs", distances)}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		once, err := program.Get("distances")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(once, twice) {
			t.Errorf("%s: found %v of one node, %v of two", head.Name(), once, twice)
		}
		for _, p := range program.Parameters() {
			if p.Name() != "x" {
				continue
			}
			found, err := p.Elements()
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(gradients["x"])
			for i, v := range gradients["y"] {
				want[i] += v
			}
			if diff := cmp.Diff(want, found, cmpopts.EquateApprox(1e-5, 1e-6)); diff != "" {
				t.Errorf("%s: gradient: %s", head.Name(), diff)
			}
		}
	}
}
