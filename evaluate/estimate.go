package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is a value with its 95 % confidence interval and its standard error. They
// describe the variation over images or trials, not over trainings of the network.
type Estimate struct {
	Value, Low, High float64
	// StandardError is the standard deviation of the bootstrap's replicates. For a Wilson
	// interval it is half of its width divided by 1.96, which is not 0 even if all trials
	// agree.
	StandardError float64
}

// String formats the estimate as "0.9200 [0.8894, 0.9427]".
func (m Estimate) String() string {
	return fmt.Sprintf("%.4f [%.4f, %.4f]", m.Value, m.Low, m.High)
}

const confidence = 0.95

// Wilson returns the proportion successes/trials with its score interval (Wilson 1927,
// "Probable inference, the law of succession, and statistical inference"), which stays
// within [0, 1] and is accurate for few trials and for proportions near 0 and 1.
//
// A trial may be a partial success, any number in [0, 1]: its variance is then
// smaller than that of a trial that is 0 or 1, and the interval is too wide rather
// than too narrow. With no trials the value is NaN and the interval is [0, 1].
func Wilson(successes float64, trials int) Estimate {
	if trials == 0 {
		return Estimate{Value: math.NaN(), Low: 0, High: 1, StandardError: math.NaN()}
	}
	z := distuv.UnitNormal.Quantile((1 + confidence) / 2)
	n, p := float64(trials), successes/float64(trials)
	center := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Estimate{Value: p, Low: max(0, min(p, center-half)), High: min(1, max(p, center+half)), StandardError: half / z}
}

// WilsonOfPairs returns the proportion of accepted pairs with Wilson's interval for pairs
// that share images. For each image, accepted has the number of accepted pairs that
// contain it, and pairs the number of all pairs that contain it, so that a pair is
// counted for both of its images. The interval is that of the number n of independent
// pairs whose variance p(1 − p)/n equals the estimate that is robust to shared images
// (Aronow, Samii & Assenova 2015, "Cluster-robust variance estimation for dyadic data",
// equation 3; Korn & Graubard 1998 for the interval). It needs no list of the pairs,
// which may be very long.
//
// If all pairs or none are accepted, that variance is unknown, and the interval is that
// of the largest number of pairs that share no image.
func WilsonOfPairs(accepted, pairs []int) (Estimate, error) {
	if len(accepted) != len(pairs) {
		return Estimate{}, errors.Errorf("found counts of %d images and of %d, expected as many", len(accepted), len(pairs))
	}
	var all, successes, paired int // all and successes are twice the numbers
	for i, n := range pairs {
		if accepted[i] < 0 || accepted[i] > n {
			return Estimate{}, errors.Errorf("image %d: found %d accepted of %d pairs", i, accepted[i], n)
		}
		all, successes = all+n, successes+accepted[i]
		if n > 0 {
			paired++
		}
	}
	if all == 0 {
		return Wilson(0, 0), nil
	}
	total, p := float64(all)/2, float64(successes)/float64(all)
	effective := min(float64(paired/2), total)
	if successes > 0 && successes < all {
		variance := -total * p * (1 - p) // each pair's own is in the sum below with both images
		for i, n := range pairs {
			residual := float64(accepted[i]) - p*float64(n)
			variance += residual * residual
		}
		effective = total
		if variance > total*p*(1-p) {
			effective = total * total * p * (1 - p) / variance
		}
	}
	trials := max(1, int(effective))
	m := Wilson(p*float64(trials), trials)
	m.Value = p
	return m, nil
}

// replicates is the number of resamples of a bootstrap. Of 999 values the 25th
// and the 975th bound the middle 95 %, with as many below as above (Davison &
// Hinkley 1997, "Bootstrap methods and their application").
const replicates = 999

// bootstrap returns value with its percentile interval (Efron & Tibshirani
// 1993, "An introduction to the bootstrap", chapter 13): resample must draw a sample as large as the
// original from it, with replacement, and return that sample's value. It is
// called from several goroutines at once.
//
// The resamples are always the same ones, so that one sample has one interval
// and two measures of the same trials are resampled alike.
func bootstrap(value float64, resample func(*rand.Rand) float64) Estimate {
	values := make([]float64, replicates)
	parallel.For(replicates, func(i int) {
		values[i] = resample(random.New(0, "evaluate", "bootstrap", i))
	})
	return percentiles(value, values)
}

// percentiles returns value with the percentile interval of replicates, which it sorts.
func percentiles(value float64, values []float64) Estimate {
	slices.Sort(values)
	return Estimate{
		Value:         value,
		Low:           stat.Quantile((1-confidence)/2, stat.Empirical, values, nil),
		High:          stat.Quantile((1+confidence)/2, stat.Empirical, values, nil),
		StandardError: stat.StdDev(values, nil),
	}
}

// Score is the mean over trials, each with a value in [0, 1]: an accuracy is the mean
// over trials that are right (1) or wrong (0).
type Score struct {
	Estimate
	Trials []float64 // the value of each trial; Value is their mean
}

// accuracy is the score of trials that are right or wrong.
func accuracy(trials []float64) Score {
	return Score{Wilson(floats.Sum(trials), len(trials)), trials}
}

// average is the score of trials of any value in [0, 1].
func average(trials []float64) Score {
	return Score{resampleGroups(trials, nil), trials}
}

// Clustered returns the score's value with an interval for trials that are not
// independent: groups of trials, such as those of one query image (see Queries) or of
// one support set, are resampled as a whole (a cluster bootstrap). groups has each
// trial's group, any integer, and there must be at least two groups.
func (s Score) Clustered(groups []int) (Estimate, error) {
	if err := checkGroups(s.Trials, groups); err != nil {
		return Estimate{}, err
	}
	return resampleGroups(s.Trials, groups), nil
}

// Difference returns a − b on the same trials, with the interval of the paired bootstrap:
// each replicate has the same trials of both. It is narrower than the intervals of the
// two scores suggest, because a trial that is hard for one is often hard for the other. A
// difference is significant at the 5 % level if its interval excludes 0.
//
// groups is as in Clustered, or nil if the trials are independent. For pairs that
// share images, use AUCDifference and AccuracyDifference.
func Difference(a, b Score, groups []int) (Estimate, error) {
	if len(a.Trials) != len(b.Trials) {
		return Estimate{}, errors.Errorf("a score of %d trials and one of %d cannot be paired", len(a.Trials), len(b.Trials))
	}
	if len(a.Trials) == 0 {
		return Estimate{}, errors.New("there are no trials to pair")
	}
	differences := floats.SubTo(make([]float64, len(a.Trials)), a.Trials, b.Trials)
	if groups != nil {
		if err := checkGroups(differences, groups); err != nil {
			return Estimate{}, err
		}
	}
	return resampleGroups(differences, groups), nil
}

func checkGroups(trials []float64, groups []int) error {
	if len(trials) != len(groups) {
		return errors.Errorf("%d trials have %d groups", len(trials), len(groups))
	}
	if len(groups) == 0 || slices.Min(groups) == slices.Max(groups) {
		return errors.New("found one group, expected at least two for resampling")
	}
	return nil
}

// resampleGroups returns the mean of trials with the interval from resampling
// whole groups of them; each trial is its own group if groups is nil.
func resampleGroups(trials []float64, groups []int) Estimate {
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
