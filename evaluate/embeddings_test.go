package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
)

func TestRowsAndSelect(t *testing.T) {
	e := must(evaluate.FromRows([][]float32{{1, 2}, {3, 4}, {5, 6}}))(t)
	expect(t, "shape", [2]int{e.Rows, e.Columns}, [2]int{3, 2})
	expect(t, "row 1", e.Row(1), []float32{3, 4})
	expect(t, "selected", e.Select([]int{2, 0, 2}).Data, []float32{5, 6, 1, 2, 5, 6})

	e.Select([]int{0}).Row(0)[0] = 9
	_ = append(e.Row(0), 9)
	expect(t, "the original after changes to what came of it", e.Data, []float32{1, 2, 3, 4, 5, 6})
}

func TestEmbeddingsThatAreNone(t *testing.T) {
	for want, err := range map[string]error{
		"2 rows and 3 columns have 5 elements": second(evaluate.NewEmbeddings(2, 3, make([]float32, 5))),
		"-1 rows":                              second(evaluate.NewEmbeddings(-1, -3, make([]float32, 3))),
		"0 columns":                            second(evaluate.NewEmbeddings(2, 0, nil)),
		"no rows":                              second(evaluate.FromRows(nil)),
		"row 1 has 1 columns, but row 0 has 2": second(evaluate.FromRows([][]float32{{1, 2}, {3}})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	if _, err := evaluate.NewEmbeddings(0, 3, nil); err != nil {
		t.Errorf("no rows of three columns: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Whatever is asked of bad embeddings, the answer is an error that names the
// place; none of these may come back as a figure.
func TestMeasuresRefuseBadEmbeddings(t *testing.T) {
	good := evaluate.Labeled{Embeddings: line(0, 1, 2, 3), Labels: []int{0, 0, 1, 1}}
	nan, infinity := float32(math.NaN()), float32(math.Inf(1))
	measures := map[string]func(set evaluate.Labeled) error{
		"neighbors, queries": func(set evaluate.Labeled) error {
			return second(evaluate.NearestNeighbors{Metric: euclidean}.Accuracy(good, set))
		},
		"neighbors, references": func(set evaluate.Labeled) error {
			return second(evaluate.NearestNeighbors{Metric: euclidean}.Accuracy(set, good))
		},
		"leave one out": func(set evaluate.Labeled) error {
			return second(evaluate.NearestNeighbors{Metric: euclidean}.LeaveOneOut(set))
		},
		"retrieval": func(set evaluate.Labeled) error { return second(evaluate.Retrieve(euclidean, set)) },
		"fit":       func(set evaluate.Labeled) error { return new(evaluate.LinearClassifier).Fit(set) },
		"linear accuracy": func(set evaluate.Labeled) error {
			var classifier evaluate.LinearClassifier
			if err := classifier.Fit(good); err != nil {
				t.Fatal(err)
			}
			return second(classifier.Accuracy(set))
		},
	}
	sets := map[string]evaluate.Labeled{
		"embedding 2 is NaN in column 0":                  {Embeddings: line(0, 1, nan, 3), Labels: good.Labels},
		"embedding 3 is +Inf in column 0":                 {Embeddings: line(0, 1, 2, infinity), Labels: good.Labels},
		"4 embeddings have 3 labels":                      {Embeddings: good.Embeddings, Labels: []int{0, 0, 1}},
		"there are no embeddings":                         {Embeddings: evaluate.Embeddings{Columns: 1}},
		"0 rows and 0 columns":                            {},
		"5 rows and 1 columns have 4 elements":            {Embeddings: evaluate.Embeddings{Rows: 5, Columns: 1, Data: good.Data}},
		"4 rows and 4611686018427387904 columns have 0 e": {Embeddings: evaluate.Embeddings{Rows: 4, Columns: 1 << 62}}, // 4·2⁶² is 0
	}
	for name, measure := range measures {
		for want, set := range sets {
			if err := measure(set); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want %q", name, err, want)
			}
		}
		if err := measure(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
