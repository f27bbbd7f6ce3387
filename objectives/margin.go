package objectives

import (
	"fmt"
	"math"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// LiftedStructure is the generalized lifted structure loss, a smooth form of BatchHard: for each
// anchor a, with m = Margin,
//
//	L = max(0, log Σₚ exp(D(a,p)) + log Σₙ exp(m − D(a,n)))
//
// averaged over the anchors with a positive and a negative. It is above zero until negatives
// are farther than positives by more than m and the logarithm of their numbers.
//
// Inputs: labeled images, with or without references. Requirements: a head whose values are
// distances. Mining: or EasyPositive. Default: 1, that of pytorch-metric-learning.
//
// Source: Hermans, Beyer & Leibe 2017, equation 6, after Oh Song, Xiang, Jegelka & Savarese
// 2016.
type LiftedStructure struct {
	Margin float64 // positive
	Mining Mining  `json:",omitempty"`
}

// Name is "lifted-structure".
func (LiftedStructure) Name() string { return "lifted-structure" }

// Kind is datasets.Labeled.
func (LiftedStructure) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (l LiftedStructure) Check(head heads.Head) error {
	if err := checkSign(l, head); err != nil {
		return err
	}
	if err := checkMining(l, l.Mining, EasyPositive); err != nil {
		return err
	}
	return checkPositive(l, "margin", l.Margin)
}

// Cost implements Loss.
func (l LiftedStructure) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, l, batch)
	return PerAnchor(b, l.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		positives := l.Mining.positives(a)
		pull := sumExp(positives, func(j int) float64 { return a.Distances[j] })
		push := sumExp(a.Negatives, func(j int) float64 { return l.Margin - a.Distances[j] })
		if sum = pull.log + push.log; sum <= 0 {
			return 0, 1
		}
		for i, j := range positives {
			a.Slopes[j] += pull.shares[i]
		}
		for i, j := range a.Negatives {
			a.Slopes[j] -= push.shares[i]
		}
		return sum, 1
	})
}

func (LiftedStructure) defaults() Options { return Options{Margin: 1} }

// Margin separates positives from negatives at a trainable distance β: for triplets (a,p,n),
// with α = Margin,
//
//	L = ( Σ max(0, D(a,p) − β + α) + max(0, β − D(a,n) + α) ) / (number of terms above zero)
//
// By default each positive pair is one triplet, with one negative of its anchor that is sampled
// at random, so that the distances of the sampled negatives are spread evenly: with a
// probability in proportion to 1/q(D), where
//
//	q(d) = d^(f−2) (1 − d²/4)^((f−3)/2)
//
// is the density of distances between random unit vectors of f features. Distances below 0.5
// have the probability of 0.5, and those above 1.4 none; if all are above it, all have the same.
// The samples depend on the random seed of the weights and the number of the run. With the mining
// AllPairs all triplets of the batch take part.
//
// β is the weight "loss.beta", which begins with Beta, or one for each class if PerClass, that
// of the anchor. Its gradient is that of many pairs: the paper's authors train it with a
// learning rate of its own.
//
// Inputs: labeled images, with or without references; Batch.Classes if PerClass, with labels
// below it. Requirements: a cosine head, whose D is here the Euclidean distance between unit
// vectors, √(2(1 − s)); or, with AllPairs, any head whose values are distances. Where D is 0
// its gradient is zero. Defaults: 0.2 and 1.2, as in the paper.
//
// Source: Wu, Manmatha, Smola & Krähenbühl 2017, "Sampling Matters in Deep Embedding Learning",
// equations 3 to 6; the cutoffs are those of the authors' code.
type Margin struct {
	Margin   float64 // positive
	Beta     float64 // positive: the initial β
	PerClass bool
	Nu       float64 `json:",omitempty"` // ν, at least 0: ν·β is added to the loss; for each triplet that of its anchor if PerClass
	Mining   Mining  `json:",omitempty"` // or AllPairs
}

// The range of distances that are sampled by their density.
const (
	nearestSampled  = 0.5
	farthestSampled = 1.4
)

// Name is "margin".
func (Margin) Name() string { return "margin" }

// Kind is datasets.Labeled.
func (Margin) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (m Margin) Check(head heads.Head) error {
	if err := checkSign(m, head); err != nil {
		return err
	}
	if err := checkMining(m, m.Mining, AllPairs); err != nil {
		return err
	}
	if checkSimilarity(m, head) != nil && m.Mining != AllPairs {
		return errors.Errorf("%s with %s: negatives are sampled by the distances between unit vectors: use cosine, or the mining %s", m.Name(), head.Name(), AllPairs)
	}
	if err := checkPositive(m, "margin", m.Margin); err != nil {
		return err
	}
	if !(m.Nu >= 0) || math.IsInf(m.Nu, 0) {
		return errors.Errorf("%s: found nu %v, expected at least 0", m.Name(), m.Nu)
	}
	return checkPositive(m, "beta", m.Beta)
}

// Cost implements Loss.
func (m Margin) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, m, batch)
	boundaries := 1
	if m.PerClass {
		if boundaries = batch.Classes; boundaries < 1 {
			b.Fail("%s: found %d classes, expected the number of classes of the training data for a beta for each", m.Name(), boundaries)
		}
	}
	distances := batch.Pairwise(b)
	beta := batch.Weight(b, "beta", graph.Bias, graph.Constant(m.Beta), boundaries)
	operands := []*graph.Node{distances, beta}
	if m.Mining != AllPairs {
		operands = append(operands, b.Uniform("samples", distances))
	}
	rule := marginRule{
		Margin: m, self: batch.references().Self, chords: checkSimilarity(m, batch.Head) == nil,
		features: float64(batch.Embeddings[0].Shape()[1]), labels: len(operands),
	}
	operands = append(operands, batch.labelNodes()...)
	return e.scalar(b.Apply(m.Name(), tensor.Shape{1}, &margins[float32]{marginRule: rule}, &margins[float64]{marginRule: rule}, operands...))
}

func (Margin) defaults() Options { return Options{Margin: 0.2, Beta: 1.2} }

// marginRule is what a Margin is in a graph.
type marginRule struct {
	Margin
	self     bool
	chords   bool    // the distances are 1 minus a cosine
	features float64 // of an embedding
	labels   int     // the first operand with labels
}

// margins finds the gradient in the same pass as the loss. Its operands are the distances
// (N, M), β (1) or (classes), random numbers (N, M) unless all pairs take part, and the labels.
type margins[T graph.Float] struct {
	marginRule
	slopes [][]float64 // of the loss by the distances and by β
}

func (f *margins[T]) Forward(y []T, x ...[]T) {
	distances, beta, r := widen(x[0]), widen(x[1]), relationOf(f.self, x[f.labels:])
	rows, columns := len(r.anchors), len(r.references)
	f.slopes = [][]float64{make([]float64, len(distances)), make([]float64, len(beta))}
	class := make([]int, rows)
	if f.PerClass {
		for i, label := range r.anchors {
			if class[i] = int(label); class[i] < 0 || class[i] >= len(beta) || T(class[i]) != label {
				panic(fmt.Sprintf("found label %v, expected a class from 0 to %d, each of which has a beta", label, len(beta)-1))
			}
		}
	}
	type terms struct{ sum, active, triplets, slope float64 } // slope is by β
	found := make([]terms, rows)
	graph.Parallel(rows, func(i int) {
		own, slopes, t := distances[i*columns:][:columns], f.slopes[0][i*columns:][:columns], &found[i]
		scale := func(j int) float64 { return 1 } // of the derivative by the head's distance
		if f.chords {
			for j, d := range own {
				own[j] = math.Sqrt(2*max(d, 0)) + 0*d
			}
			scale = func(j int) float64 {
				if own[j] == 0 {
					return 0
				}
				return 1 / own[j]
			}
		}
		var positives, negatives []int
		for j, d := range own {
			switch {
			case !r.compared(i, j):
				continue
			case r.same(i, j):
				positives = append(positives, j)
			default:
				negatives = append(negatives, j)
			}
			t.sum += 0 * d // shows one that is not finite
		}
		if len(positives) == 0 || len(negatives) == 0 {
			return
		}
		boundary := beta[class[i]]
		term := func(j int, sign, weight float64) { // sign 1 of a positive, −1 of a negative
			if loss := sign*(own[j]-boundary) + f.Margin.Margin; loss > 0 {
				t.sum += weight * loss
				t.active += weight
				t.slope -= weight * sign
				slopes[j] += weight * sign * scale(j)
			}
		}
		if f.Mining == AllPairs {
			for _, p := range positives {
				term(p, 1, float64(len(negatives)))
			}
			for _, n := range negatives {
				term(n, -1, float64(len(positives)))
			}
			t.triplets = float64(len(positives) * len(negatives))
			return
		}
		draw := f.sampler(own, negatives)
		for _, p := range positives {
			term(p, 1, 1)
			term(draw(float64(x[2][i*columns+p])), -1, 1)
		}
		t.triplets = float64(len(positives))
	})
	var all terms
	for i, t := range found {
		all.sum += t.sum
		all.active += t.active
		all.triplets += t.triplets
		f.slopes[1][class[i]] += t.slope
		if f.PerClass && f.Nu > 0 {
			all.sum += f.Nu * t.triplets * beta[class[i]]
			f.slopes[1][class[i]] += f.Nu * t.triplets
		}
	}
	if f.PerClass && all.active == 0 { // nothing but ν·β
		all.sum *= 0
		clear(f.slopes[1])
	}
	count := max(all.active, 1)
	cost := all.sum / count
	for _, slopes := range f.slopes {
		for i := range slopes {
			slopes[i] /= count
		}
	}
	if !f.PerClass && all.triplets > 0 {
		cost += f.Nu * beta[0]
		f.slopes[1][0] += f.Nu
	}
	y[0] = T(cost)
}

func (f *margins[T]) Backward(dx, _ [][]T, _, dy []T) {
	for k, gradient := range dx {
		if k >= len(f.slopes) {
			clear(gradient)
			continue
		}
		for i := range gradient {
			gradient[i] = T(f.slopes[k][i] * float64(dy[0]))
		}
	}
}

// sampler returns the function that draws one of the negatives by a random number u in [0, 1).
func (m marginRule) sampler(distances []float64, negatives []int) func(u float64) int {
	logarithms, largest := make([]float64, len(negatives)), math.Inf(-1)
	for i, n := range negatives {
		logarithms[i] = math.Inf(-1)
		if d := max(distances[n], nearestSampled); d < farthestSampled {
			logarithms[i] = (2-m.features)*math.Log(d) - (m.features-3)/2*math.Log(1-d*d/4)
		}
		largest = max(largest, logarithms[i])
	}
	var total float64
	cumulative := make([]float64, len(negatives))
	for i, logarithm := range logarithms {
		if math.IsInf(largest, -1) {
			total++
		} else {
			total += math.Exp(logarithm - largest)
		}
		cumulative[i] = total
	}
	return func(u float64) int {
		// The first one whose cumulative weight is above u·total.
		i, _ := slices.BinarySearchFunc(cumulative, u*total, func(c, target float64) int {
			if c > target {
				return 1
			}
			return -1
		})
		return negatives[min(i, len(negatives)-1)]
	}
}
