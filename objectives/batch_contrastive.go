package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// BatchContrastive is Contrastive over all pairs i < j of a batch:
//
//	L = (1 − Y)·½·D² + Y·½·max(0, Margin − D)²
//
// with Y = 1 where labels i and j differ, and the mean over the
// batch·(batch−1)/2 pairs. Where Balanced it is the mean of two means, that
// over the pairs of one class and that over the pairs of two: a batch of many
// classes has few of the former. Where a batch has pairs of one kind only, both
// forms are the mean over those. Source: Hadsell, Chopra & LeCun 2006,
// equation 4.
type BatchContrastive struct {
	Margin   float64 // above 0
	Balanced bool
}

// Name is "batch-contrastive".
func (BatchContrastive) Name() string { return "batch-contrastive" }

// Check implements Objective.
func (c BatchContrastive) Check(head heads.Head) error { return checkContrastive(c, c.Margin, head) }

// BatchCost implements BatchObjective.
func (c BatchContrastive) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.must(checkPositive(c, c.Margin))
	e.batch(c, distances, labels)
	losses := e.contrastive(c.Margin, distances, e.otherClass(labels))
	return e.weightedMean(losses, e.pairs(labels, c.Balanced))
}
