package index

import (
	"cmp"
	"math"
	"slices"
)

// Neighbour is a row and its distance from the query.
type Neighbour struct {
	Row      int
	Distance float64
}

// order is by distance, and by row among equals.
func order(a, b Neighbour) int {
	return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Row, b.Row))
}

// Groups says which group each row belongs to; nil makes each row its own.
type Groups []int32

func (g Groups) of(row int) int32 {
	if g == nil {
		return int32(row)
	}
	return g[row]
}

// selection keeps the k nearest of what it is offered, of each group the nearest.
type selection struct {
	k      int
	groups Groups
	found  []Neighbour // in order
}

// worst is the distance beyond which nothing is taken any more.
func (s *selection) worst() float64 {
	if len(s.found) < s.k {
		return math.Inf(1)
	}
	return s.found[len(s.found)-1].Distance
}

// offer takes a row if it is near enough, and says whether it did. A distance
// that is not a number is taken by none.
func (s *selection) offer(offered Neighbour) bool {
	if math.IsNaN(offered.Distance) {
		return false
	}
	group := s.groups.of(offered.Row)
	same := slices.IndexFunc(s.found, func(n Neighbour) bool { return s.groups.of(n.Row) == group })
	switch {
	case same >= 0:
		if order(offered, s.found[same]) >= 0 {
			return false
		}
		s.found = slices.Delete(s.found, same, same+1)
	case len(s.found) == s.k:
		if order(offered, s.found[s.k-1]) >= 0 {
			return false
		}
		s.found = s.found[:s.k-1]
	}
	at, _ := slices.BinarySearchFunc(s.found, offered, order)
	s.found = slices.Insert(s.found, at, offered)
	return true
}
