package doctor

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// deviation is the largest difference of numbers from what they should be, as a
// part of the largest of those; NaN where a number is not one and should be.
func deviation[T graph.Float](found []T, expected []float64) float64 {
	if len(found) != len(expected) {
		return math.NaN()
	}
	var largest, off float64
	for i, v := range expected {
		largest = max(largest, math.Abs(v))
		off = max(off, math.Abs(float64(found[i])-v))
	}
	if largest > 0 {
		off /= largest
	}
	return off
}

// worst keeps the largest deviation, and what had it.
type worst struct {
	off  float64
	what string
}

func (w *worst) add(what string, off float64) {
	if !math.IsNaN(w.off) && !(off <= w.off) { // NaN is worst, and stays
		w.off, w.what = off, what
	}
}

// within says whether it is within a tolerance.
func (w worst) within(tolerance float64) error {
	if w.off <= tolerance {
		return nil
	}
	return errors.Errorf("%s differs by %.2g of its largest value, expected at most %.2g", w.what, w.off, tolerance)
}
