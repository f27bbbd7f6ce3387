package retrieval

import (
	"cmp"
	"container/heap"
)

// Group is images of which each is near another of the group (single linkage): the
// first and the last may be far apart. They come in an order in which each is near
// one before it, so that a group reads as a chain of likenesses.
type Group []Member

// Member is an image of a group.
type Member struct {
	Image int
	// Beside is the image before it in the group that is nearest to it, at that
	// Distance; for the first of the group it is the image itself, at 0.
	Beside   int
	Distance float64
}

// Groups returns the groups that the pairs, the nearest first as Near gives them,
// make: that of the nearest pair first. Within a group the nearest pair comes first,
// and then in turn the image that is nearest to one that is there (Prim 1957,
// "Shortest connection networks and some generalizations").
func Groups(pairs []Pair) []Group {
	forest := spanningForest(pairs)
	branches := map[int][]Pair{} // by image
	for _, p := range forest {
		branches[p.A] = append(branches[p.A], p)
		branches[p.B] = append(branches[p.B], p)
	}
	var groups []Group
	seen := map[int]bool{}
	for _, p := range forest {
		if !seen[p.A] {
			groups = append(groups, grow(p.A, branches, seen))
		}
	}
	return groups
}

// spanningForest are the pairs that make groups of what was apart, in their order
// (Kruskal 1956, "On the shortest spanning subtree of a graph and the traveling
// salesman problem").
func spanningForest(pairs []Pair) []Pair {
	parents := map[int]int{}
	root := func(image int) int {
		for {
			parent, known := parents[image]
			if !known || parent == image {
				return image
			}
			if grandparent, known := parents[parent]; known {
				parents[image] = grandparent // a shorter way for the next
			}
			image = parent
		}
	}
	var forest []Pair
	for _, p := range pairs {
		if a, b := root(p.A), root(p.B); a != b {
			parents[b] = a
			forest = append(forest, p)
		}
	}
	return forest
}

// grow is the group of an image, which sees all its members.
func grow(first int, branches map[int][]Pair, seen map[int]bool) Group {
	group := Group{}
	reach := &queue{{A: first, B: first}}
	for reach.Len() > 0 {
		p := heap.Pop(reach).(Pair)
		from, to := p.A, p.B
		if seen[to] {
			from, to = to, from
		}
		if seen[to] {
			continue
		}
		seen[to] = true
		group = append(group, Member{Image: to, Beside: from, Distance: p.Distance})
		for _, branch := range branches[to] {
			heap.Push(reach, branch)
		}
	}
	return group
}

// queue is a heap of pairs of which the nearest comes first.
type queue []Pair

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].Distance, q[j].Distance), q[i].A-q[j].A, q[i].B-q[j].B) < 0
}
func (q *queue) Push(pair interface{}) { *q = append(*q, pair.(Pair)) }
func (q *queue) Pop() interface{} {
	last := len(*q) - 1
	pair := (*q)[last]
	*q = (*q)[:last]
	return pair
}
