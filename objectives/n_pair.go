package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// NPair sets each positive of a batch against all negatives at once: for each
// anchor a and positive p,
//
//	L = log(1 + Σₙ exp((D(a,p) − D(a,n))/τ))
//
// over all negatives n of a, τ = Temperature, and the mean over all pairs
// (a,p). Source: Sohn 2016, the "(N+1)-tuplet loss", whose similarity is
// the inner product; with cosine and a temperature it is the InfoNCE of van
// den Oord, Li & Vinyals 2018, equation 4. With one negative and τ = 1 it is
// the soft margin of Triplet, and it is to many negatives what TripletRatio is
// to one.
type NPair struct {
	Temperature float64 // above 0: the difference of distances that makes an odds of e
}

// Name is "n-pair".
func (NPair) Name() string { return "n-pair" }

// Check implements Objective.
func (n NPair) Check(head heads.Head) error { return checkSoftmax(n, n.Temperature, head) }

// BatchCost implements BatchObjective.
func (n NPair) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(n, distances, labels)
	e.must(checkTemperature(n, n.Temperature))
	return e.anchors(n.Name(), distances, labels, softmaxOf(n.Temperature, nPair))
}

func nPair(r softmaxRow) (sum, count float64) {
	negatives := r.logSum(r.negatives)
	var pull float64
	for _, p := range r.positives {
		loss, slope := graph.Softplus(negatives + r.row[p]/r.temperature)
		sum += loss
		r.slopes[p] += slope / r.temperature
		pull += slope
	}
	r.slope(pull, negatives, r.negatives)
	return sum, float64(len(r.positives))
}
