package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// CrossEntropy takes the distance for evidence on whether the classes are the
// same:
//
//	p = σ(bias − D), the probability of the same class
//	L = −(y·log p + (1 − y)·log(1 − p)), y = 1 − different
//
// with D and different (1 where the classes differ) of shape (batch), and the
// mean over the batch. Source: Koch, Zemel & Salakhutdinov 2015, section 3.2,
// who print the sum without its minus sign and add λᵀ|w|², for which see
// Penalty. Their D is −Σ αⱼ|xⱼ − yⱼ| with α of any sign: signed-weighted-l1.
//
// The learned weight "head.bias" (1) starts as their biases do, from
// N(0.5, 0.01²). Logarithms are taken of logits, so that they never overflow.
type CrossEntropy struct{}

// Name is "cross-entropy".
func (CrossEntropy) Name() string { return "cross-entropy" }

// Check implements Objective.
func (c CrossEntropy) Check(head heads.Head) error { return checkCrossEntropy(c, head) }

// PairCost implements PairObjective.
func (c CrossEntropy) PairCost(b *graph.Builder, distance, different *graph.Node) *graph.Node {
	e := expression{b}
	e.row(c, distance, different)
	return e.mean(e.crossEntropy(distance, different))
}

// crossEntropy is L of each pair, in any shape: −log p = softplus(−logit) and
// −log(1 − p) = softplus(logit).
func (e expression) crossEntropy(distance, different *graph.Node) *graph.Node {
	logit := e.logit(distance)
	same := e.product(e.less(1, different), e.softplus(e.scale(-1, logit)))
	return e.add(same, e.product(different, e.softplus(logit)))
}

// logit is bias − distance.
func (e expression) logit(distance *graph.Node) *graph.Node {
	bias := e.Weight("head.bias", graph.Bias, graph.Normal(0.5, 0.01), 1)
	return e.Apply("logit", distance.Shape().Clone(), logit[float32]{}, logit[float64]{}, bias, distance)
}

type logit[T graph.Float] struct{}

func (logit[T]) Forward(y []T, x ...[]T) {
	for i, d := range x[1] {
		y[i] = x[0][0] - d
	}
}

func (logit[T]) Backward(dx, _ [][]T, _, dy []T) {
	var sum float64
	for _, g := range dy {
		sum += float64(g)
	}
	if dx[0] != nil {
		dx[0][0] = T(sum)
	}
	for i := range dx[1] {
		dx[1][i] = -dy[i]
	}
}

func checkCrossEntropy(o Objective, head heads.Head) error {
	if most := propertiesOf(head).Max; most > 0 {
		return errors.Errorf("%s with %s: these distances lie in [0, %v], so that the logit bias − distance spans %v and no answer can be sure: use l2 or weighted-l1", o.Name(), head.Name(), most, most)
	}
	return nil
}
