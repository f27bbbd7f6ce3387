package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// The losses of this file are functions of cosine similarities s = 1 − D, where D is the
// distance by a head such as heads.Cosine. A derivative by s is minus that by D.

// MultiSimilarity weights each pair by its own similarity and by those of the other pairs of
// its anchor a: with s = 1 − D, α = PositiveScale, β = NegativeScale and λ = Base,
//
//	L = 1/α · log(1 + Σₚ exp(−α(s(a,p) − λ))) + 1/β · log(1 + Σₙ exp(β(s(a,n) − λ)))
//
// averaged over all anchors. By default the sums are over mined pairs, those that are hard
// relative to the pairs of the other kind, with ε = Epsilon:
//
//	s(a,p) − ε < maxₙ s(a,n)    s(a,n) + ε > minₚ s(a,p)
//
// and an anchor without a positive or without a negative has none. With the mining AllPairs
// they are over all pairs, and an anchor with pairs of one kind only has a loss, too.
//
// Inputs: labeled images, with or without references. Requirements: a cosine head. Of equal
// losses, see also Circle. Defaults: 2, 50, 0.5 and 0.1, as in pytorch-metric-learning; Base
// is 1 in the paper, whose code has 0.5.
//
// Source: Wang, Han, Huang, Dong & Scott 2019, "Multi-Similarity Loss with General Pair
// Weighting for Deep Metric Learning", equations 11, 12 (mining) and 15.
type MultiSimilarity struct {
	PositiveScale float64 // positive
	NegativeScale float64 // positive
	Base          float64 // in [−1, 1]
	Epsilon       float64 // at least 0; ignored with AllPairs
	Mining        Mining  // or AllPairs
}

// Name is "multi-similarity".
func (MultiSimilarity) Name() string { return "multi-similarity" }

// Kind is datasets.Labeled.
func (MultiSimilarity) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (m MultiSimilarity) Check(head heads.Head) error {
	if err := checkSimilarity(m, head); err != nil {
		return err
	}
	if err := checkMining(m, m.Mining, AllPairs); err != nil {
		return err
	}
	if err := checkPositive(m, "positive scale", m.PositiveScale); err != nil {
		return err
	}
	if err := checkPositive(m, "negative scale", m.NegativeScale); err != nil {
		return err
	}
	switch {
	case !(m.Base >= -1 && m.Base <= 1):
		return errors.Errorf("%s: found base %v, expected a similarity from -1 to 1", m.Name(), m.Base)
	case !(m.Epsilon >= 0) || math.IsInf(m.Epsilon, 0):
		return errors.Errorf("%s: found epsilon %v, expected at least 0", m.Name(), m.Epsilon)
	}
	return nil
}

// Cost implements Loss.
func (m MultiSimilarity) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, m, batch)
	return PerAnchor(b, m.Name(), batch, func(a Anchor) (sum, count float64) {
		if m.Mining != AllPairs {
			a = m.mine(a)
		}
		// The exponents −α(s − λ) and β(s − λ) by distances.
		pull := sumExp(a.Positives, func(j int) float64 { return m.PositiveScale * (a.Distances[j] - 1 + m.Base) })
		push := sumExp(a.Negatives, func(j int) float64 { return m.NegativeScale * (1 - a.Distances[j] - m.Base) })
		positive, weight := graph.Softplus(pull.log)
		for i, j := range a.Positives {
			a.Slopes[j] += weight * pull.shares[i]
		}
		negative, weight := graph.Softplus(push.log)
		for i, j := range a.Negatives {
			a.Slopes[j] -= weight * push.shares[i]
		}
		return positive/m.PositiveScale + negative/m.NegativeScale, 1
	})
}

// mine keeps the pairs of an anchor that are hard relative to those of the other kind.
func (m MultiSimilarity) mine(a Anchor) Anchor {
	farthest, nearest := a.Farthest(a.Positives), a.Nearest(a.Negatives)
	var mined Anchor
	if farthest >= 0 && nearest >= 0 {
		for _, p := range a.Positives {
			if a.Distances[p]+m.Epsilon > a.Distances[nearest] {
				mined.Positives = append(mined.Positives, p)
			}
		}
		for _, n := range a.Negatives {
			if a.Distances[n]-m.Epsilon < a.Distances[farthest] {
				mined.Negatives = append(mined.Negatives, n)
			}
		}
	}
	a.Positives, a.Negatives = mined.Positives, mined.Negatives
	return a
}

func (MultiSimilarity) defaults() Options {
	return Options{PositiveScale: 2, NegativeScale: 50, Base: 0.5, Epsilon: 0.1}
}

// Circle weights each similarity s = 1 − D of an anchor a by how far it is from its optimum,
// with m = Margin and γ = Scale:
//
//	L = log(1 + Σₙ exp(γ αₙ (s(a,n) − m)) · Σₚ exp(−γ αₚ (s(a,p) − 1 + m)))
//	αₚ = max(0, 1 + m − s(a,p))    αₙ = max(0, s(a,n) + m)
//
// averaged over the anchors with a positive and a negative. The weights αₚ and αₙ are
// constants to the gradient, as in the paper's equation 10, so that the gradient is not the
// derivative of L.
//
// Inputs: labeled images, with or without references. Requirements: a cosine head. Mining: or
// EasyPositive. Defaults: 0.4 and 80, those of the paper for fine-grained image retrieval; for
// faces it has 0.25 and 256.
//
// Source: Sun et al. 2020, "Circle Loss: A Unified Perspective of Pair Similarity
// Optimization", equation 6.
type Circle struct {
	Margin float64 // in (0, 1)
	Scale  float64 // positive
	Mining Mining  `json:",omitempty"`
}

// Name is "circle".
func (Circle) Name() string { return "circle" }

// Kind is datasets.Labeled.
func (Circle) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (c Circle) Check(head heads.Head) error {
	if err := checkSimilarity(c, head); err != nil {
		return err
	}
	if !(c.Margin > 0 && c.Margin < 1) {
		return errors.Errorf("%s: found margin %v, expected a number above 0 and below 1", c.Name(), c.Margin)
	}
	if err := checkMining(c, c.Mining, EasyPositive); err != nil {
		return err
	}
	return checkPositive(c, "scale", c.Scale)
}

// Cost implements Loss.
func (c Circle) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, c, batch)
	return PerAnchor(b, c.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		positives := c.Mining.positives(a)
		near := func(j int) float64 { return max(0, c.Margin+a.Distances[j]) }
		far := func(j int) float64 { return max(0, 1-a.Distances[j]+c.Margin) }
		pull := sumExp(positives, func(j int) float64 { return c.Scale * near(j) * (a.Distances[j] - c.Margin) })
		push := sumExp(a.Negatives, func(j int) float64 { return c.Scale * far(j) * (1 - a.Distances[j] - c.Margin) })
		loss, slope := graph.Softplus(pull.log + push.log)
		for i, j := range positives {
			a.Slopes[j] += slope * pull.shares[i] * c.Scale * near(j)
		}
		for i, j := range a.Negatives {
			a.Slopes[j] -= slope * push.shares[i] * c.Scale * far(j)
		}
		return loss, 1
	})
}

func (Circle) defaults() Options { return Options{Margin: 0.4, Scale: 80} }

// TupletMargin compares each positive pair of a batch with all negatives of its anchor a, with
// a margin on the angle θ of the pair: for each positive p, with s = 1 − D = cos θ, γ = Scale
// and m = Margin,
//
//	L = log(1 + Σₙ exp(γ (s(a,n) − cos(θ(a,p) − m))))
//
// averaged over the positive pairs (a,p) of anchors that have a negative. It is NPair with
// cosine, the temperature 1/γ, and a margin.
//
// The derivative of θ is infinite where θ is 0 or π; that of the distance is zero there, and
// so is the gradient.
//
// Inputs: labeled images, with or without references. Requirements: a cosine head. Mining: or
// EasyPositive. Defaults: 5.73° (0.1 radians) and 64, those of pytorch-metric-learning. The
// paper adds the variance within pairs of one kind, which this loss does not have.
//
// Source: Yu & Tao 2019, "Deep Metric Learning with Tuplet Margin Loss", equation 4.
type TupletMargin struct {
	Margin float64 // degrees, in (0, 90)
	Scale  float64 // positive
	Mining Mining  `json:",omitempty"`
}

// Name is "tuplet-margin".
func (TupletMargin) Name() string { return "tuplet-margin" }

// Kind is datasets.Labeled.
func (TupletMargin) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (t TupletMargin) Check(head heads.Head) error {
	if err := checkSimilarity(t, head); err != nil {
		return err
	}
	if err := checkDegrees(t, "margin", t.Margin); err != nil {
		return err
	}
	if err := checkMining(t, t.Mining, EasyPositive); err != nil {
		return err
	}
	return checkPositive(t, "scale", t.Scale)
}

// Cost implements Loss.
func (t TupletMargin) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, t, batch)
	sin, cos := math.Sincos(t.Margin * math.Pi / 180)
	return PerAnchor(b, t.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		positives := t.Mining.positives(a)
		push := sumExp(a.Negatives, func(j int) float64 { return t.Scale * (1 - a.Distances[j]) })
		var pushed float64
		for _, p := range positives {
			s, square := 1-a.Distances[p], a.Distances[p]*(2-a.Distances[p])
			sine := math.Sqrt(max(0, square))                                  // of θ: square is 1 − s² without cancellation
			loss, slope := graph.Softplus(push.log - t.Scale*(s*cos+sine*sin)) // cos(θ − m)
			sum += loss
			pushed += slope
			change := cos
			if sine > 0 {
				change -= s * sin / sine
			}
			a.Slopes[p] += t.Scale * slope * change
		}
		for i, j := range a.Negatives {
			a.Slopes[j] -= t.Scale * pushed * push.shares[i]
		}
		return sum, float64(len(positives))
	})
}

func (TupletMargin) defaults() Options { return Options{Margin: 5.73, Scale: 64} }

// Angular bounds the angle at the negative of each triplet by α = Angle: for each anchor a and
// positive p, with s = 1 − D,
//
//	L = log(1 + Σₙ exp(4 tan²α (s(a,n) + s(p,n)) − 2 (1 + tan²α) s(a,p)))
//
// over all negatives n, averaged over the pairs (a,p) that have one. The criterion does not
// change if a triplet is scaled. See Sum for adding it to NPair, as in the paper.
//
// Inputs: labeled images, with or without references, in which case the distances (M, M)
// between these are computed, too. Requirements: a cosine head. Default: 40°.
//
// Source: Wang, Zhou, Wen, Liu & Lin 2017, "Deep Metric Learning with Angular Loss",
// equation 7, over unit vectors.
type Angular struct {
	Angle float64 // α in degrees, in (0, 90)
}

// Name is "angular".
func (Angular) Name() string { return "angular" }

// Kind is datasets.Labeled.
func (Angular) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (a Angular) Check(head heads.Head) error {
	if err := checkSimilarity(a, head); err != nil {
		return err
	}
	return checkDegrees(a, "angle", a.Angle)
}

// Cost implements Loss.
func (a Angular) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, a, batch)
	r := batch.references()
	operands := []*graph.Node{batch.Pairwise(b)}
	if batch.References != nil {
		operands = append(operands, batch.Head.Pairwise(b, r.Embeddings, r.Embeddings))
	}
	matrices := len(operands)
	operands = append(operands, batch.labelNodes()...)
	tangent := math.Tan(a.Angle * math.Pi / 180)
	return e.scalar(b.Apply(a.Name(), tensor.Shape{1},
		&angular[float32]{square: tangent * tangent, matrices: matrices, self: r.Self},
		&angular[float64]{square: tangent * tangent, matrices: matrices, self: r.Self}, operands...))
}

func (Angular) defaults() Options { return Options{Angle: 40} }

// angular finds the gradient in the same pass as the loss. Its operands are those of
// prototypical.
type angular[T graph.Float] struct {
	square   float64 // tan²α
	matrices int     // of distances: 1 or 2
	self     bool
	slopes   [][]float64 // of the mean loss by the distances, for each matrix
}

func (f *angular[T]) Forward(y []T, x ...[]T) {
	r := relationOf(f.self, x[f.matrices:])
	distances := widen(x[0])
	among := distances // of the references, which are the anchors
	f.slopes = [][]float64{make([]float64, len(distances))}
	if f.matrices == 2 {
		among = widen(x[1])
		f.slopes = append(f.slopes, make([]float64, len(among)))
	}
	columns := len(r.references)
	type pair struct {
		positive int
		weights  []float64 // of the negatives: derivatives of the loss by their exponents
	}
	negatives, pairs, sums := make([][]int, len(r.anchors)), make([][]pair, len(r.anchors)), make([]float64, len(r.anchors))
	graph.Parallel(len(r.anchors), func(i int) {
		own := distances[i*columns:][:columns]
		var positives []int
		for j, d := range own {
			switch {
			case !r.compared(i, j):
				continue
			case r.same(i, j):
				positives = append(positives, j)
			default:
				negatives[i] = append(negatives[i], j)
			}
			sums[i] += 0 * d // shows one that is not finite
		}
		if len(negatives[i]) == 0 {
			return
		}
		for _, p := range positives {
			between := among[p*columns:][:columns]
			shift := 2 * (1 + f.square) * (1 - own[p])
			push := sumExp(negatives[i], func(n int) float64 { return 4*f.square*(2-own[n]-between[n]) - shift })
			loss, slope := graph.Softplus(push.log)
			sums[i] += loss
			for k := range push.shares {
				push.shares[k] *= slope
			}
			pairs[i] = append(pairs[i], pair{p, push.shares})
		}
	})
	var sum, count float64
	for i := range pairs {
		sum += sums[i]
		count += float64(len(pairs[i]))
	}
	last := f.slopes[f.matrices-1]
	for i := range pairs {
		for _, pair := range pairs[i] {
			for k, n := range negatives[i] {
				weight := pair.weights[k] / count
				f.slopes[0][i*columns+n] -= 4 * f.square * weight
				last[pair.positive*columns+n] -= 4 * f.square * weight
				f.slopes[0][i*columns+pair.positive] += 2 * (1 + f.square) * weight
			}
		}
	}
	y[0] = T(sum / max(count, 1))
}

func (f *angular[T]) Backward(dx, _ [][]T, _, dy []T) {
	for k, gradient := range dx {
		if k >= f.matrices {
			clear(gradient)
			continue
		}
		for i := range gradient {
			gradient[i] = T(f.slopes[k][i] * float64(dy[0]))
		}
	}
}

// exponentials are log Σ exp(xⱼ) over some references and the share exp(xⱼ)/Σ of each, which
// is the derivative of the logarithm. The logarithm is −∞ if there is no reference.
type exponentials struct {
	log    float64
	shares []float64
}

// sumExp computes them without overflow.
func sumExp(references []int, exponent func(j int) float64) exponentials {
	e := exponentials{log: math.Inf(-1), shares: make([]float64, len(references))}
	if len(references) == 0 {
		return e
	}
	largest := math.Inf(-1)
	for i, j := range references {
		e.shares[i] = exponent(j)
		largest = max(largest, e.shares[i])
	}
	var sum float64
	for i, x := range e.shares {
		e.shares[i] = math.Exp(x - largest)
		sum += e.shares[i]
	}
	for i := range e.shares {
		e.shares[i] /= sum
	}
	e.log = largest + math.Log(sum)
	return e
}

// checkSimilarity refuses heads whose values are not 1 minus the cosine of an angle: a multiple
// of squared distances between vectors that is at most 2 is that of unit vectors.
func checkSimilarity(loss Loss, head heads.Head) error {
	if err := checkSign(loss, head); err != nil {
		return err
	}
	if properties := head.Properties(); !properties.Means || properties.Max != 2 {
		return errors.Errorf("%s with %s: the loss is a function of cosine similarities: use cosine", loss.Name(), head.Name())
	}
	return nil
}

// checkDegrees refuses what is no acute angle.
func checkDegrees(loss Loss, parameter string, degrees float64) error {
	if !(degrees > 0 && degrees < 90) {
		return errors.Errorf("%s: found %s %v, expected degrees above 0 and below 90", loss.Name(), parameter, degrees)
	}
	return nil
}
