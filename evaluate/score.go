package evaluate

import (
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
)

// Score is the mean over trials, each of which is worth something in [0, 1],
// as accuracy is the mean over trials that are right (1) or wrong (0).
type Score struct {
	Measure
	Trials []float64 // what each trial is worth; Value is their mean
}

// accuracy is the score of trials that are right or wrong.
func accuracy(trials []float64) Score {
	return Score{Wilson(floats.Sum(trials), len(trials)), trials}
}

// average is the score of trials that may be worth anything in [0, 1].
func average(trials []float64) Score {
	return Score{resampleGroups(trials, nil), trials}
}

// Clustered returns the score's value with an interval for trials that are not
// independent: the groups that they come in, such as the trials of one query image
// (see Queries) or of one support set, are resampled whole (a cluster bootstrap).
// groups has each trial's group, any integer, and there must be at least two of
// them.
func (s Score) Clustered(groups []int) (Measure, error) {
	if err := checkGroups(s.Trials, groups); err != nil {
		return Measure{}, err
	}
	return resampleGroups(s.Trials, groups), nil
}

// Difference returns how much better a is than b on the same trials, the value
// a − b, with the interval of the paired bootstrap: each resample takes the
// same trials of both. It is narrower than the two scores' own intervals
// suggest, because what makes a trial hard makes it so for both; a difference
// is significant at 5 % if its interval leaves out 0.
//
// groups is as in Clustered, or nil if the trials are independent. Of pairs that
// share images there are AUCDifference and AccuracyDifference.
func Difference(a, b Score, groups []int) (Measure, error) {
	if len(a.Trials) != len(b.Trials) {
		return Measure{}, errors.Errorf("a score of %d trials and one of %d cannot be paired", len(a.Trials), len(b.Trials))
	}
	if len(a.Trials) == 0 {
		return Measure{}, errors.New("there are no trials to pair")
	}
	differences := floats.SubTo(make([]float64, len(a.Trials)), a.Trials, b.Trials)
	if groups != nil {
		if err := checkGroups(differences, groups); err != nil {
			return Measure{}, err
		}
	}
	return resampleGroups(differences, groups), nil
}

func checkGroups(trials []float64, groups []int) error {
	if len(trials) != len(groups) {
		return errors.Errorf("%d trials have %d groups", len(trials), len(groups))
	}
	if len(groups) == 0 || slices.Min(groups) == slices.Max(groups) {
		return errors.New("resampling groups takes at least two of them")
	}
	return nil
}

// resampleGroups returns the mean of trials with the interval from resampling
// whole groups of them; each trial is its own group if groups is nil.
func resampleGroups(trials []float64, groups []int) Measure {
	sums, sizes := trials, []float64(nil)
	if groups != nil {
		sums, sizes = totals(trials, groups)
	}
	return bootstrap(floats.Sum(trials)/float64(len(trials)), func(chance *rand.Rand) float64 {
		var sum, size float64
		for range sums {
			i := chance.IntN(len(sums))
			sum += sums[i]
			if sizes == nil {
				size++
			} else {
				size += sizes[i]
			}
		}
		return sum / size
	})
}

// totals returns each group's sum and size, in the order in which they first
// appear.
func totals(trials []float64, groups []int) (sums, sizes []float64) {
	position := map[int]int{}
	for i, group := range groups {
		at, known := position[group]
		if !known {
			at = len(sums)
			position[group] = at
			sums, sizes = append(sums, 0), append(sizes, 0)
		}
		sums[at] += trials[i]
		sizes[at]++
	}
	return sums, sizes
}
