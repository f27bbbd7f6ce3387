package gradcheck

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
)

// Perturb moves all float32 weights to values at which nothing is hidden: first
// values such as a gain of 1, a running mean of 0 or Koch's even maps would let
// an error of layout or of order pass. The values are drawn from the name of the
// case and those of the weights.
func Perturb(weights *graph.Weights, name string) {
	for _, weight := range weights.All() {
		draw := drawn(weight, random.New(1, "weights", name, weight.Name))
		data := weight.Value.Data().([]float32)
		for i, v := range data {
			data[i] = draw(v)
		}
	}
}

// drawn draws a new value, given the first one.
func drawn(weight *graph.Weight, r *rand.Rand) func(first float32) float32 {
	shape := weight.Value.Shape()
	switch {
	case weight.Role == graph.Kernel && shape.Dims() > 1:
		deviation := math.Sqrt(2 / float64(shape.TotalSize()/shape[0])) // He's
		return func(float32) float32 { return float32(deviation * r.NormFloat64()) }
	case weight.Role == graph.Gain:
		return func(first float32) float32 { return first * (0.5 + r.Float32()) }
	case strings.HasSuffix(weight.Name, "running_var"):
		return func(float32) float32 { return 0.5 + r.Float32() }
	case weight.Role == graph.Buffer:
		return func(float32) float32 { return float32(0.3 * r.NormFloat64()) }
	}
	return func(first float32) float32 { return first + float32(0.1*r.NormFloat64()) }
}
