package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// NCA is neighbourhood components analysis: an anchor a picks one other image
// at random, the nearer the likelier, and ought to pick one of its class P(a):
//
//	L = −log( Σₚ exp(−D(a,p)/τ) / Σ_{i≠a} exp(−D(a,i)/τ) )
//
// τ = Temperature, and the mean over the anchors. One near positive is enough,
// so that a class may lie in several places. Source: Goldberger, Roweis,
// Hinton & Salakhutdinov 2004, in the form with the logarithm; their head is
// squared-l2 and their τ is 1.
type NCA struct {
	Temperature float64 // above 0; 1 in the paper
}

// Name is "nca".
func (NCA) Name() string { return "nca" }

// Check implements Objective.
func (n NCA) Check(head heads.Head) error { return checkSoftmax(n, n.Temperature, head) }

// BatchCost implements BatchObjective.
func (n NCA) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(n, distances, labels)
	e.must(checkTemperature(n, n.Temperature))
	return e.anchors(n.Name(), distances, labels, softmaxOf(n.Temperature, nca))
}

func nca(r softmaxRow) (sum, count float64) {
	all, own := r.logSum(r.positives, r.negatives), r.logSum(r.positives)
	r.slope(1, all, r.positives, r.negatives)
	r.slope(-1, own, r.positives)
	return all - own, 1
}
