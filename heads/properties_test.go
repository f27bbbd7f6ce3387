package heads_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"gorgonia.org/gorgonia"
	"pgregory.net/rapid"
)

// tolerance is the error in float32 that the package's documentation promises
// for the distance d of two embeddings.
func tolerance(head heads.Head, d float64, x, y []float32, weights []float32) float64 {
	switch head.Name() {
	case "cosine":
		return 1e-6*math.Sqrt(d) + 1e-13
	case "signed-weighted-l1":
		var size float64
		for j, w := range weights {
			size += math.Abs(float64(w) * (float64(x[j]) - float64(y[j])))
		}
		return 1e-6 * size
	}
	return 1e-6 * d
}

// The graph in float32, in pairs and as a matrix, is the function on plain
// slices, which is computed in float64, up to the documented error.
func TestGraphAndSlicesAgree(t *testing.T) {
	scales := []float64{1e-3, 1, 300}
	for _, head := range all {
		t.Run(head.Name(), func(t *testing.T) {
			for seed := range uint64(12) {
				c := draw(seed, 5, []int{1, 7, 64, 1000}[seed%4])
				for i := range c.x {
					c.x[i] = float64(float32(c.x[i] * scales[seed%3]))
					c.y[i] = float64(float32(c.y[i] * scales[seed%3]))
					if i < 2*c.features { // two of the pairs are close
						c.y[i] = float64(float32(c.x[i] + 1e-4*c.y[i]))
					}
				}
				r := c.run(t, head, graph.Float32)
				for i := range c.rows {
					c.check(t, head, r, "pair", r.between[i], c.row(c.x, i), c.row(c.y, i))
					for j := range c.rows {
						c.check(t, head, r, "matrix", r.matrix[i*c.rows+j], c.row(c.x, i), c.row(c.x, j))
					}
				}
			}
		})
	}
}

func (c batch) check(t *testing.T, head heads.Head, r result, form string, found float64, x, y []float32) {
	t.Helper()
	want := r.distance.Between(x, y)
	if off := math.Abs(found - want); off > tolerance(head, want, x, y, formOf(r.distance).Weights) {
		t.Errorf("%s of %d features: found %v, want %v: off by %.3g", form, c.features, found, want, off)
	}
}

// A matrix is symmetric, and its diagonal exactly zero but for the cosine of a
// zero vector.
func TestMatrixIsSymmetric(t *testing.T) {
	for _, head := range all {
		r := draw(2, 6, 5).run(t, head, graph.Float32)
		for i := range 6 {
			if r.matrix[i*6+i] != 0 {
				t.Errorf("%s: embedding %d is at distance %v from itself", head.Name(), i, r.matrix[i*6+i])
			}
			for j := range 6 {
				if r.matrix[i*6+j] != r.matrix[j*6+i] {
					t.Errorf("%s: (%d, %d) and (%d, %d) differ", head.Name(), i, j, j, i)
				}
			}
		}
	}
}

// The heads that the documentation calls metrics obey the triangle inequality;
// for the others there are embeddings that break it, or distances below zero.
func TestMetrics(t *testing.T) {
	w := graph.NewWeights(graph.Float32, 1)
	if err := w.Add("head.weight", graph.Gain, []int{3}, []float64{-1, 0.5, 2}); err != nil {
		t.Fatal(err)
	}
	element := rapid.Float32Range(-10, 10)
	embedding := rapid.SliceOfN(element, 3, 3)
	for _, head := range []heads.Head{heads.L2{}, heads.L1{}, heads.WeightedL1{}} {
		distance, err := head.Distance(w)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			x, y, z := embedding.Draw(t, "x"), embedding.Draw(t, "y"), embedding.Draw(t, "z")
			direct, detour := distance.Between(x, z), distance.Between(x, y)+distance.Between(y, z)
			if direct < 0 || direct > detour*(1+1e-12) {
				t.Fatalf("%s: %v directly, %v by a detour", head.Name(), direct, detour)
			}
		})
	}
	x, y, z := []float32{1, 0, 0}, []float32{1, 1, 0}, []float32{0, 1, 0}
	for _, head := range []heads.Head{heads.SquaredL2{}, heads.Cosine{}} {
		distance, _ := head.Distance(nil)
		mid := distance.Between(x, y) + distance.Between(y, z)
		if head.Name() == "squared-l2" { // the middle of a straight line is the shortest detour
			mid = 2 * distance.Between(x, []float32{0.5, 0.5, 0})
		}
		if direct := distance.Between(x, z); direct <= mid {
			t.Errorf("%s: %v directly, %v by a detour, so it might be a metric", head.Name(), direct, mid)
		}
	}
	signed, _ := heads.WeightedL1{Signed: true}.Distance(w)
	if d := signed.Between(x, z); d >= 0 {
		t.Errorf("signed: found %v, want −1·1 + 0.5·1", d)
	}
}

// Cosine knows directions only: a power of two, which is exact, changes
// nothing, and the opposite direction is at distance 2.
func TestCosineOfMultiples(t *testing.T) {
	c := draw(4, 3, 5)
	for i := range c.x {
		c.y[i] = 8 * c.x[i]
	}
	for i, d := range c.run(t, heads.Cosine{}, graph.Float32).between {
		if d != 0 {
			t.Errorf("row %d: found %v, want 0", i, d)
		}
	}
	for i := range c.x {
		c.y[i] = -c.x[i]
	}
	for i, d := range c.run(t, heads.Cosine{}, graph.Float32).between {
		if math.Abs(d-2) > 1e-6 {
			t.Errorf("row %d: found %v, want 2", i, d)
		}
	}
}

// The chord's form of the cosine is 1 − x̂·ŷ, in value and in gradient.
func TestCosineEqualsItsTwin(t *testing.T) {
	c := draw(6, 4, 5)
	chord := c.run(t, heads.Cosine{}, graph.Float64)
	plain := c.run(t, plainCosine{}, graph.Float64)
	near := cmpopts.EquateApprox(0, 1e-14)
	if diff := cmp.Diff(plain.between, chord.between, near); diff != "" {
		t.Errorf("between: %s", diff)
	}
	if diff := cmp.Diff(plain.matrix, chord.matrix, near); diff != "" {
		t.Errorf("matrix: %s", diff)
	}
	if diff := cmp.Diff(plain.gradients, chord.gradients, near); diff != "" {
		t.Errorf("gradients: %s", diff)
	}
}

type plainCosine struct{ heads.Cosine }

func (plainCosine) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	product := b.Node(gorgonia.HadamardProd(b.Normalize(x), b.Normalize(y)))
	return b.Node(gorgonia.Sub(b.Constant(1), b.Node(gorgonia.Sum(product, 1))))
}

func (plainCosine) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	products := b.Node(gorgonia.Mul(b.Normalize(x), b.Node(gorgonia.Transpose(b.Normalize(y), 1, 0))))
	return b.Node(gorgonia.Sub(b.Constant(1), products))
}
