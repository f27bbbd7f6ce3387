package evaluate

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSmallestEqualsASort(t *testing.T) {
	number := rapid.OneOf(rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{-1, 0, 0.5, 1}))
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(number, 1, 60).Draw(t, "values")
		rank := rapid.IntRange(0, len(values)-1).Draw(t, "rank")
		sorted := slices.Sorted(slices.Values(values))
		if got := smallest(values, rank); got != sorted[rank] {
			t.Errorf("got %v, want %v", got, sorted[rank])
		}
		if slices.Sort(values); !slices.Equal(values, sorted) {
			t.Error("the values are not the same any more")
		}
	})
}

// Orders that make a careless choice of pivot take quadratic time.
func TestSmallestOfOrdered(t *testing.T) {
	const n = 200_000
	values := make([]float64, n)
	for name, value := range map[string]func(i int) float64{
		"equal":      func(int) float64 { return 3 },
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return float64(n - i) },
		"two values": func(i int) float64 { return float64(i % 2) },
	} {
		for i := range values {
			values[i] = value(i)
		}
		want := slices.Sorted(slices.Values(values))[n/3]
		if got := smallest(values, n/3); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
