package index

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/vector"
)

// filter is a lower bound of a distance that is cheaper than the distance itself: two
// vectors at a distance of at most d have a measure of at most limit(d).
type filter struct {
	measure  func(x, y []float32) float64
	limit    func(distance float64) float64
	units    bool // vectors are normalized to length 1 before they are compared
	squares  bool // the measure is the squared Euclidean distance
	absolute bool // the measure is the sum of absolute differences
}

// rounding bounds the relative error of a sum of the kernels: each term is exact
// to 2⁻²³ of a difference, squared to 2⁻²², and adding is in float64. The
// distance's own rounding is nothing beside it.
const rounding = 0x1p-20

// maxWeight is the largest magnitude of a weight at which no float32 kernel
// overflows.
const maxWeight = MaxValue

// filterFor is the float32 filter of a distance that has a form. Any other distance
// is its own filter.
func filterFor(distance heads.Distance) filter {
	engine := vector.For[float32]()
	unchanged := func(d float64) float64 { return d }
	form, known := distance.Form()
	// sum is what the distance makes the sum of |xⱼ − yⱼ|^Power, or of their products
	// with the weights, be at most; see heads.Form.
	sum := func(d float64) float64 { return form.Sum(d) / form.Scale * (1 + rounding) }
	large := slices.ContainsFunc(form.Weights, func(w float32) bool { return !(math.Abs(float64(w)) <= maxWeight) })
	switch {
	case known && form.Normalize:
		// The measure is the squared distance of the unit vectors, which is less than
		// the form's where one is zero. Rounding moves either unit vector by up to 2⁻²⁴.
		return filter{
			measure: engine.SquaredDistance, units: true, squares: true,
			limit: func(d float64) float64 {
				chord := math.Sqrt(form.Sum(d)/form.Scale) + 0x1p-22
				return chord * chord * (1 + rounding)
			},
		}
	case known && form.Power == 2 && form.Weights == nil:
		return filter{measure: engine.SquaredDistance, squares: true, limit: sum}
	case known && form.Power == 1 && form.Weights == nil:
		return filter{measure: engine.AbsoluteDistance, absolute: true, limit: sum}
	case known && form.Power == 1 && !large && !form.Signed():
		return filter{
			measure: func(x, y []float32) float64 { return engine.WeightedDistance(x, y, form.Weights) },
			limit:   sum,
		}
	case known && form.Power == 1 && !large:
		magnitudes := make([]float32, len(form.Weights))
		for j, w := range form.Weights {
			magnitudes[j] = float32(math.Abs(float64(w)))
		}
		return filter{
			measure: func(x, y []float32) float64 {
				return engine.WeightedDistance(x, y, form.Weights) - rounding*engine.WeightedDistance(x, y, magnitudes)
			},
			limit: func(d float64) float64 { return d / form.Scale },
		}
	}
	return filter{measure: distance.Between, limit: unchanged}
}
