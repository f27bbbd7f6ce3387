package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// BatchCrossEntropy is CrossEntropy over all pairs i < j of a batch:
//
//	p = σ(bias − D), L = −(y·log p + (1 − y)·log(1 − p))
//
// with y = 1 where labels i and j are the same, and the mean over the
// batch·(batch−1)/2 pairs. Where Balanced it is the mean of two means, that
// over the pairs of one class and that over the pairs of two, so that p is the
// probability among equally many of both. Where a batch has pairs of one kind
// only, both forms are the mean over those. Source: Koch, Zemel &
// Salakhutdinov 2015, section 3.2.
type BatchCrossEntropy struct {
	Balanced bool
}

// Name is "batch-cross-entropy".
func (BatchCrossEntropy) Name() string { return "batch-cross-entropy" }

// Check implements Objective.
func (c BatchCrossEntropy) Check(head heads.Head) error { return checkCrossEntropy(c, head) }

// BatchCost implements BatchObjective.
func (c BatchCrossEntropy) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(c, distances, labels)
	losses := e.crossEntropy(distances, e.otherClass(labels))
	return e.weightedMean(losses, e.pairs(labels, c.Balanced))
}
