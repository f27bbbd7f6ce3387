package main

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
)

// The figures of several seeds are averaged for each query: by hand, two queries of the values
// 1 and 0 with one seed, and 0.5 and 0.5 with the other, have the mean 0.75 and 0.25.
func TestAveraged(t *testing.T) {
	summary := func(a, b float64) *evaluate.Summary {
		score := evaluate.Score{Trials: []float64{a, b}}
		s := &evaluate.Summary{OneShot: score, OneShotTrials: []evaluate.Trial{{Query: 3}, {Query: 4}}}
		s.Retrieval = evaluate.Retrieval{RecallAt: map[int]evaluate.Score{1: score}, MAPAtR: score, Queries: []int{0, 1}}
		return s
	}
	mean, err := averaged([]*evaluate.Summary{summary(1, 0), summary(0.5, 0.5)})
	if err != nil {
		t.Fatal(err)
	}
	for name, score := range map[string]evaluate.Score{"recall": mean.Retrieval.RecallAt[1], "MAP@R": mean.Retrieval.MAPAtR, "one-shot": mean.OneShot} {
		if len(score.Trials) != 2 || math.Abs(score.Trials[0]-0.75) > 1e-12 || math.Abs(score.Trials[1]-0.25) > 1e-12 || math.Abs(score.Value-0.5) > 1e-12 {
			t.Errorf("%s: found %v of the trials %v, expected 0.5 of 0.75 and 0.25", name, score.Value, score.Trials)
		}
	}
}
