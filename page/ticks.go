package page

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// roundTicks are at round numbers, each with its label, about as many as asked
// for; whole ones are at whole numbers only.
type roundTicks struct {
	about int
	whole bool
}

// Ticks implements plot.Ticker.
func (r roundTicks) Ticks(least, greatest float64) (ticks []plot.Tick) {
	step := roundStep((greatest - least) / float64(r.about))
	if r.whole {
		step = max(1, step)
	}
	for i := math.Ceil(least / step); i*step <= greatest; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i*step, step)})
	}
	return ticks
}

// roundStep is the least of …, 0.5, 1, 2, 5, 10, 20, … that is no smaller than a
// positive number.
func roundStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= least {
			return factor * power
		}
	}
	return 10 * power
}

// tickLabel has as many digits as tell it from the labels beside it.
func tickLabel(value, step float64) string {
	if math.Abs(value) < step/2 {
		return "0" // and not -0.0
	}
	if step < 1e-4 || math.Abs(value) >= 1e5 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	return strconv.FormatFloat(value, 'f', digits, 64)
}
