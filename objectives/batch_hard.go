package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// BatchHard takes, for each anchor of a batch, its farthest positive and its
// nearest negative:
//
//	L = max(0, max D(a,p) − min D(a,n) + Margin)
//
// or, where Soft, log(1 + exp(max D(a,p) − min D(a,n))), with the mean over
// the anchors that have a positive and a negative. Source: Hermans, Beyer &
// Leibe 2017, section 2, "batch hard". They draw P classes with K images each,
// and prefer the soft margin and embeddings that are not normalised.
type BatchHard struct {
	Margin float64 // above 0; not looked at where Soft
	Soft   bool
}

// Name is "batch-hard".
func (BatchHard) Name() string { return "batch-hard" }

// Check implements Objective.
func (h BatchHard) Check(head heads.Head) error { return checkTriplet(h, h.Margin, h.Soft, head) }

// BatchCost implements BatchObjective.
func (h BatchHard) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(h, distances, labels)
	positives, negatives := e.sameClass(labels), e.otherClass(labels)
	gap := e.sub(e.largest(distances, positives), e.smallest(distances, negatives))
	anchors := e.product(e.any(positives), e.any(negatives))
	return e.weightedMean(e.ranking(h, h.Margin, h.Soft, gap), anchors)
}
