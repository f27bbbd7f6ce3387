package evaluate_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBestThresholdAtItsEnds(t *testing.T) {
	for _, test := range []struct {
		distances []float64
		different []bool
		want      float64
	}{
		{[]float64{1, 2}, []bool{false, true}, 1.5},
		{[]float64{0, 1, 1}, []bool{true, true, false}, math.Nextafter(0, -1)}, // accept none
		{[]float64{0, 1, 1, 1}, []bool{false, true, false, false}, 1},          // accept all
		{[]float64{1, 2, 3, 4}, []bool{false, true, false, true}, 1.5},         // 1.5 and 3.5 are as good
		{[]float64{-math.MaxFloat64, math.MaxFloat64}, []bool{false, true}, 0},
		{[]float64{1, math.Nextafter(1, 2)}, []bool{false, true}, 1}, // nothing lies between
		{[]float64{0, math.SmallestNonzeroFloat64}, []bool{false, true}, 0},
	} {
		v := verification(t, test.distances, test.different)
		if got := v.BestThreshold(); got != test.want {
			t.Errorf("%v: got %v, want %v", test.distances, got, test.want)
		}
	}
}

// No threshold at all, below, at, between and above the distances, is better.
func TestBestThresholdIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		distances, different := drawPairs(t)
		v := verification(t, distances, different)
		best := v.BestThreshold()
		accuracy := v.AccuracyAt(best).Value
		for twelfths := -24; twelfths <= 48; twelfths++ {
			if other := v.AccuracyAt(float64(twelfths) / 12).Value; other > accuracy {
				t.Errorf("accuracy is %v at %v and %v at %v", accuracy, best, other, float64(twelfths)/12)
			}
		}
		if slices.Contains(distances, best) && best != slices.Max(distances) {
			t.Errorf("the threshold %v lies on a distance", best)
		}
	})
}
