package evaluate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"pgregory.net/rapid"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

// rounding allows for the order of additions.
var rounding = cmpopts.EquateApprox(1e-12, 1e-12)

// ignoreError compares measures without their standard errors.
var ignoreError = cmpopts.IgnoreFields(evaluate.Estimate{}, "StandardError")

// The metrics of the tests.
var (
	squaredEuclidean = metricOf(heads.SquaredL2{})
	manhattan        = metricOf(heads.L1{})
	cosine           = metricOf(heads.Cosine{})
)

func metricOf(head heads.Head) evaluate.Metric {
	distance, err := head.Distance(nil)
	if err != nil {
		panic(err)
	}
	return distance
}

// functionOf is the metric of a function.
func functionOf(between func(x, y []float32) float64) evaluate.Metric {
	distance, err := heads.FromFunc("a function", between)
	if err != nil {
		panic(err)
	}
	return distance
}

// line is embeddings of one column.
func line(points ...float32) evaluate.Embeddings {
	return evaluate.Embeddings{Rows: len(points), Columns: 1, Data: points}
}

// normal is embeddings of independent normal numbers.
func normal(seed uint64, rows, columns int) evaluate.Embeddings {
	chance := random.New(seed, "normal", rows, columns)
	data := make([]float32, rows*columns)
	for i := range data {
		data[i] = float32(chance.NormFloat64())
	}
	return evaluate.Embeddings{Rows: rows, Columns: columns, Data: data}
}

// drawGrid makes up embeddings of small whole numbers, among which equal
// distances are common.
func drawGrid(t *rapid.T, rows, columns int) evaluate.Embeddings {
	data := rapid.SliceOfN(rapid.Map(rapid.IntRange(-2, 2), func(i int) float32 { return float32(i) }),
		rows*columns, rows*columns).Draw(t, "embeddings")
	return evaluate.Embeddings{Rows: rows, Columns: columns, Data: data}
}

func drawLabels(t *rapid.T, rows, classes int) []int {
	return rapid.SliceOfN(rapid.IntRange(0, classes-1), rows, rows).Draw(t, "labels")
}

func distances(t testing.TB, metric evaluate.Metric, queries, references evaluate.Embeddings) []float64 {
	t.Helper()
	out := make([]float64, queries.Rows*references.Rows)
	if err := metric.Pairwise(out, queries.Data, references.Data, queries.Columns); err != nil {
		t.Fatal(err)
	}
	return out
}

// must fails the test on an error.
func must[T any](value T, err error) func(t rapid.TB) T {
	return func(t rapid.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func expect(t rapid.TB, what string, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
