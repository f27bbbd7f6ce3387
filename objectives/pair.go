package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Contrastive reduces the distance of pairs of the same class and increases that of pairs
// of different classes up to Margin:
//
//	L = (1 − Y)·½·D² + Y·½·max(0, Margin − D)²
//
// Inputs: pairs, with their distances D (N) and labels Y (N), which are 1 where the
// classes differ. The loss is the mean over the pairs.
//
// Requirements: a head whose values are distances and not squared, since the
// equation squares them. The margin is a distance; see DefaultMargin.
//
// Source: Hadsell, Chopra & LeCun 2006, equation 4, which is a sum over the pairs.
// See also BatchContrastive, which takes all pairs of a batch.
type Contrastive struct {
	Margin float64 // positive
}

// Name is "contrastive".
func (Contrastive) Name() string { return "contrastive" }

// Kind is datasets.Pairs.
func (Contrastive) Kind() datasets.Kind { return datasets.Pairs }

// Check implements Loss.
func (c Contrastive) Check(head heads.Head) error { return checkContrastive(c, c.Margin, head) }

// Cost implements Loss.
func (c Contrastive) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, c, batch)
	return Mean(b, e.contrastive(c.Margin, batch.Paired(b, 0, 1), batch.Labels))
}

func (Contrastive) defaultMargin(head heads.Properties, features int) float64 {
	return distanceMargin(head, features)
}

// CrossEntropy is the cross-entropy of a logistic regression on the distance, which
// predicts whether the classes are the same:
//
//	p = σ(bias − D), the probability of the same class
//	L = −(y·log p + (1 − y)·log(1 − p)), y = 1 − Y
//
// Inputs: pairs, with their distances D (N) and labels Y (N), which are 1 where the
// classes differ. The loss is the mean over the pairs. The trainable weight "head.bias"
// (1) is initialized from N(0.5, 0.01²), as the biases of the paper are. Logarithms are
// computed from logits, so that they never overflow.
//
// Requirements: a head without an upper bound, because otherwise the probability could
// not approach 0. It need not be a distance: Koch's is −Σ αⱼ|xⱼ − yⱼ| with factors α of
// either sign, the head signed-weighted-l1.
//
// Source: Koch, Zemel & Salakhutdinov 2015, section 3.2, who print the sum without
// its minus sign and add λᵀ|w|², for which see Penalty. See also
// BatchCrossEntropy, which takes all pairs of a batch.
type CrossEntropy struct{}

// Name is "cross-entropy".
func (CrossEntropy) Name() string { return "cross-entropy" }

// Kind is datasets.Pairs.
func (CrossEntropy) Kind() datasets.Kind { return datasets.Pairs }

// Check implements Loss.
func (c CrossEntropy) Check(head heads.Head) error { return checkCrossEntropy(c, head) }

// Cost implements Loss.
func (c CrossEntropy) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, c, batch)
	return Mean(b, e.crossEntropy(batch.Paired(b, 0, 1), batch.Labels))
}

func (CrossEntropy) takesSigned() bool { return true }

// BatchContrastive is Contrastive over all pairs of a batch:
//
//	L = (1 − Y)·½·D² + Y·½·max(0, Margin − D)²
//
// Inputs: labeled images. Without references the pairs are those of two images
// i < j of the batch, N·(N − 1)/2 of them; with references, those of each anchor
// and each valid reference. Y is 1 where their labels differ.
//
// The loss is the mean over the pairs. If Balanced, it is the mean of two means, over the
// same-class pairs and over the different-class pairs: a batch of many classes has few
// same-class pairs. If a batch has pairs of one kind only, both forms are the mean over
// these.
//
// Requirements: those of Contrastive. Source: Hadsell, Chopra & LeCun 2006,
// equation 4.
type BatchContrastive struct {
	Margin   float64 // positive
	Balanced bool
}

// Name is "batch-contrastive".
func (BatchContrastive) Name() string { return "batch-contrastive" }

// Kind is datasets.Labeled.
func (BatchContrastive) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (c BatchContrastive) Check(head heads.Head) error { return checkContrastive(c, c.Margin, head) }

// Cost implements Loss.
func (c BatchContrastive) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, c, batch)
	losses := e.contrastive(c.Margin, batch.Pairwise(b), batch.Negatives(b))
	return WeightedMean(b, losses, batch.pairWeights(b, c.Balanced))
}

func (BatchContrastive) defaultMargin(head heads.Properties, features int) float64 {
	return distanceMargin(head, features)
}

// BatchCrossEntropy is CrossEntropy over all pairs of a batch:
//
//	p = σ(bias − D), L = −(y·log p + (1 − y)·log(1 − p))
//
// Inputs: labeled images. Without references the pairs are those of two images
// i < j of the batch, N·(N − 1)/2 of them; with references, those of each anchor
// and each valid reference. y is 1 where their labels are the same.
//
// The loss is the mean over the pairs. If Balanced, it is the mean of two means, over the
// same-class pairs and over the different-class pairs, so that p is the probability for
// equal numbers of both. If a batch has pairs of one kind only, both forms are the mean
// over these.
//
// Requirements: those of CrossEntropy. Source: Koch, Zemel & Salakhutdinov 2015,
// section 3.2.
type BatchCrossEntropy struct {
	Balanced bool
}

// Name is "batch-cross-entropy".
func (BatchCrossEntropy) Name() string { return "batch-cross-entropy" }

// Kind is datasets.Labeled.
func (BatchCrossEntropy) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (c BatchCrossEntropy) Check(head heads.Head) error { return checkCrossEntropy(c, head) }

// Cost implements Loss.
func (c BatchCrossEntropy) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, c, batch)
	losses := e.crossEntropy(batch.Pairwise(b), batch.Negatives(b))
	return WeightedMean(b, losses, batch.pairWeights(b, c.Balanced))
}

func (BatchCrossEntropy) takesSigned() bool { return true }

// contrastive is the contrastive loss of each pair, in any shape.
func (e expression) contrastive(margin float64, distance, different *graph.Node) *graph.Node {
	pull := e.product(e.less(1, different), e.square(distance))
	push := e.product(different, e.square(Hinge(e.Builder, e.less(margin, distance))))
	return e.scale(0.5, e.add(pull, push))
}

// crossEntropy is the cross-entropy of each pair, in any shape: −log p =
// softplus(−logit) and −log(1 − p) = softplus(logit).
func (e expression) crossEntropy(distance, different *graph.Node) *graph.Node {
	bias := e.Weight("head.bias", graph.Bias, graph.Normal(0.5, 0.01), 1)
	logit := e.Apply("logit", distance.Shape().Clone(), logit[float32]{}, logit[float64]{}, bias, distance)
	same := e.product(e.less(1, different), e.Softplus(e.scale(-1, logit)))
	return e.add(same, e.product(different, e.Softplus(logit)))
}

// logit is bias − distance.
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

func checkContrastive(loss Loss, margin float64, head heads.Head) error {
	properties, err := propertiesFor(loss, head)
	if err != nil {
		return err
	}
	if properties.Squared {
		return errors.Errorf("%s with %s: the equation squares the distance itself: use l2", loss.Name(), head.Name())
	}
	if err := checkSign(loss, head); err != nil {
		return err
	}
	return checkMargin(loss, margin, head)
}

func checkCrossEntropy(loss Loss, head heads.Head) error {
	properties, err := propertiesFor(loss, head)
	if err == nil && properties.Max > 0 {
		err = errors.Errorf("%s with %s: these distances lie in [0, %v], so that the logit bias − distance spans %v and no answer can be sure: use l2 or weighted-l1",
			loss.Name(), head.Name(), properties.Max, properties.Max)
	}
	return err
}

// propertiesFor are those of a head, or an error that there is none.
func propertiesFor(loss Loss, head heads.Head) (heads.Properties, error) {
	if head == nil {
		return heads.Properties{}, errors.Errorf("%s: found no head, expected one of package heads or one of your own", loss.Name())
	}
	return head.Properties(), nil
}

// checkMargin refuses margins that are out of range for distances of the head.
func checkMargin(loss Loss, margin float64, head heads.Head) error {
	if err := checkPositive(loss, "margin", margin); err != nil {
		return err
	}
	properties, err := propertiesFor(loss, head)
	if err == nil && properties.Max > 0 && margin > properties.Max {
		err = errors.Errorf("%s with %s: found margin %v, but these distances lie in [0, %v]", loss.Name(), head.Name(), margin, properties.Max)
	}
	return err
}

// checkSign refuses heads whose values may be negative.
func checkSign(loss Loss, head heads.Head) error {
	properties, err := propertiesFor(loss, head)
	if err == nil && properties.Signed {
		err = errors.Errorf("%s with %s: its values may be negative, so they are not distances: use weighted-l1", loss.Name(), head.Name())
	}
	return err
}

// checkPositive refuses a parameter that is not a positive finite number.
func checkPositive(loss Loss, parameter string, value float64) error {
	if !(value > 0) || math.IsInf(value, 0) {
		return errors.Errorf("%s: found %s %v, expected a positive number", loss.Name(), parameter, value)
	}
	return nil
}
