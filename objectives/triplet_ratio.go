package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// TripletRatio asks which of the two is the positive, and wants the answer to
// be sure. Of the distances D₊ = D(a,p) and D₋ = D(a,n), of shape (batch):
//
//	d₊ = exp(D₊) / (exp(D₊) + exp(D₋)) = σ(D₊ − D₋)
//	L  = d₊²
//
// and the mean over the batch. It has no margin. Source: Hoffer & Ailon 2015,
// whose loss ‖(d₊, d₋ − 1)‖² is 2·d₊² since d₊ + d₋ = 1; their
// code takes the mean over the two terms, which is d₊². Their head is l2; with
// cosine d₊ stays above σ(−2) = 0.12, so that no triplet ever rests.
type TripletRatio struct{}

// Name is "triplet-ratio".
func (TripletRatio) Name() string { return "triplet-ratio" }

// Check implements Objective.
func (t TripletRatio) Check(head heads.Head) error { return checkSign(t, head) }

// TripletCost implements TripletObjective.
func (t TripletRatio) TripletCost(b *graph.Builder, positive, negative *graph.Node) *graph.Node {
	e := expression{b}
	e.row(t, positive, negative)
	return e.mean(e.square(e.sigmoid(e.sub(positive, negative))))
}
