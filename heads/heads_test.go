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
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

func TestNamed(t *testing.T) {
	var names []string
	for _, head := range all {
		names = append(names, head.Name())
		if found, err := heads.Named(head.Name()); err != nil || found != head {
			t.Errorf("Named(%q) = %v, %v", head.Name(), found, err)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, heads.Names) {
		t.Errorf("Names are %q, the heads have %q", heads.Names, names)
	}
	_, err := heads.Named("cosin")
	want := `unknown head "cosin": did you mean "cosine"? There are cosine, l1, l2, signed-weighted-l1, squared-l2, weighted-l1`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, want %s", err, want)
	}
}

// Shapes that do not fit are errors of Build, for every head and form.
func TestShapesAreChecked(t *testing.T) {
	for _, head := range all {
		for name, draw := range map[string]func(b *graph.Builder) *graph.Node{
			"rows differ":     func(b *graph.Builder) *graph.Node { return head.Paired(b, b.Input("x", 2, 3), b.Input("y", 3, 3)) },
			"features differ": func(b *graph.Builder) *graph.Node { return head.Paired(b, b.Input("x", 2, 3), b.Input("y", 2, 4)) },
			"pairwise features differ": func(b *graph.Builder) *graph.Node {
				return head.Pairwise(b, b.Input("x", 2, 3), b.Input("y", 2, 4))
			},
			"images": func(b *graph.Builder) *graph.Node {
				x := b.Input("x", 2, 3, 3, 1)
				return head.Pairwise(b, x, x)
			},
		} {
			program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
				return graph.Outputs{"distance": draw(b)}
			})
			if err == nil {
				program.Close()
				t.Errorf("%s, %s: built without an error", head.Name(), name)
			}
		}
	}
}

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

// Distances worked by hand, in all three forms of each head.
func TestWorkedValues(t *testing.T) {
	c := batch{rows: 3, features: 2,
		x: []float64{3, 0 /**/, 1, 1 /**/, 0, 0},
		y: []float64{0, 4 /**/, 2, 2 /**/, 3, 4},
	}
	log3 := math.Log(3) // softplus(log 3) = log 4
	tests := map[string]struct {
		head    heads.Head
		weight  []float64
		between []float64
		matrix  []float64
	}{
		"l2": {heads.L2{}, nil, []float64{5, math.Sqrt2, 5},
			[]float64{0, math.Sqrt(5), 3 /**/, math.Sqrt(5), 0, math.Sqrt2 /**/, 3, math.Sqrt2, 0}},
		"squared l2": {heads.SquaredL2{}, nil, []float64{25, 2, 25},
			[]float64{0, 5, 9 /**/, 5, 0, 2 /**/, 9, 2, 0}},
		"l1": {heads.L1{}, nil, []float64{7, 2, 7},
			[]float64{0, 3, 3 /**/, 3, 0, 2 /**/, 3, 2, 0}},
		"weighted l1, at first the plain one": {heads.WeightedL1{}, nil, []float64{7, 2, 7},
			[]float64{0, 3, 3 /**/, 3, 0, 2 /**/, 3, 2, 0}},
		"weighted l1": {heads.WeightedL1{}, []float64{0, log3}, []float64{3*math.Ln2 + 8*math.Ln2, 3 * math.Ln2, 11 * math.Ln2},
			[]float64{0, 4 * math.Ln2, 3 * math.Ln2 /**/, 4 * math.Ln2, 0, 3 * math.Ln2 /**/, 3 * math.Ln2, 3 * math.Ln2, 0}},
		"signed": {heads.WeightedL1{Signed: true}, []float64{2, -1}, []float64{2, 1, 2},
			[]float64{0, 3, 6 /**/, 3, 0, 1 /**/, 6, 1, 0}},
		"cosine": {heads.Cosine{}, nil, []float64{1, 0, 1},
			[]float64{0, 1 - math.Sqrt2/2, 1 /**/, 1 - math.Sqrt2/2, 0, 1 /**/, 1, 1, 1}},
	}
	near := cmpopts.EquateApprox(1e-6, 1e-12) // Distance rounds learned weights to float32
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.weight = test.weight
			r := c.run(t, test.head, graph.Float64)
			if diff := cmp.Diff(test.between, r.between, near); diff != "" {
				t.Errorf("between: %s", diff)
			}
			if diff := cmp.Diff(test.matrix, r.matrix, near); diff != "" {
				t.Errorf("matrix: %s", diff)
			}
			for i, want := range test.between {
				if got := r.distance.Between(c.row(c.x, i), c.row(c.y, i)); !cmp.Equal(want, got, near) {
					t.Errorf("distance of row %d: found %v, want %v", i, got, want)
				}
			}
		})
	}
}

// What a weighted head has learned comes out as the factors it multiplies by.
func TestDistanceKeepsTheLearnedFactors(t *testing.T) {
	c := batch{rows: 1, features: 2, x: []float64{0, 0}, y: []float64{1, 1}, weight: []float64{0, -2}}
	if got, want := formOf(c.run(t, heads.WeightedL1{Signed: true}, graph.Float32).distance).Weights, []float32{0, -2}; !cmp.Equal(got, want) {
		t.Errorf("signed: found %v, want %v", got, want)
	}
	softplus := []float32{math.Ln2, float32(math.Log(1 + math.Exp(-2)))}
	if got := formOf(c.run(t, heads.WeightedL1{}, graph.Float32).distance).Weights; !cmp.Equal(got, softplus) {
		t.Errorf("weighted: found %v, want %v", got, softplus)
	}
}

func TestDistanceOfUnequalLengthsIsNaN(t *testing.T) {
	w := graph.NewWeights(graph.Float32, 1)
	if err := w.Add("head.weight", graph.Kernel, []int{2}, []float64{1, 1}); err != nil {
		t.Fatal(err)
	}
	for _, head := range all {
		distance, err := head.Distance(w)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance.Between([]float32{0, 0}, []float32{0, 0, 0}); !math.IsNaN(d) {
			t.Errorf("%s: found %v, want NaN", head.Name(), d)
		}
		if d := distance.Between([]float32{0, 0, 0}, []float32{0, 0, 0}); formOf(distance).Weights != nil && !math.IsNaN(d) {
			t.Errorf("%s with two factors for three features: found %v, want NaN", head.Name(), d)
		}
	}
}

func TestDistanceNeedsTheHeadsWeight(t *testing.T) {
	_, err := heads.WeightedL1{}.Distance(graph.NewWeights(graph.Float32, 1))
	want := `head weighted-l1: the weights have no "head.weight": they are of a network with another head`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, want %s", err, want)
	}
}

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
