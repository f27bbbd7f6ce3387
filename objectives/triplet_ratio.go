package objectives

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// TripletRatio asks which of the two is the positive, and wants the answer to
// be sure. Of the distances D₊ = D(a,p) and D₋ = D(a,n), of shape (batch), and
// s = Scale:
//
//	d₊ = exp(s·D₊) / (exp(s·D₊) + exp(s·D₋)) = σ(s·(D₊ − D₋))
//	L  = d₊²
//
// and the mean over the batch. It has no margin. Source: Hoffer & Ailon 2015,
// whose loss ‖(d₊, d₋ − 1)‖² is 2·d₊² since d₊ + d₋ = 1; their
// code takes the mean over the two terms, which is d₊². Their head is l2 and
// their Scale is 1.
//
// Scale is the inverse of a temperature: how sure a difference of 1 between the
// distances is. A network makes l2 distances as large as it needs, but cosine
// distances end at 2: at Scale 1 their d₊ stays above σ(−2) = 0.12, so that no
// triplet ever rests. See DefaultScale.
type TripletRatio struct {
	Scale float64 // above 0; 1 in the paper
}

// Name is "triplet-ratio".
func (TripletRatio) Name() string { return "triplet-ratio" }

// Check implements Objective.
func (t TripletRatio) Check(head heads.Head) error {
	if err := checkSign(t, head); err != nil {
		return err
	}
	return checkScale(t, t.Scale)
}

func checkScale(o Objective, scale float64) error {
	if !(scale > 0) || math.IsInf(scale, 0) {
		return errors.Errorf("%s: found scale %v, expected a positive number", o.Name(), scale)
	}
	return nil
}

// TripletCost implements TripletObjective.
func (t TripletRatio) TripletCost(b *graph.Builder, positive, negative *graph.Node) *graph.Node {
	e := expression{b}
	e.must(checkScale(t, t.Scale))
	e.row(t, positive, negative)
	gap := e.scale(t.Scale, e.sub(positive, negative))
	return e.mean(e.square(e.sigmoid(gap)))
}
