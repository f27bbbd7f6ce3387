package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// BatchAll takes every triplet of a batch: each anchor with each positive and
// each negative,
//
//	L = max(0, D(a,p) − D(a,n) + Margin)
//
// with the mean over the triplets whose loss is above zero, so that those that
// rest do not wash out the others. Where Soft, L = log(1 + exp(D(a,p) −
// D(a,n))) with the mean over all triplets, for none of them rests. Source:
// Hermans, Beyer & Leibe 2017, section 2, "batch all", in the form "≠ 0".
type BatchAll struct {
	Margin float64 // above 0; not looked at where Soft
	Soft   bool
}

// Name is "batch-all".
func (BatchAll) Name() string { return "batch-all" }

// Check implements Objective.
func (a BatchAll) Check(head heads.Head) error { return checkTriplet(a, a.Margin, a.Soft, head) }

// BatchCost implements BatchObjective.
func (a BatchAll) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(a, distances, labels)
	if a.Soft {
		return e.triplets(distances, labels, softRanking, everyTriplet)
	}
	e.must(checkPositive(a, a.Margin))
	return e.triplets(distances, labels, hingeRanking(a.Margin), everyTriplet)
}

// everyTriplet visits all triplets of an anchor.
func everyTriplet(anchor int, _, labels []float64, visit func(positive, negative int)) {
	for p := range labels {
		if p == anchor || labels[p] != labels[anchor] {
			continue
		}
		for n := range labels {
			if labels[n] != labels[anchor] {
				visit(p, n)
			}
		}
	}
}
