package random_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

func TestOnePathIsOneStream(t *testing.T) {
	a, b := random.New(7, "batch", 3), random.New(7, "batch", 3)
	for i := range 100 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("draw %d: %d and %d", i, x, y)
		}
	}
}

func TestPathsAreIndependent(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(10) {
		for epoch := range 10 {
			for index := range 100 {
				seen[random.New(seed, "batch", epoch, index).Uint64()] = true
			}
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d different first draws from 10000 streams", len(seen))
	}
	if random.Seed(1, "ab", "c") == random.Seed(1, "a", "bc") {
		t.Error("the border between two parts does not count")
	}
}

// The mean of the first draw over neighboring streams is that of a uniform
// variable: 0.5 with a standard error of 1/√(12·10000) = 0.0029.
func TestNeighboringStreamsAreUnbiased(t *testing.T) {
	var sum float64
	for index := range 10_000 {
		sum += random.New(0, "sample", index).Float64()
	}
	if mean := sum / 10_000; math.Abs(mean-0.5) > 4*0.0029 {
		t.Errorf("mean of first draws is %.4f", mean)
	}
}
