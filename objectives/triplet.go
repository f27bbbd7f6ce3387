package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// Triplet wants the negative at least Margin farther from the anchor than the
// positive:
//
//	L = max(0, D(a,p) − D(a,n) + Margin)
//
// or, where Soft, without a margin and without an end (Hermans, Beyer & Leibe
// 2017, section 2, "soft-margin"):
//
//	L = log(1 + exp(D(a,p) − D(a,n)))
//
// D(a,p) and D(a,n) are of shape (batch); the cost is the mean over the batch.
// Source: Schroff, Kalenichenko & Philbin 2015, section 3.1, with squared-l2
// over unit vectors, who add up where this takes the mean.
type Triplet struct {
	Margin float64 // above 0; not looked at where Soft
	Soft   bool
}

// Name is "triplet".
func (Triplet) Name() string { return "triplet" }

// Check implements Objective.
func (t Triplet) Check(head heads.Head) error { return checkTriplet(t, t.Margin, t.Soft, head) }

// TripletCost implements TripletObjective.
func (t Triplet) TripletCost(b *graph.Builder, positive, negative *graph.Node) *graph.Node {
	e := expression{b}
	e.row(t, positive, negative)
	return e.mean(e.ranking(t, t.Margin, t.Soft, e.sub(positive, negative)))
}

// ranking is L of each gap D(a,p) − D(a,n), in any shape.
func (e expression) ranking(o Objective, margin float64, soft bool, gap *graph.Node) *graph.Node {
	if soft {
		return e.softplus(gap)
	}
	e.must(checkPositive(o, margin))
	return e.hinge(e.plus(gap, margin))
}

func checkTriplet(o Objective, margin float64, soft bool, head heads.Head) error {
	if err := checkSign(o, head); err != nil || soft {
		return err
	}
	return checkMargin(o, margin, head)
}
