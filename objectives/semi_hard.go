package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// SemiHard takes every anchor with every positive, and for each such pair the
// nearest of the negatives that are farther than the positive but within the
// margin, D(a,p) < D(a,n) < D(a,p) + Margin:
//
//	L = D(a,p) − D(a,n) + Margin, in (0, Margin)
//
// with the mean over the pairs that have such a negative. The others are left
// out: those whose negatives are all beyond the margin have nothing to learn,
// and negatives nearer than the positive are what the rule means to avoid.
//
// Source: Schroff, Kalenichenko & Philbin 2015, section 3.2, with squared-l2
// over unit vectors and Margin 0.2. The paper leaves open which of the negatives
// within the margin is taken, and what happens where there is none. Libraries
// mean different rules by the word: TensorFlow's triplet_semihard_loss, where
// no negative is farther than the positive, takes the farthest there is.
type SemiHard struct {
	Margin float64 // above 0
}

// Name is "semi-hard".
func (SemiHard) Name() string { return "semi-hard" }

// Check implements Objective.
func (s SemiHard) Check(head heads.Head) error { return checkTriplet(s, s.Margin, false, head) }

// BatchCost implements BatchObjective.
func (s SemiHard) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.must(checkPositive(s, s.Margin))
	e.batch(s, distances, labels)
	return e.triplets(distances, labels, hingeRanking(s.Margin), s.find)
}

// find visits, for each positive of an anchor, its semi-hard negative.
func (s SemiHard) find(anchor int, row, labels []float64, visit func(positive, negative int)) {
	for p := range labels {
		if p == anchor || labels[p] != labels[anchor] {
			continue
		}
		nearest := -1
		for n := range labels {
			gap := row[p] - row[n]
			if labels[n] != labels[anchor] && gap < 0 && gap+s.Margin > 0 && (nearest < 0 || row[n] < row[nearest]) {
				nearest = n
			}
		}
		if nearest >= 0 {
			visit(p, nearest)
		}
	}
}
