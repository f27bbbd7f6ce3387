package main

import "testing"

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{8, 1, 4, 2}, 3}, // between 2 and 4
	} {
		if found := median(c.values); found != c.want {
			t.Errorf("the median of %v: found %v, expected %v", c.values, found, c.want)
		}
	}
}

// The ratios of the rounds are 2, 3 and 5; the medians are 12 and 4.
func TestRatioOf(t *testing.T) {
	found := ratioOf([]float64{8, 12, 25}, []float64{4, 4, 5})
	if want := (ratio{3, 2, 5}); found != want {
		t.Errorf("found %v, expected %v", found, want)
	}
}
