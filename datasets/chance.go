package datasets

import (
	"math/rand/v2"
	"slices"
)

func shuffle[T any](r *rand.Rand, values []T) {
	r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
}

// choose returns k different ones of 0 to n−1 in random order (Floyd's
// algorithm: Bentley & Floyd 1987, then shuffled), k at most n.
func choose(r *rand.Rand, n, k int) []int {
	chosen := make([]int, 0, k)
	for last := n - k; last < n; last++ {
		candidate := r.IntN(last + 1)
		if slices.Contains(chosen, candidate) {
			candidate = last
		}
		chosen = append(chosen, candidate)
	}
	shuffle(r, chosen)
	return chosen
}

// other returns one of 0 to n−1 that is not i.
func other(r *rand.Rand, n, i int) int {
	j := r.IntN(n - 1)
	if j >= i {
		j++
	}
	return j
}
