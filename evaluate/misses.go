package evaluate

import (
	"cmp"
	"slices"

	"github.com/pkg/errors"
)

// Neighbour is an embedding by its row, and its distance from a query.
type Neighbour struct {
	Row      int
	Distance float64
}

// Miss is a query of Retrieve whose nearest embeddings are all of other classes.
type Miss struct {
	Query   int         // its row
	Nearest []Neighbour // nearest first; of equally near ones that of the lower row
	Own     Neighbour   // the nearest of the query's class
	Nearer  int         // how many embeddings are nearer than Own
}

// Misses returns, of the queries that Retrieve asks, those with k embeddings or
// more nearer than the nearest of their class; the worst first, which have the
// most of them, and of equally bad ones the lower row. k is 1 or more. An
// embedding that is as near as the nearest of the class is not nearer: of
// embeddings that are all alike none is a miss.
func Misses(metric Metric, set Labelled, k int) ([]Miss, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	if k < 1 || k > set.Rows-1 {
		return nil, errors.Errorf("misses at %d: each of %d embeddings has %d others", k, set.Rows, set.Rows-1)
	}
	found := make([]Miss, set.Rows) // those without Nearest are none
	err := eachQuery(metric, set.Embeddings, set.Embeddings, func(query int, distances []float64) {
		excludeSelf(query, distances)
		own := -1
		for i, d := range distances {
			if i != query && set.Labels[i] == set.Labels[query] && (own < 0 || d < distances[own]) {
				own = i
			}
		}
		if own < 0 {
			return // the only one of its class is not asked
		}
		nearer := 0
		for _, d := range distances {
			if d < distances[own] {
				nearer++
			}
		}
		if nearer < k {
			return
		}
		miss := Miss{Query: query, Own: Neighbour{own, distances[own]}, Nearer: nearer}
		for _, i := range nearest(distances, k) {
			miss.Nearest = append(miss.Nearest, Neighbour{i, distances[i]})
		}
		found[query] = miss
	})
	if err != nil {
		return nil, err
	}
	misses := slices.DeleteFunc(found, func(m Miss) bool { return m.Nearest == nil })
	slices.SortStableFunc(misses, func(a, b Miss) int { return cmp.Compare(b.Nearer, a.Nearer) })
	return misses, nil
}
