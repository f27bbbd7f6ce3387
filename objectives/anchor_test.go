package objectives_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/objectives"
)

// Of equal distances the first is returned, NaN is returned before any number, and -1 where
// there is no distance.
func TestNearestAndFarthest(t *testing.T) {
	a := objectives.Anchor{Distances: []float64{3, 1, 4, 1, 4, math.NaN()}}
	for _, test := range []struct {
		among             []int
		nearest, farthest int
	}{
		{[]int{0, 1, 2, 3, 4}, 1, 2},
		{[]int{4, 3, 2, 1}, 3, 4},
		{[]int{0}, 0, 0},
		{nil, -1, -1},
		{[]int{0, 5, 1}, 5, 5},
	} {
		nearest, farthest := a.Nearest(test.among), a.Farthest(test.among)
		if nearest != test.nearest || farthest != test.farthest {
			t.Errorf("%v: found %d and %d, expected %d and %d", test.among, nearest, farthest, test.nearest, test.farthest)
		}
	}
}
