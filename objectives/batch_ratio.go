package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// BatchRatio is TripletRatio over every triplet of a batch: of the distances
// D(a,p) and D(a,n), and s = Scale,
//
//	L = σ(s·(D(a,p) − D(a,n)))²
//
// with the mean over all triplets. Source: Hoffer & Ailon 2015, who draw their
// triplets at random.
type BatchRatio struct {
	Scale float64 // above 0; 1 in the paper
}

// Name is "batch-ratio".
func (BatchRatio) Name() string { return "batch-ratio" }

// Check implements Objective.
func (r BatchRatio) Check(head heads.Head) error {
	if err := checkSign(r, head); err != nil {
		return err
	}
	return checkScale(r, r.Scale)
}

// BatchCost implements BatchObjective.
func (r BatchRatio) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(r, distances, labels)
	e.must(checkScale(r, r.Scale))
	return e.triplets(distances, labels, ratioRanking(r.Scale), everyTriplet)
}

// ratioRanking is σ(scale·gap)².
func ratioRanking(scale float64) ranking {
	return func(gap float64) (loss, slope float64, counts bool) {
		_, p := graph.Softplus(scale * gap) // the slope of softplus is σ
		return p * p, 2 * scale * p * p * (1 - p), true
	}
}
