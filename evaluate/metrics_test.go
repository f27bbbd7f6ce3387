package evaluate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"pgregory.net/rapid"
)

// metrics are all of the package's, for embeddings of up to 64 columns, each
// with its definition.
func metrics(columns int) map[string]struct {
	evaluate.Metric
	naive func(x, y []float32) float64
} {
	weights := normal(7, 1, columns).Data
	sum := func(term func(j int, x, y float64) float64) func(x, y []float32) float64 {
		return func(x, y []float32) (total float64) {
			for j := range x {
				total += term(j, float64(x[j]), float64(y[j]))
			}
			return total
		}
	}
	square := sum(func(_ int, x, y float64) float64 { return (x - y) * (x - y) })
	dot := sum(func(_ int, x, y float64) float64 { return x * y })
	return map[string]struct {
		evaluate.Metric
		naive func(x, y []float32) float64
	}{
		"squared Euclidean": {evaluate.SquaredEuclidean{}, square},
		"Euclidean":         {evaluate.Euclidean{}, func(x, y []float32) float64 { return math.Sqrt(square(x, y)) }},
		"Manhattan":         {evaluate.Manhattan{}, sum(func(_ int, x, y float64) float64 { return math.Abs(x - y) })},
		"weighted Manhattan": {evaluate.WeightedManhattan{Weights: weights},
			sum(func(j int, x, y float64) float64 { return float64(weights[j]) * math.Abs(x-y) })},
		"cosine": {evaluate.Cosine{},
			func(x, y []float32) float64 { return 1 - dot(x, y)/math.Sqrt(dot(x, x)*dot(y, y)) }},
	}
}

func TestMetricsByHand(t *testing.T) {
	x, y := []float32{1, -2, 2, 0, 4}, []float32{-3, 1, 2, 0, 4} // differences 4, −3, 0, 0, 0
	queries := must(evaluate.FromRows([][]float32{x, y, {0, 0, 0, 0, 0}}))(t)
	references := must(evaluate.FromRows([][]float32{x, y}))(t)
	for _, test := range []struct {
		metric evaluate.Metric
		want   []float64
	}{
		{evaluate.SquaredEuclidean{}, []float64{0, 25, 25, 0, 25, 30}},
		{evaluate.Euclidean{}, []float64{0, 5, 5, 0, 5, math.Sqrt(30)}},
		{evaluate.Manhattan{}, []float64{0, 7, 7, 0, 9, 10}},
		{evaluate.WeightedManhattan{Weights: []float32{0.5, -1, 3, 3, 0.25}}, []float64{0, -1, -1, 0, 5.5, 7.5}},
		{evaluate.Cosine{}, []float64{0, 1 - 15/(5*math.Sqrt(30)), 1 - 15/(5*math.Sqrt(30)), 0, 1, 1}},
	} {
		name := fmt.Sprintf("%T", test.metric)
		expect(t, name, distances(t, test.metric, queries, references), test.want, rounding)
		pairs := make([]float64, 2)
		if err := test.metric.Pairs(pairs, queries.Select([]int{0, 2}), references.Select([]int{1, 0})); err != nil {
			t.Fatal(err)
		}
		expect(t, name+" of pairs", pairs, []float64{test.want[1], test.want[4]}, rounding)
	}
}

// Shapes on both sides of the tiles' edges, and rows of every length modulo 4.
func TestMetricsEqualTheirDefinitions(t *testing.T) {
	for _, shape := range [][3]int{{1, 1, 1}, {3, 2, 5}, {129, 257, 3}, {128, 256, 4}, {127, 513, 7}, {2, 300, 62}} {
		queries, references := normal(1, shape[0], shape[2]), normal(2, shape[1], shape[2])
		for name, metric := range metrics(shape[2]) {
			want := distances(t, evaluate.MetricFunc(metric.naive), queries, references)
			expectClose(t, fmt.Sprint(name, shape), distances(t, metric, queries, references), want, 1e-9)

			pairs, x := make([]float64, references.Rows), normal(3, shape[1], shape[2])
			if err := metric.Pairs(pairs, x, references); err != nil {
				t.Fatal(err)
			}
			wantPairs := make([]float64, references.Rows)
			for i := range wantPairs {
				wantPairs[i] = metric.naive(x.Row(i), references.Row(i))
			}
			expectClose(t, fmt.Sprint(name, shape, " of pairs"), pairs, wantPairs, 1e-9)
		}
	}
}

// The distance of close embeddings far from the origin is where ‖x‖² + ‖y‖² −
// 2x·y has no digits left.
func TestCloseEmbeddingsKeepTheirDigits(t *testing.T) {
	x, y := normal(1, 1, 33), normal(2, 40, 33)
	for i := range x.Data {
		x.Data[i] += 1000
	}
	for i := range y.Rows {
		scale := float32(math.Pow(0.5, float64(i)/4))
		for j := range y.Row(i) {
			y.Row(i)[j] = x.Data[j] + scale*y.Row(i)[j]
		}
	}
	for name, metric := range metrics(33) {
		if name == "cosine" {
			continue
		}
		want := distances(t, evaluate.MetricFunc(metric.naive), x, y)
		expectClose(t, name, distances(t, metric, x, y), want, 1e-7)
	}
}

// Equal rows must be at equal distances wherever they lie in memory, or ties
// would be decided by rounding; and a row must be at no distance from itself.
func TestEqualRowsAreTied(t *testing.T) {
	for columns := 1; columns < 20; columns++ {
		queries, row := normal(1, 5, columns), normal(2, 1, columns)
		references := row.Select(make([]int, 300))
		for name, metric := range metrics(columns) {
			got := distances(t, metric, queries, references)
			for i, d := range got {
				if first := got[i/300*300]; d != first {
					t.Fatalf("%s, %d columns: query %d is at %v and at %v from equal references", name, columns, i/300, first, d)
				}
			}
			for i, d := range distances(t, metric, row, references) {
				if d != 0 && !(name == "cosine" && d < 1e-15) {
					t.Fatalf("%s, %d columns: a row is at %v from itself (reference %d)", name, columns, d, i)
				}
			}
		}
	}
}

func TestMetricsAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 9).Draw(t, "columns")
		x := drawGrid(t, rapid.IntRange(1, 6).Draw(t, "rows"), columns)
		for name, metric := range metrics(columns) {
			d := make([]float64, x.Rows*x.Rows)
			if err := metric.Distances(d, x, x); err != nil {
				t.Fatal(err)
			}
			for i := range x.Rows {
				for j := range i {
					if d[i*x.Rows+j] != d[j*x.Rows+i] {
						t.Errorf("%s: %v there and %v back", name, d[i*x.Rows+j], d[j*x.Rows+i])
					}
				}
			}
		}
	})
}

func TestMetricsRefuse(t *testing.T) {
	x, y := normal(1, 2, 3), normal(1, 2, 4)
	for name, metric := range metrics(3) {
		for want, err := range map[string]error{
			"columns":                            metric.Distances(make([]float64, 4), x, y),
			"columns cannot":                     metric.Pairs(make([]float64, 2), x, y),
			"room for 3 distances":               metric.Distances(make([]float64, 3), x, x),
			"room for 1 distances":               metric.Pairs(make([]float64, 1), x, x),
			"the pairs are 2 and 1 rows":         metric.Pairs(make([]float64, 2), x, x.Select([]int{0})),
			"3 rows and 3 columns have 6 elemen": metric.Pairs(make([]float64, 3), evaluate.Embeddings{Rows: 3, Columns: 3, Data: x.Data}, x),
			"have 6 elements":                    metric.Distances(make([]float64, 6), x, evaluate.Embeddings{Rows: 3, Columns: 3, Data: x.Data}),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want %q", name, err, want)
			}
		}
	}
	weighted := evaluate.WeightedManhattan{Weights: make([]float32, 3)}
	if err := weighted.Distances(make([]float64, 4), y, y); err == nil || !strings.Contains(err.Error(), "4 columns cannot be compared with 3 weights") {
		t.Errorf("got error %v", err)
	}
}
