package clusters

import (
	"math"

	"github.com/likeness-go/likeness/internal/random"
)

// Parameters of the distribution.
const (
	PerGroup     = 40  // classes of a group
	AmongClasses = 0.8 // standard deviation of the classes of a group
	WithinClass  = 0.6 // standard deviation of the examples of a class
)

// Vector returns example number i of a class, which is determined by the seed. It is the
// normalized sum of vectors with independent normal elements: one of the class's group, one
// of the class and one of the example, with the standard deviations 1, AmongClasses and
// WithinClass.
func Vector(seed uint64, elements, class, i int) []float32 {
	group := random.New(seed, "group", class/PerGroup)
	center := random.New(seed, "class", class)
	around := random.New(seed, "example", class, i)
	vector := make([]float32, elements)
	var squares float64
	for j := range vector {
		v := group.NormFloat64() + AmongClasses*center.NormFloat64() + WithinClass*around.NormFloat64()
		vector[j] = float32(v)
		squares += v * v
	}
	for j := range vector {
		vector[j] /= float32(math.Sqrt(squares))
	}
	return vector
}
