package evaluate

import (
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
)

// Verification is pairs of embeddings with their distances, of which it is
// asked whether the distances tell pairs of one class from pairs of two. A pair
// is accepted, that is, taken to be of one class, if its distance is at most a
// threshold.
//
// Intervals of what depends on all distances together are bootstrapped: the
// pairs of one class and those of two are resampled each among themselves, so
// that both keep their number. Where pairs share an image they are not
// independent, and the intervals are somewhat too narrow.
type Verification struct {
	distances []float64
	different []bool

	levels          []float64 // the distances that occur, in ascending order
	sameLevels      []int     // of each pair of one class: its distance's index in levels
	differentLevels []int     // of each pair of two
}

// NewVerification takes each pair's distance and whether its classes differ.
// Pairs of both kinds must be there and all distances be finite numbers.
func NewVerification(distances []float64, different []bool) (*Verification, error) {
	if len(distances) != len(different) {
		return nil, errors.Errorf("%d distances have %d labels", len(distances), len(different))
	}
	if err := checkFinite(distances); err != nil {
		return nil, err
	}
	v := &Verification{distances: slices.Clone(distances), different: slices.Clone(different)}
	v.levels = slices.Compact(slices.Sorted(slices.Values(distances)))
	for i, d := range distances {
		level, _ := slices.BinarySearch(v.levels, d)
		if different[i] {
			v.differentLevels = append(v.differentLevels, level)
		} else {
			v.sameLevels = append(v.sameLevels, level)
		}
	}
	if len(v.sameLevels) == 0 || len(v.differentLevels) == 0 {
		return nil, errors.Errorf("pairs of both kinds are needed, found %d of one class and %d of two",
			len(v.sameLevels), len(v.differentLevels))
	}
	return v, nil
}

// Distances returns a copy of the pairs' distances, in the order of the pairs.
func (v *Verification) Distances() []float64 { return slices.Clone(v.distances) }

// AUC returns the area under the receiver operating characteristic: the
// probability that a pair of one class is closer than a pair of two, where
// equally close counts half (the Mann-Whitney statistic). Chance is 0.5.
func (v *Verification) AUC() Measure { return v.measure(areaUnderCurve) }

// AreaUnderCurve returns AUC's value alone. The interval takes a thousand times
// as long, in vain where models are only compared with each other.
func (v *Verification) AreaUnderCurve() float64 { return areaUnderCurve(v.accepted()) }

// EqualErrorRate returns the rate at which pairs of two classes are accepted
// where it equals the rate at which pairs of one are refused. If no threshold
// makes the two equal, they are interpolated between the thresholds next to
// where they cross. Chance is 0.5.
func (v *Verification) EqualErrorRate() Measure { return v.measure(equalErrorRate) }

// TrueAcceptRate returns the greatest share of the pairs of one class that a
// threshold accepts while it accepts at most the share falseAcceptRate, in
// [0, 1], of the pairs of two. A rate below one of those pairs allows none.
func (v *Verification) TrueAcceptRate(falseAcceptRate float64) (Measure, error) {
	if !(falseAcceptRate >= 0 && falseAcceptRate <= 1) {
		return Measure{}, errors.Errorf("false accept rate is %v, want one in [0, 1]", falseAcceptRate)
	}
	return v.measure(func(a acceptance) float64 { return trueAcceptRate(a, falseAcceptRate) }), nil
}

// AUCDifference returns how much greater a's AUC is than b's on the same pairs,
// with the interval of the paired bootstrap; see Difference.
func AUCDifference(a, b *Verification) (Measure, error) {
	if !slices.Equal(a.different, b.different) {
		return Measure{}, errors.New("the two are not of the same pairs: their labels differ")
	}
	return bootstrap(areaUnderCurve(a.accepted())-areaUnderCurve(b.accepted()), func(chance *rand.Rand) float64 {
		samples := resample(chance, a, b)
		return areaUnderCurve(samples[0]) - areaUnderCurve(samples[1])
	}), nil
}

func (v *Verification) measure(statistic func(acceptance) float64) Measure {
	return bootstrap(statistic(v.accepted()), func(chance *rand.Rand) float64 {
		return statistic(resample(chance, v)[0])
	})
}
