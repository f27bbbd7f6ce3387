package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"pgregory.net/rapid"
)

func TestNeighboursByHand(t *testing.T) {
	references := evaluate.Labelled{Embeddings: line(0, 1, 4, 6, 7), Labels: []int{10, 10, 20, 20, 30}}
	queries := evaluate.Labelled{Embeddings: line(0.4, 2.6, 6.6), Labels: []int{10, 20, 20}}
	for _, test := range []struct {
		k       int
		classes []int
		trials  []float64
	}{
		{0, []int{10, 20, 30}, []float64{1, 1, 0}}, // k = 0 means 1
		{1, []int{10, 20, 30}, []float64{1, 1, 0}},
		{2, []int{10, 20, 30}, []float64{1, 1, 0}}, // one vote each: the nearest wins
		{3, []int{10, 10, 20}, []float64{1, 0, 1}}, // 2.6: 4, then 1 and 0
		{5, []int{10, 20, 20}, []float64{1, 1, 1}}, // 2:2:1, and 4 is nearer to 2.6 than 1 is
	} {
		neighbours := evaluate.NearestNeighbours{Metric: euclidean, K: test.k}
		expect(t, "classes", must(neighbours.Classify(references, queries.Embeddings))(t), test.classes)
		score := must(neighbours.Accuracy(references, queries))(t)
		expect(t, "trials", score.Trials, test.trials)
		right := test.trials[0] + test.trials[1] + test.trials[2]
		expect(t, "measure", score.Measure, evaluate.Wilson(right, 3))
	}
}

func TestLeaveOneOutByHand(t *testing.T) {
	set := evaluate.Labelled{Embeddings: line(0, 1, 1.4, 5, 5.5), Labels: []int{1, 1, 2, 2, 2}}
	score := must(evaluate.NearestNeighbours{Metric: manhattan}.LeaveOneOut(set))(t)
	expect(t, "trials", score.Trials, []float64{1, 0, 0, 1, 1})
}

// All alike, every query is given one and the same class.
func TestNeighboursOfAConstantEmbeddingAreChance(t *testing.T) {
	labels := slices.Repeat([]int{0, 1, 2, 3}, 25)
	set := evaluate.Labelled{Embeddings: evaluate.Embeddings{Rows: 100, Columns: 3, Data: make([]float32, 300)}, Labels: labels}
	score := must(evaluate.NearestNeighbours{Metric: euclidean}.Accuracy(set, set))(t)
	expect(t, "accuracy", score.Value, 0.25)
}

func TestNeighboursEqualASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, k := rapid.IntRange(2, 12).Draw(t, "rows"), rapid.IntRange(1, 5).Draw(t, "k")
		set := evaluate.Labelled{Embeddings: drawGrid(t, rows, 2), Labels: drawLabels(t, rows, 3)}
		if k > rows-1 {
			return
		}
		got := must(evaluate.NearestNeighbours{Metric: squaredEuclidean, K: k}.LeaveOneOut(set))(t)

		want := make([]float64, rows)
		for query := range rows {
			var others []int
			for i := range rows {
				if i != query {
					others = append(others, i)
				}
			}
			square := func(i int) float64 {
				x, y := set.Row(i), set.Row(query)
				return math.Pow(float64(x[0]-y[0]), 2) + math.Pow(float64(x[1]-y[1]), 2)
			}
			slices.SortStableFunc(others, func(a, b int) int { return int(square(a) - square(b)) })
			votes := [3]int{}
			for _, i := range others[:k] {
				votes[set.Labels[i]]++
			}
			most := max(votes[0], votes[1], votes[2])
			first := slices.IndexFunc(others, func(i int) bool { return votes[set.Labels[i]] == most })
			if set.Labels[others[first]] == set.Labels[query] {
				want[query] = 1
			}
		}
		expect(t, "trials", got.Trials, want)
	})
}

func TestNeighboursRefuse(t *testing.T) {
	set := evaluate.Labelled{Embeddings: line(0, 1, 2), Labels: []int{0, 0, 1}}
	nowhere := functionOf(func(x, y []float32) float64 { return math.NaN() })
	for want, err := range map[string]error{
		"4 nearest neighbours of 3":                         second(evaluate.NearestNeighbours{Metric: euclidean, K: 4}.Accuracy(set, set)),
		"3 nearest neighbours of 2":                         second(evaluate.NearestNeighbours{Metric: euclidean, K: 3}.LeaveOneOut(set)),
		"-1 nearest neighbours":                             second(evaluate.NearestNeighbours{Metric: euclidean, K: -1}.LeaveOneOut(set)),
		"query 0: distance 0 is NaN":                        second(evaluate.NearestNeighbours{Metric: nowhere}.LeaveOneOut(set)),
		"2 columns cannot be compared with embeddings of 1": second(evaluate.NearestNeighbours{Metric: euclidean}.Classify(set, normal(1, 2, 2))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A metric that panics, in whichever goroutine, and a nil one are errors.
func TestMetricsThatPanic(t *testing.T) {
	x := normal(1, 3, 2)
	panics := functionOf(func(x, y []float32) float64 { panic("not done yet") })
	nearest := evaluate.NearestNeighbours{Metric: panicking{}}
	if _, err := nearest.Accuracy(evaluate.Labelled{Embeddings: x, Labels: []int{1, 1, 2}}, evaluate.Labelled{Embeddings: x, Labels: []int{1, 1, 2}}); err == nil || !strings.Contains(err.Error(), "panicking panics: not done yet") {
		t.Errorf("a type: found %v", err)
	}
	pairs := []evaluate.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 2, Different: true}}
	for want, metric := range map[string]evaluate.Metric{"not done yet": panics, "panicking panics: not done yet": panicking{}, "found no metric": nil} {
		if _, err := evaluate.Verify(metric, x, pairs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pairs: found %v, expected %q", err, want)
		}
		if _, err := evaluate.Retrieve(metric, evaluate.Labelled{Embeddings: x, Labels: []int{1, 1, 2}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("retrieval: found %v, expected %q", err, want)
		}
	}
}

type panicking struct{}

func (panicking) Paired([]float64, []float32, []float32, int) error   { panic("not done yet") }
func (panicking) Pairwise([]float64, []float32, []float32, int) error { panic("not done yet") }
