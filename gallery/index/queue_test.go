package index

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A queue hands out what was put in, in order.
func TestQueueSorts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		farthest := rapid.Bool().Draw(t, "farthest")
		visits := rapid.SliceOf(rapid.Map(rapid.IntRange(0, 30), func(i int) visit {
			return visit{distance: float32(i % 5), node: int32(i)}
		})).Draw(t, "visits")
		q := queue{farthest: farthest}
		for _, v := range visits {
			q.push(v)
		}
		want := slices.SortedFunc(slices.Values(visits), func(a, b visit) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.node, b.node))
		})
		if farthest {
			slices.Reverse(want)
		}
		for i := range want {
			if got := q.pop(); got != want[i] {
				t.Fatalf("item %d is %v, want %v", i, got, want[i])
			}
		}
		if len(q.items) > 0 {
			t.Errorf("%d are left", len(q.items))
		}
	})
}
