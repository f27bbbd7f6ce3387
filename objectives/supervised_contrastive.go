package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// SupervisedContrastive asks of each anchor a that each of its positives P(a)
// be chosen among all others:
//
//	L = −1/|P(a)| Σₚ log( exp(−D(a,p)/τ) / Σ_{i≠a} exp(−D(a,i)/τ) )
//
// τ = Temperature, and the mean over the anchors. Unlike NPair's, its softmax
// has the other positives among what a positive is set against, so that it
// never rests where a class has three images. Source: Khosla et al. 2020,
// "Supervised Contrastive Learning", equation 2, L_out, whose head is cosine
// and whose τ is 0.1.
type SupervisedContrastive struct {
	Temperature float64 // above 0
}

// Name is "supervised-contrastive".
func (SupervisedContrastive) Name() string { return "supervised-contrastive" }

// Check implements Objective.
func (s SupervisedContrastive) Check(head heads.Head) error {
	return checkSoftmax(s, s.Temperature, head)
}

// BatchCost implements BatchObjective.
func (s SupervisedContrastive) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(s, distances, labels)
	e.must(checkTemperature(s, s.Temperature))
	return e.anchors(s.Name(), distances, labels, softmaxOf(s.Temperature, supervisedContrastive))
}

func supervisedContrastive(r softmaxRow) (sum, count float64) {
	all := r.logSum(r.positives, r.negatives)
	share := 1 / float64(len(r.positives))
	for _, p := range r.positives {
		sum += share * (all + r.row[p]/r.temperature)
		r.slopes[p] += share / r.temperature
	}
	r.slope(1, all, r.positives, r.negatives)
	return sum, 1
}
