package objectives

import (
	"math"

	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The softmax objectives ask each image of a batch for its own class among all
// that are there. Written with similarities they are of s/τ; a distance is a
// dissimilarity, so here they are of −D/τ. With cosine, D = 1 − s, and what is
// the same for all others of an anchor drops out of every softmax.

// softmaxRow is an anchor's row of distances with what a softmax needs of it.
type softmaxRow struct {
	row, slopes []float64
	temperature float64
	positives   []int // of the anchor's class, without itself
	negatives   []int
}

// softmaxOf makes a judgement of a rule for anchors that have a positive and a
// negative; others do not count.
func softmaxOf(temperature float64, rule func(r softmaxRow) (sum, count float64)) judgement {
	return func(anchor int, row, labels, slopes []float64) (sum, count float64) {
		r := softmaxRow{row: row, slopes: slopes, temperature: temperature}
		for other, label := range labels {
			switch {
			case other == anchor:
			case label == labels[anchor]:
				r.positives = append(r.positives, other)
			default:
				r.negatives = append(r.negatives, other)
			}
		}
		if len(r.positives) == 0 || len(r.negatives) == 0 {
			return 0, 0
		}
		return rule(r)
	}
}

// logSum is log Σ exp(−D/τ) over some others, without overflow.
func (r softmaxRow) logSum(others ...[]int) float64 {
	nearest := math.Inf(1)
	for _, some := range others {
		for _, i := range some {
			nearest = min(nearest, r.row[i])
		}
	}
	var sum float64
	for _, some := range others {
		for _, i := range some {
			sum += math.Exp((nearest - r.row[i]) / r.temperature)
		}
	}
	return math.Log(sum) - nearest/r.temperature
}

// slope adds to the slopes of some others factor times the derivative of their
// logSum, given that.
func (r softmaxRow) slope(factor, logSum float64, others ...[]int) {
	for _, some := range others {
		for _, i := range some {
			r.slopes[i] -= factor / r.temperature * math.Exp(-r.row[i]/r.temperature-logSum)
		}
	}
}

// checkSoftmax refuses heads that are no distance and temperatures that are
// none.
func checkSoftmax(o Objective, temperature float64, head heads.Head) error {
	if err := checkSign(o, head); err != nil {
		return err
	}
	return checkTemperature(o, temperature)
}

func checkTemperature(o Objective, temperature float64) error {
	if !(temperature > 0) || math.IsInf(temperature, 0) {
		return errors.Errorf("%s: found temperature %v, expected a positive number", o.Name(), temperature)
	}
	return nil
}
