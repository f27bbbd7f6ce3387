package gradcheck

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
)

// Perturb moves all float32 weights away from their initial values: with values such as a
// gain of 1 or a running mean of 0, two implementations agree even if one of them
// confuses layouts or the order of weights. The new values depend only on the name of the
// case and the names of the weights.
func Perturb(weights *graph.Weights, name string) {
	for _, weight := range weights.All() {
		value := newValue(weight, random.New(1, "weights", name, weight.Name))
		data := weight.Value.Data().([]float32)
		for i, v := range data {
			data[i] = value(v)
		}
	}
}

// newValue returns a function that draws a new value, given the initial one.
func newValue(weight *graph.Weight, r *rand.Rand) func(initial float32) float32 {
	shape := weight.Value.Shape()
	switch {
	case weight.Role == graph.Kernel && shape.Dims() > 1:
		stdDev := math.Sqrt(2 / float64(shape.TotalSize()/shape[0])) // He's
		return func(float32) float32 { return float32(stdDev * r.NormFloat64()) }
	case weight.Role == graph.Gain:
		return func(initial float32) float32 { return initial * (0.5 + r.Float32()) }
	case strings.HasSuffix(weight.Name, "running_var"):
		return func(float32) float32 { return 0.5 + r.Float32() }
	case weight.Role == graph.Buffer:
		return func(float32) float32 { return float32(0.3 * r.NormFloat64()) }
	}
	return func(initial float32) float32 { return initial + float32(0.1*r.NormFloat64()) }
}
