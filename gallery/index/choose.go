package index

import (
	"cmp"
	"slices"
)

// choose takes up to so many of the candidates, which it sorts, for the links of
// the node that their distances are from. It is the paper's algorithm 4: a
// candidate that is closer to one that was taken than to the node is reached by
// that one, and passed over, so that links lead in all directions and out of
// clusters. What room is left goes to the nearest of those passed over.
func (g *Graph) choose(candidates []visit, most int) []visit {
	slices.SortFunc(candidates, func(a, b visit) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.node, b.node))
	})
	if len(candidates) <= most {
		return candidates
	}
	chosen := make([]visit, 0, most)
	var passed []visit
	for _, candidate := range candidates {
		if len(chosen) == most {
			break
		}
		reached := slices.ContainsFunc(chosen, func(c visit) bool {
			return g.between(c.node, candidate.node) < candidate.distance
		})
		if reached {
			passed = append(passed, candidate)
		} else {
			chosen = append(chosen, candidate)
		}
	}
	return append(chosen, passed[:min(len(passed), most-len(chosen))]...)
}
