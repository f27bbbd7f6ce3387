package clusters

import (
	"math"
	"slices"
	"testing"
)

// Vectors have the length 1, and the expected cosines: 1/(1 + 0.8² + 0.6²) of two classes of a
// group, (1 + 0.8²) times that of two examples of a class, and 0 of two groups.
func TestVector(t *testing.T) {
	const elements = 20000
	cosine := func(a, b []float32) (sum float64) {
		for j := range a {
			sum += float64(a[j]) * float64(b[j])
		}
		return sum
	}
	first := Vector(1, elements, 0, 0)
	for _, test := range []struct {
		class, i int
		want     float64
	}{{0, 0, 1}, {0, 1, 0.82}, {PerGroup - 1, 0, 0.5}, {PerGroup, 0, 0}} {
		if found := cosine(first, Vector(1, elements, test.class, test.i)); math.Abs(found-test.want) > 0.03 {
			t.Errorf("class %d, example %d: found the cosine %v, expected %v", test.class, test.i, found, test.want)
		}
	}
	if !slices.Equal(first, Vector(1, elements, 0, 0)) || slices.Equal(first, Vector(2, elements, 0, 0)) {
		t.Error("the vector is not determined by the seed")
	}
}
