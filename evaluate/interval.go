package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/internal/random"
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
	parallel(replicates, func(i int) {
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
