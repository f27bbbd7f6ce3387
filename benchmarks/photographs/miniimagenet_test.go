package main

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
)

// The distances of an episode are those of evaluate.OneShot from prototypes.
func TestEpisodeDistances(t *testing.T) {
	r := random.New(1)
	e := evaluate.Embeddings{Rows: 12, Columns: 5}
	for range e.Rows * e.Columns {
		e.Data = append(e.Data, float32(r.NormFloat64()))
	}
	normalize(e)
	episode := datasets.Episode{Support: [][]int{{0, 1, 2}, {3, 4, 5}}, Queries: [][]int{{6, 7, 8}, {9, 10, 11}}}
	distances := episodeDistances(e, episode)
	metric, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	right := 0.0
	for i, row := range distances {
		answer := i / 3
		score, err := evaluate.OneShot(metric, e, []evaluate.Trial{{Support: episode.Support, Query: episode.Queries[answer][i%3], Answer: answer}}, evaluate.Prototype)
		if err != nil {
			t.Fatal(err)
		}
		if (row[answer] < row[1-answer]) != (score.Value == 1) {
			t.Errorf("query %d of class %d: found the distances %v, but OneShot has the accuracy %v", i, answer, row, score.Value)
		}
		right += score.Value
	}
	if right == 0 || right == 6 {
		t.Errorf("found %v of 6 queries right, expected right and wrong ones, or the test could not fail", right)
	}
	// By hand: the mean of (1, 0) and (0, 1) is at 45° from both axes.
	axes := evaluate.Embeddings{Rows: 3, Columns: 2, Data: []float32{1, 0, 0, 1, -1, 0}}
	found := episodeDistances(axes, datasets.Episode{Support: [][]int{{0, 1}, {2}}, Queries: [][]int{{0}}})
	if want := 1 - math.Sqrt(0.5); math.Abs(found[0][0]-want) > 1e-12 || found[0][1] != 2 {
		t.Errorf("found %v, expected %v and 2", found[0], want)
	}
}
