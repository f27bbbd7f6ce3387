package evaluate

import (
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"
)

func TestSmallestEqualsASort(t *testing.T) {
	number := rapid.OneOf(rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{-1, 0, 0.5, 1}))
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(number, 1, 60).Draw(t, "values")
		rank := rapid.IntRange(0, len(values)-1).Draw(t, "rank")
		sorted := slices.Sorted(slices.Values(values))
		if got := smallest(values, rank); got != sorted[rank] {
			t.Errorf("got %v, want %v", got, sorted[rank])
		}
		if slices.Sort(values); !slices.Equal(values, sorted) {
			t.Error("the values are not the same any more")
		}
	})
}

// Orders that make a careless choice of pivot take quadratic time.
func TestSmallestOfOrdered(t *testing.T) {
	const n = 200_000
	values := make([]float64, n)
	for name, value := range map[string]func(i int) float64{
		"equal":      func(int) float64 { return 3 },
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return float64(n - i) },
		"two values": func(i int) float64 { return float64(i % 2) },
	} {
		for i := range values {
			values[i] = value(i)
		}
		want := slices.Sorted(slices.Values(values))[n/3]
		if got := smallest(values, n/3); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// twelve is a small set of three classes that no planes part, with a cost and a
// minimum that PyTorch 2.15 found for it in float64 (cross_entropy plus
// λ/2 ‖W‖² on standardized columns, LBFGS, to a gradient of 3e-10), at λ = 0.1.
var twelve = Labeled{
	Embeddings: Embeddings{Rows: 12, Columns: 2, Data: []float32{
		0, 0, 1, 0, 0, 2, 2, 1, 3, 3, 4, 2, 3, 5, 5, 4, 0, 6, 1, 7, -1, 5, 2, 6}},
	Labels: []int{0, 0, 0, 0, 1, 1, 2, 1, 2, 2, 2, 2},
}

func TestRegressionEqualsPyTorch(t *testing.T) {
	r := newRegression(twelve, []int{0, 1, 2}, 0.1)
	cost := r.at([]float64{0.5, -1, 0.1, 2, 0.25, -0.2, -0.5, 1, 0.3}).cost
	if want := 0.6901338070544816; math.Abs(cost-want) > 1e-12 {
		t.Errorf("cost is %v, want %v", cost, want)
	}

	classifier := LinearClassifier{Regularization: 0.1}
	if err := classifier.Fit(twelve); err != nil {
		t.Fatal(err)
	}
	weights := []float64{-0.31787976929148976, -0.413614162355756, 0.5395051638537501,
		-0.06538234039063537, -0.22162539456226032, 0.4789965027463913}
	biases := []float64{1.937662940284809, -1.0095518622296102, -0.9281110780551984}
	if !floats.EqualApprox(classifier.weights, weights, 1e-4) || !floats.EqualApprox(classifier.biases, biases, 1e-3) {
		t.Errorf("weights %v and biases %v, want %v and %v", classifier.weights, classifier.biases, weights, biases)
	}
}

// More rows than one block of each shard holds, so that all of them are added.
func TestRegressionGradient(t *testing.T) {
	const rows, columns, classes = shardCount*blockRows + 300, 3, 4
	chance := random.New(1, "regression")
	set := Labeled{Embeddings: Embeddings{Rows: rows, Columns: columns, Data: make([]float32, rows*columns)}, Labels: make([]int, rows)}
	for i := range set.Data {
		set.Data[i] = float32(chance.NormFloat64())
	}
	for i := range set.Labels {
		set.Labels[i] = chance.IntN(classes)
	}
	r := newRegression(set, []int{0, 1, 2, 3}, 0.3)
	parameters := make([]float64, r.parameters())
	for i := range parameters {
		parameters[i] = chance.NormFloat64()
	}
	gradient := slices.Clone(r.at(parameters).gradient)
	want := fd.Gradient(nil, func(p []float64) float64 { return r.at(p).cost }, parameters, &fd.Settings{Formula: fd.Central})
	if !floats.EqualApprox(gradient, want, 1e-7) {
		t.Errorf("gradient is %v, want %v", gradient, want)
	}
}

// Logits of any size have a finite cost: e⁸⁰⁰ overflows.
func TestRegressionDoesNotOverflow(t *testing.T) {
	r := newRegression(twelve, []int{0, 1, 2}, 0)
	parameters := []float64{0, 0, 800, 0, 0, -800, 0, 0, 0}
	if e := r.at(parameters); !finite(e.cost) || slices.ContainsFunc(e.gradient, func(g float64) bool { return !finite(g) }) {
		t.Errorf("cost %v, gradient %v", e.cost, e.gradient)
	}
}

func TestConstantColumnsAreHarmless(t *testing.T) {
	set := Labeled{Embeddings: Embeddings{Rows: 4, Columns: 2, Data: []float32{5, 0, 5, 1, 5, 2, 5, 3}}, Labels: []int{0, 0, 1, 1}}
	var classifier LinearClassifier
	if err := classifier.Fit(set); err != nil {
		t.Fatal(err)
	}
	if score, err := classifier.Accuracy(set); err != nil || score.Value != 1 {
		t.Errorf("accuracy %v, error %v", score, err)
	}
	if w := classifier.weights; w[0] != 0 || w[2] != 0 {
		t.Errorf("a constant column has weights %v and %v", w[0], w[2])
	}
}

// Square roots of numbers beyond the precision of float64 are exact, on both sides of a
// square.
func TestWholeSquareRoots(t *testing.T) {
	for _, root := range []uint64{1, 2, 3, 1000, 1<<26 + 1, 1<<31 - 1, 1<<31 + 12345, 1<<32 - 1} {
		for x, want := range map[uint64]uint64{root*root - 1: root - 1, root * root: root, root*root + 1: root} {
			if found := isqrt(x); found != want {
				t.Errorf("isqrt(%d) is %d, expected %d", x, found, want)
			}
		}
	}
	if isqrt(math.MaxUint64) != math.MaxUint32 || isqrt(0) != 0 {
		t.Errorf("found %d and %d", isqrt(math.MaxUint64), isqrt(0))
	}
}
