package objectives

import (
	"cmp"
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// The softmax losses ask each anchor for its own class among all references. In
// the literature they are written with similarities s, as functions of s/τ; a
// distance is a dissimilarity, so here they are functions of −D/τ. With cosine,
// D = 1 − s, and what is the same for all references of an anchor cancels in every
// softmax.

// NPair compares each positive pair of a batch with all negatives at once: for each
// anchor a and positive p,
//
//	L = log(1 + Σₙ exp((D(a,p) − D(a,n))/τ))
//
// over all negatives n of a, with τ = Temperature, averaged over all pairs (a,p).
//
// Inputs: labeled images, with or without references. Requirements: a head whose
// values are distances. See DefaultTemperature. Mining: or EasyPositive, with which L is
// the loss of Xuan, Stylianou & Pless 2020.
//
// Source: Sohn 2016, the "(N+1)-tuplet loss", whose similarity is the inner product; with
// cosine and a temperature it is the InfoNCE of van den Oord, Li & Vinyals 2018, equation
// 4. With one negative and τ = 1 it is the soft form of Triplet.
type NPair struct {
	Temperature float64 // positive: a difference of distances of Temperature changes the odds by a factor of e
	Mining      Mining  `json:",omitempty"`
}

// Name is "n-pair".
func (NPair) Name() string { return "n-pair" }

// Kind is datasets.Labeled.
func (NPair) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (n NPair) Check(head heads.Head) error {
	return cmp.Or(checkSoftmax(n, n.Temperature, head), checkMining(n, n.Mining, EasyPositive))
}

// Cost implements Loss.
func (n NPair) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return softmaxCost(b, n, batch, n.Temperature, func(r softmaxRow) (sum, count float64) {
		negatives := r.logSum(r.Negatives)
		var pull float64
		positives := n.Mining.positives(r.Anchor)
		for _, p := range positives {
			loss, slope := graph.Softplus(negatives + r.Distances[p]/r.temperature)
			sum += loss
			r.Slopes[p] += slope / r.temperature
			pull += slope
		}
		r.addSlope(pull, negatives, r.Negatives)
		return sum, float64(len(positives))
	})
}

// SupervisedContrastive is the cross-entropy of selecting each positive in P(a) of an
// anchor a among all references:
//
//	L = −1/|P(a)| Σₚ log( exp(−D(a,p)/τ) / Σ_{i≠a} exp(−D(a,i)/τ) )
//
// with τ = Temperature, averaged over the anchors. Unlike in NPair, the other positives
// are in the denominator, so the loss stays above zero if a class has three or more
// images.
//
// Inputs: labeled images, with or without references. Requirements: a head whose
// values are distances. See DefaultTemperature.
//
// Source: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2,
// L_out, whose head is cosine and whose τ is 0.1.
type SupervisedContrastive struct {
	Temperature float64 // positive
}

// Name is "supervised-contrastive".
func (SupervisedContrastive) Name() string { return "supervised-contrastive" }

// Kind is datasets.Labeled.
func (SupervisedContrastive) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (s SupervisedContrastive) Check(head heads.Head) error {
	return checkSoftmax(s, s.Temperature, head)
}

// Cost implements Loss.
func (s SupervisedContrastive) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return softmaxCost(b, s, batch, s.Temperature, func(r softmaxRow) (sum, count float64) {
		all := r.logSum(r.Positives, r.Negatives)
		share := 1 / float64(len(r.Positives))
		for _, p := range r.Positives {
			sum += share * (all + r.Distances[p]/r.temperature)
			r.Slopes[p] += share / r.temperature
		}
		r.addSlope(1, all, r.Positives, r.Negatives)
		return sum, 1
	})
}

// NCA is neighborhood components analysis: an anchor a selects one reference at
// random, with a higher probability the nearer it is, and should select one of its
// class P(a):
//
//	L = −log( Σₚ exp(−D(a,p)/τ) / Σ_{i≠a} exp(−D(a,i)/τ) )
//
// with τ = Temperature, averaged over the anchors. One near positive is enough, so a
// class may form several clusters.
//
// Inputs: labeled images, with or without references. ProxyNCAPlusPlus has one trainable
// vector for each class as references. Requirements: a head whose values are distances.
// See DefaultTemperature.
//
// Source: Goldberger, Roweis, Hinton & Salakhutdinov 2004, in the form with the
// logarithm; their head is squared-l2 and their τ is 1.
type NCA struct {
	Temperature float64 // positive; 1 in the paper
}

// Name is "nca".
func (NCA) Name() string { return "nca" }

// Kind is datasets.Labeled.
func (NCA) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (n NCA) Check(head heads.Head) error { return checkSoftmax(n, n.Temperature, head) }

// Cost implements Loss.
func (n NCA) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return softmaxCost(b, n, batch, n.Temperature, ncaRow)
}

// ncaRow is the loss of NCA of one anchor.
func ncaRow(r softmaxRow) (sum, count float64) {
	all, own := r.logSum(r.Positives, r.Negatives), r.logSum(r.Positives)
	r.addSlope(1, all, r.Positives, r.Negatives)
	r.addSlope(-1, own, r.Positives)
	return all - own, 1
}

// Prototypical classifies each image among the classes of the references, each
// represented by the mean of its embeddings, the prototype:
//
//	L = −log( exp(−d(a,own)/τ) / Σ_c exp(−d(a,c)/τ) )
//
// with τ = Temperature and d(a,c) the distance of a from the prototype of c, averaged
// over the images whose class has another image among the references. The prototype of an
// image's own class is the mean of the other images.
//
// Inputs: labeled images, with or without references. Requirements: a head for
// which the distance from a mean follows from the distances from its images S,
//
//	d(a, mean of S) = Σₛ D(a,s)/|S| − Σₛₜ D(s,t)/(2|S|²)
//
// which is exact for squared-l2, and for cosine, where D is half the squared
// distance of the unit vectors. With references, the distances (M, M) between them
// are computed, too. See DefaultTemperature.
//
// Source: Snell, Swersky & Zemel 2017, equation 2, whose head is squared-l2 and whose τ
// is 1. They sample separate images for the prototypes and the queries, whereas here,
// without references, every image is used for both.
type Prototypical struct {
	Temperature float64 // positive; 1 in the paper
}

// Name is "prototypical".
func (Prototypical) Name() string { return "prototypical" }

// Kind is datasets.Labeled.
func (Prototypical) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (p Prototypical) Check(head heads.Head) error {
	properties, err := propertiesFor(p, head)
	if err != nil {
		return err
	}
	if !properties.Means {
		return errors.Errorf("%s with %s: the distance from a mean does not follow from such distances: use squared-l2 or cosine", p.Name(), heads.Identifier(head))
	}
	return checkPositive(p, "temperature", p.Temperature)
}

// Cost implements Loss.
func (p Prototypical) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, p, batch)
	operands := []*graph.Node{batch.Pairwise(b)}
	if r := batch.References; r != nil {
		operands = append(operands, batch.Head.Pairwise(b, r.Embeddings, r.Embeddings))
	}
	distances, self := len(operands), batch.references().Self
	return e.scalar(b.Apply(p.Name(), tensor.Shape{1},
		&prototypical[float32]{temperature: p.Temperature, matrices: distances, self: self},
		&prototypical[float64]{temperature: p.Temperature, matrices: distances, self: self}, append(operands, batch.labelNodes()...)...))
}

// softmaxRow is an anchor with the temperature of its softmax.
type softmaxRow struct {
	Anchor
	temperature float64
}

// softmaxCost is PerAnchor for a rule that is defined for anchors with a positive
// and a negative; others do not count.
func softmaxCost(b *graph.Builder, loss Loss, batch Batch, temperature float64, rule func(r softmaxRow) (sum, count float64)) *graph.Node {
	begin(b, loss, batch)
	return PerAnchor(b, loss.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		return rule(softmaxRow{a, temperature})
	})
}

// logSum is log Σ exp(−D/τ) over some references, without overflow.
func (r softmaxRow) logSum(references ...[]int) float64 {
	nearest := math.Inf(1)
	for _, some := range references {
		for _, i := range some {
			nearest = min(nearest, r.Distances[i])
		}
	}
	var sum float64
	for _, some := range references {
		for _, i := range some {
			sum += math.Exp((nearest - r.Distances[i]) / r.temperature)
		}
	}
	return math.Log(sum) - nearest/r.temperature
}

// addSlope adds to the slopes of some references factor times the derivative of
// their logSum, given that.
func (r softmaxRow) addSlope(factor, logSum float64, references ...[]int) {
	for _, some := range references {
		for _, i := range some {
			r.Slopes[i] -= factor / r.temperature * math.Exp(-r.Distances[i]/r.temperature-logSum)
		}
	}
}

// prototypical finds the gradient in the same pass as the loss. Its operands are
// the distances (N, M) from anchors to references; those (M, M) between the
// references, if these are not the anchors themselves; and the labels.
type prototypical[T graph.Float] struct {
	temperature float64
	matrices    int // of distances: 1 or 2
	self        bool
	slopes      [][]float64 // of the mean loss by the distances, for each matrix
}

func (f *prototypical[T]) Forward(y []T, x ...[]T) {
	m := newPrototypes(widen(x[0]), relationOf(f.self, x[f.matrices:]))
	f.slopes = [][]float64{make([]float64, len(x[0]))}
	if f.matrices == 2 {
		m.among = widen(x[1])
		f.slopes = append(f.slopes, make([]float64, len(x[1])))
	}
	var sum, count float64
	for i := range m.class {
		for j := range m.references {
			if m.compared(i, j) {
				sum += 0 * m.distance(i, j) // shows one that is not finite
			}
		}
		if m.counts(i) {
			count++
		}
	}
	for i, own := range m.class {
		if !m.counts(i) {
			continue
		}
		d := make([]float64, len(m.members))
		nearest := math.Inf(1)
		for c := range d {
			d[c] = m.from(i, c)
			nearest = min(nearest, d[c])
		}
		var total float64
		for _, v := range d {
			total += math.Exp((nearest - v) / f.temperature)
		}
		sum += (d[own]-nearest)/f.temperature + math.Log(total)
		for c, v := range d {
			slope := -math.Exp((nearest-v)/f.temperature) / total
			if c == own {
				slope++
			}
			m.addSlope(f.slopes[0], f.slopes[f.matrices-1], i, c, slope/f.temperature/count)
		}
	}
	y[0] = T(sum / max(count, 1))
}

func (f *prototypical[T]) Backward(dx, _ [][]T, _, dy []T) {
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

// prototypes are the distances from the means of classes, as they follow from
// distances that are squared distances of vectors, or a multiple of these. The
// distance of a reference from itself is taken for zero.
type prototypes[T graph.Float] struct {
	relation[T]
	distances []float64 // (N, M), of anchors from references
	among     []float64 // (M, M), between references
	class     []int     // of each anchor: an index into members, or −1
	members   [][]int   // the valid references of each class, in the order of the first ones
}

func newPrototypes[T graph.Float](distances []float64, r relation[T]) prototypes[T] {
	m := prototypes[T]{relation: r, distances: distances, among: distances}
	known := map[T]int{}
	for j, label := range r.references {
		if !r.isValid(j) {
			continue
		}
		class, found := known[label]
		if !found {
			class = len(m.members)
			known[label] = class
			m.members = append(m.members, nil)
		}
		m.members[class] = append(m.members[class], j)
	}
	for _, label := range r.anchors {
		class, found := known[label]
		if !found {
			class = -1
		}
		m.class = append(m.class, class)
	}
	return m
}

func (m prototypes[T]) distance(i, j int) float64 { return m.distances[i*len(m.references)+j] }

// counts reports whether anchor i has a prototype of its own class and one of another.
func (m prototypes[T]) counts(i int) bool {
	return len(m.members) > 1 && m.class[i] >= 0 && m.size(i, m.class[i]) > 0
}

// from is the distance of anchor i from the mean of a class, without i itself.
func (m prototypes[T]) from(i, class int) (d float64) {
	size, columns := m.size(i, class), len(m.references)
	for _, s := range m.members[class] {
		if !m.compared(i, s) {
			continue
		}
		d += m.distance(i, s) / size
		for _, t := range m.members[class] {
			if m.compared(i, t) && t != s {
				d -= m.among[s*columns+t] / (2 * size * size)
			}
		}
	}
	return d
}

// addSlope adds factor times the derivative of from(i, class) to the slopes (N, M)
// by the distances from anchors and (M, M) by those between references, which may
// be the same slice.
func (m prototypes[T]) addSlope(slopes, among []float64, i, class int, factor float64) {
	size, columns := m.size(i, class), len(m.references)
	for _, s := range m.members[class] {
		if !m.compared(i, s) {
			continue
		}
		slopes[i*columns+s] += factor / size
		for _, t := range m.members[class] {
			if m.compared(i, t) && t != s {
				among[s*columns+t] -= factor / (2 * size * size)
			}
		}
	}
}

// size is the number of images of the class, without anchor i.
func (m prototypes[T]) size(i, class int) float64 {
	if m.self && m.class[i] == class && m.isValid(i) {
		return float64(len(m.members[class]) - 1)
	}
	return float64(len(m.members[class]))
}

// checkSoftmax refuses heads whose values are not distances and temperatures that
// are out of range.
func checkSoftmax(loss Loss, temperature float64, head heads.Head) error {
	if err := checkSign(loss, head); err != nil {
		return err
	}
	return checkPositive(loss, "temperature", temperature)
}
