package evaluate

import (
	"math"
	"math/rand/v2"
)

// BestThreshold returns the threshold that classifies the most pairs rightly,
// and the lowest of several as good. It lies halfway between the two distances
// that it parts, just below the smallest distance if no pair is accepted, and
// at the greatest if all are.
//
// Its accuracy on the pairs that it was chosen on flatters it: report AccuracyAt
// of other pairs.
func (v *Verification) BestThreshold() float64 {
	if !v.made() {
		return math.NaN()
	}
	curve, accepted := v.ROC(), v.accepted(nil)
	best, most := 0, 0
	for i := range curve {
		right := accepted.same[i] + v.different - accepted.different[i]
		if right > most {
			best, most = i, right
		}
	}
	if best == 0 || best == len(curve)-1 {
		return curve[best].Threshold
	}
	return halfway(curve[best].Threshold, curve[best+1].Threshold)
}

// halfway lies between a < b and is not b, however close they are.
func halfway(a, b float64) float64 {
	if middle := a/2 + b/2; a < middle && middle < b {
		return middle
	}
	return a
}

// AccuracyAt returns the share of pairs that a threshold chosen elsewhere
// classifies rightly: accepted if of one class, refused if of two. In each
// replicate of the bootstrap the two kinds have the share of the pairs that they
// have in all. Where the interval would be within Wilson's for as many independent
// pairs, as it is where all pairs are right, it is as wide as that.
func (v *Verification) AccuracyAt(threshold float64) Measure {
	if !v.made() {
		return unknown
	}
	m := bootstrap(v.accuracy(threshold, nil), func(chance *rand.Rand) float64 {
		return v.accuracy(threshold, v.resample(chance))
	})
	independent := Wilson(math.Round(m.Value*float64(len(v.pairs))), len(v.pairs))
	m.Low, m.High = min(m.Low, independent.Low), max(m.High, independent.High)
	m.StandardError = max(m.StandardError, independent.StandardError)
	return m
}

// accuracy is that of AccuracyAt where each pair counts as often as counts says,
// or once if it is nil.
func (v *Verification) accuracy(threshold float64, counts []int) float64 {
	var right, all [2]int // of pairs of one class, and of two
	for i, d := range v.distances {
		kind, count := 0, 1
		if v.pairs[i].Different {
			kind = 1
		}
		if counts != nil {
			count = counts[i]
		}
		all[kind] += count
		if refused := !(d <= threshold); refused == v.pairs[i].Different {
			right[kind] += count
		}
	}
	if counts == nil {
		return float64(right[0]+right[1]) / float64(len(v.pairs))
	}
	same, different := float64(right[0])/float64(all[0]), float64(right[1])/float64(all[1])
	return (same*float64(v.same) + different*float64(v.different)) / float64(len(v.pairs))
}
