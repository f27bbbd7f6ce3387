package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Measure is a figure with its 95 % interval and its standard error, all three of
// the trials that it was measured on: another training of the network is another
// matter.
type Measure struct {
	Value, Low, High float64
	// StandardError is the standard deviation of the bootstrap's replicates. Of a
	// Wilson interval it is the half of its width by 1.96, which is not 0 where all
	// trials agree.
	StandardError float64
}

// String returns the measure as "0.9200 [0.8894, 0.9427]".
func (m Measure) String() string {
	return fmt.Sprintf("%.4f [%.4f, %.4f]", m.Value, m.Low, m.High)
}

const confidence = 0.95

// Wilson returns the proportion successes/trials with its score interval
// (Wilson 1927, "Probable inference, the law of succession, and statistical
// inference"), which stays within [0, 1] and is right for few trials and for
// proportions near 0 and 1.
//
// A trial may be a success in part, any number in [0, 1]: its variance is then
// smaller than that of a trial that is either, and the interval too wide rather
// than too narrow. With no trials the value is not a number and the interval
// is [0, 1].
func Wilson(successes float64, trials int) Measure {
	if trials == 0 {
		return Measure{Value: math.NaN(), Low: 0, High: 1, StandardError: math.NaN()}
	}
	z := distuv.UnitNormal.Quantile((1 + confidence) / 2)
	n, p := float64(trials), successes/float64(trials)
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Measure{Value: p, Low: max(0, min(p, centre-half)), High: min(1, max(p, centre+half)), StandardError: half / z}
}

// WilsonOfPairs returns the share of pairs that are accepted with Wilson's interval,
// where the pairs share images. accepted has for each image how many of the pairs
// that it is in are accepted, and pairs how many there are: a pair of two images
// counts with both. The interval is that of as many independent pairs as have the
// variance p(1 − p)/n that these have by the estimate that is robust to what pairs
// have in common through an image (Aronow, Samii & Assenova 2015, "Cluster-robust
// variance estimation for dyadic data", equation 3; Korn & Graubard 1998 for the
// interval). It needs no list of the pairs, which may be very long.
//
// Where all are accepted, or none, that variance is not known, and the interval is
// that of the largest number of pairs that share no image.
func WilsonOfPairs(accepted, pairs []int) (Measure, error) {
	if len(accepted) != len(pairs) {
		return Measure{}, errors.Errorf("found counts of %d images and of %d, expected as many", len(accepted), len(pairs))
	}
	var all, successes, paired int // all and successes are twice the numbers
	for i, n := range pairs {
		if accepted[i] < 0 || accepted[i] > n {
			return Measure{}, errors.Errorf("image %d: found %d accepted of %d pairs", i, accepted[i], n)
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
func bootstrap(value float64, resample func(*rand.Rand) float64) Measure {
	values := make([]float64, replicates)
	parallel.For(replicates, func(i int) {
		values[i] = resample(random.New(0, "evaluate", "bootstrap", i))
	})
	slices.Sort(values)
	return Measure{
		Value:         value,
		Low:           stat.Quantile((1-confidence)/2, stat.Empirical, values, nil),
		High:          stat.Quantile((1+confidence)/2, stat.Empirical, values, nil),
		StandardError: stat.StdDev(values, nil),
	}
}
