package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/stat"
)

// normal95 is the standard normal distribution's quantile of 0.975.
const normal95 = 1.959963984540054

// seedReplicates is the number of replicates of an interval over seeds.
const seedReplicates = 10_000

// interval is that of 95 % of the mean over seeds, in percent: see the head of
// accuracy.md. Of one seed it is that of its trials.
func (l line) interval() [2]float64 {
	seeds := l.seeds()
	if len(seeds) == 1 {
		return [2]float64{
			mean(seeds[0], func(r Row) float64 { return r.Low }),
			mean(seeds[0], func(r Row) float64 { return r.High }),
		}
	}
	figures, average := l.figures(), stat.Mean(l.figures(), nil)
	below, above := make([]float64, len(seeds)), make([]float64, len(seeds)) // standard errors over trials
	for i, rows := range seeds {
		below[i] = mean(rows, func(r Row) float64 { return r.trialError(r.Figure - r.Low) })
		above[i] = mean(rows, func(r Row) float64 { return r.trialError(r.High - r.Figure) })
	}
	inflation := math.Sqrt(float64(len(seeds)) / float64(len(seeds)-1))
	values := make([]float64, seedReplicates)
	for i := range values {
		values[i] = replicate(random.New(0, "interval of a mean", i), figures, average, inflation, below, above)
	}
	slices.Sort(values)
	return [2]float64{
		max(0, stat.Quantile(0.025, stat.Empirical, values, nil)),
		min(100, stat.Quantile(0.975, stat.Empirical, values, nil)),
	}
}

// replicate is a mean of as many seeds, drawn with replacement, with one error of the
// trials, which all of them have in common.
func replicate(chance *rand.Rand, figures []float64, average, inflation float64, below, above []float64) float64 {
	z := chance.NormFloat64()
	value := average
	for range figures {
		i := chance.IntN(len(figures))
		deviation := inflation * (figures[i] - average)
		if z < 0 {
			deviation += z * below[i]
		} else {
			deviation += z * above[i]
		}
		value += deviation / float64(len(figures))
	}
	return value
}

// trialError is the row's standard error over its trials, or what half of an
// interval says of it.
func (r Row) trialError(half float64) float64 {
	if r.Error > 0 {
		return r.Error
	}
	return half / normal95
}
