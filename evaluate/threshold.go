package evaluate

// BestThreshold returns the threshold that classifies the most pairs rightly,
// and the lowest of several as good. It lies halfway between the two distances
// that it parts, just below the smallest distance if no pair is accepted, and
// at the greatest if all are.
//
// Its accuracy on the pairs that it was chosen on flatters it: report AccuracyAt
// of other pairs.
func (v *Verification) BestThreshold() float64 {
	curve, accepted := v.ROC(), v.accepted()
	best, most := 0, 0
	for i := range curve {
		right := accepted.same[i] + len(v.differentLevels) - accepted.different[i]
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
// classifies rightly: accepted if of one class, refused if of two.
func (v *Verification) AccuracyAt(threshold float64) Score {
	trials := make([]float64, len(v.distances))
	for i, d := range v.distances {
		if refused := !(d <= threshold); refused == v.different[i] {
			trials[i] = 1
		}
	}
	return accuracy(trials)
}
