package datasets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// All six ordered choices of 2 of 3 are equally likely: 1000 ± 29 of 6000.
func TestChooseIsUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for range 6000 {
		counts[fmt.Sprint(choose(r, 3, 2))]++
	}
	if len(counts) != 6 {
		t.Errorf("found %d ordered choices, expected 6", len(counts))
	}
	for choice, count := range counts {
		if count < 1000-4*29 || count > 1000+4*29 {
			t.Errorf("%s came %d times of 6000, expected about 1000", choice, count)
		}
	}
}

func TestChooseReturnsDifferentIndices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		chosen := choose(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), n, k)
		slices.Sort(chosen)
		if len(slices.Compact(slices.Clone(chosen))) != k {
			t.Fatalf("found %v, expected %d different indices", chosen, k)
		}
		if k > 0 && (chosen[0] < 0 || chosen[k-1] >= n) {
			t.Fatalf("found %v, expected indices below %d", chosen, n)
		}
	})
}

func TestParallelReturnsTheFirstErrorInOrder(t *testing.T) {
	for range 50 {
		var calls atomic.Int64
		err := parallel(100, func(i int) error {
			calls.Add(1)
			if i >= 30 && i%2 == 0 {
				return errors.Errorf("item %d", i)
			}
			return nil
		})
		if err == nil || err.Error() != "item 30" {
			t.Fatalf("found %v, expected item 30", err)
		}
		if calls.Load() < 31 {
			t.Fatalf("found %d calls, expected all up to the failing one", calls.Load())
		}
	}
}

func TestParallelCallsEveryIndexOnce(t *testing.T) {
	calls := make([]atomic.Int64, 1000)
	if err := parallel(len(calls), func(i int) error { calls[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if calls[i].Load() != 1 {
			t.Fatalf("index %d was called %d times", i, calls[i].Load())
		}
	}
	if err := parallel(0, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}
