package evaluate

import "math"

// ROCPoint is a point of a receiver operating characteristic.
type ROCPoint struct {
	Threshold       float64
	FalseAcceptRate float64 // the share of the pairs of two classes that are accepted
	TrueAcceptRate  float64 // the share of the pairs of one class that are accepted
}

// ROC returns the receiver operating characteristic: the point (0, 0), whose
// threshold is just below the smallest distance, and then one point for each
// distance that occurs, in ascending order, up to (1, 1).
func (v *Verification) ROC() []ROCPoint {
	if !v.made() {
		return nil
	}
	accepted := v.accepted(nil)
	points := make([]ROCPoint, len(accepted.same))
	for i := range points {
		points[i] = ROCPoint{FalseAcceptRate: accepted.falseRate(i), TrueAcceptRate: accepted.trueRate(i)}
		if i > 0 {
			points[i].Threshold = v.levels[i-1]
		}
	}
	points[0].Threshold = math.Nextafter(v.levels[0], math.Inf(-1))
	return points
}

// acceptance has, for each threshold of ROC, how many pairs of one class and
// of two are accepted at it.
type acceptance struct {
	same, different []int
}

func (a acceptance) trueRate(i int) float64 {
	return float64(a.same[i]) / float64(a.same[len(a.same)-1])
}

func (a acceptance) falseRate(i int) float64 {
	return float64(a.different[i]) / float64(a.different[len(a.different)-1])
}

// accepted counts each pair as often as counts says, or once if it is nil.
func (v *Verification) accepted(counts []int) acceptance {
	a := acceptance{make([]int, len(v.levels)+1), make([]int, len(v.levels)+1)}
	for i, level := range v.level {
		count := 1
		if counts != nil {
			count = counts[i]
		}
		if v.pairs[i].Different {
			a.different[level+1] += count
		} else {
			a.same[level+1] += count
		}
	}
	accumulate(a.same)
	accumulate(a.different)
	return a
}

func accumulate(counts []int) {
	for i := range counts[1:] {
		counts[i+1] += counts[i]
	}
}

// areaUnderCurve adds up trapezia, so that a tie counts half, in whole numbers.
func areaUnderCurve(a acceptance) float64 {
	last, doubled := len(a.same)-1, 0
	for i := range last {
		doubled += (a.different[i+1] - a.different[i]) * (a.same[i+1] + a.same[i])
	}
	return float64(doubled) / 2 / float64(a.different[last]) / float64(a.same[last])
}

func equalErrorRate(a acceptance) float64 {
	// By how much false refusals are more frequent than false acceptances: 1 at
	// the lowest threshold, −1 at the highest.
	margin := func(i int) float64 { return 1 - a.trueRate(i) - a.falseRate(i) }
	i := 1
	for margin(i) > 0 {
		i++
	}
	before, after := margin(i-1), margin(i)
	along := before / (before - after)
	return a.falseRate(i-1) + along*(a.falseRate(i)-a.falseRate(i-1))
}

func trueAcceptRate(a acceptance, falseAcceptRate float64) float64 {
	i := len(a.same) - 1
	for a.falseRate(i) > falseAcceptRate { // ends at the first point, whose rate is 0
		i--
	}
	return a.trueRate(i)
}
