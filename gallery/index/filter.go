package index

import (
	"math"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/vector"
)

// filter is a measure that is cheaper than a distance and certain to leave out
// nothing: two vectors at a distance of at most d measure at most limit(d).
type filter struct {
	measure func(x, y []float32) float64
	limit   func(distance float64) float64
	// units says that vectors are compared brought to length 1, and products
	// that the measure is the squared Euclidean distance, which products of
	// matrices can stand for.
	units, products bool
	// ordered says that of two measures the smaller is the smaller distance, but
	// for rounding, and that distances are such as an index can follow.
	ordered bool
}

// rounding bounds the relative error of a sum of the kernels: each term is exact
// to 2⁻²³ of a difference, squared to 2⁻²², and adding is in float64. The
// head's own rounding is nothing beside it.
const rounding = 0x1p-20

// filterFor is the filter of a distance. One that is not known is its own.
func filterFor(distance heads.Distance) filter {
	engine := vector.For[float32]()
	wider := func(d float64) float64 { return d * (1 + rounding) }
	switch head := distance.Builtin().(type) {
	case heads.L2:
		return filter{
			measure: engine.SquaredDistance, products: true, ordered: true,
			limit: func(d float64) float64 { return wider(d * d) },
		}
	case heads.SquaredL2:
		return filter{measure: engine.SquaredDistance, products: true, ordered: true, limit: wider}
	case heads.Cosine:
		// The distance is half the squared distance of the unit vectors, or 1
		// where one is zero, which is more than that. Rounding moves either unit
		// vector by up to 2⁻²⁴.
		return filter{
			measure: engine.SquaredDistance, units: true, products: true, ordered: true,
			limit: func(d float64) float64 {
				chord := math.Sqrt(2*d) + 0x1p-22
				return wider(chord * chord)
			},
		}
	case heads.L1:
		return filter{measure: engine.AbsoluteDistance, ordered: true, limit: wider}
	case heads.WeightedL1:
		if !head.Signed {
			return filter{
				measure: func(x, y []float32) float64 { return engine.WeightedDistance(x, y, distance.Weights) },
				limit:   wider, ordered: true,
			}
		}
		magnitudes := make([]float32, len(distance.Weights))
		for j, w := range distance.Weights {
			magnitudes[j] = float32(math.Abs(float64(w)))
		}
		return filter{
			measure: func(x, y []float32) float64 {
				return engine.WeightedDistance(x, y, distance.Weights) - rounding*engine.WeightedDistance(x, y, magnitudes)
			},
			limit: func(d float64) float64 { return d },
		}
	}
	return filter{measure: distance.Between, limit: func(d float64) float64 { return d }}
}
