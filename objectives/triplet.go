package objectives

import (
	"cmp"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// Triplet requires the negative to be at least Margin farther from the anchor than
// the positive:
//
//	L = max(0, D(a,p) − D(a,n) + Margin)
//
// or, if Soft, with softplus instead of the hinge, which has no margin and is never zero
// (Hermans, Beyer & Leibe 2017, section 2, "soft-margin"):
//
//	L = log(1 + exp(D(a,p) − D(a,n)))
//
// Inputs: triplets, with the distances D(a,p) (N) and D(a,n) (N). The loss is the mean
// over the triplets.
//
// Requirements: a head whose values are distances. The margin is a difference of
// distances; see DefaultMargin.
//
// Source: Schroff, Kalenichenko & Philbin 2015, section 3.1, with squared-l2 over
// unit vectors, who sum over the triplets. See also BatchAll, BatchHard and
// SemiHard, which find triplets in a batch.
type Triplet struct {
	Margin float64 // positive; ignored if Soft
	Soft   bool
}

// Name is "triplet".
func (Triplet) Name() string { return "triplet" }

// Kind is datasets.Triplets.
func (Triplet) Kind() datasets.Kind { return datasets.Triplets }

// Check implements Loss.
func (t Triplet) Check(head heads.Head) error { return checkTriplet(t, t.Margin, t.Soft, head) }

// HingeMargin implements MarginLoss.
func (t Triplet) HingeMargin() (margin float64, ok bool) { return t.Margin, !t.Soft }

// Cost implements Loss.
func (t Triplet) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, t, batch)
	return Mean(b, e.ranking(t.Margin, t.Soft, e.sub(batch.Paired(b, 0, 1), batch.Paired(b, 0, 2))))
}

func (Triplet) defaultMargin(head heads.Properties, _ int) float64 { return differenceMargin(head) }

// TripletRatio is a softmax over the distances D₊ = D(a,p) and D₋ = D(a,n), with s =
// Scale:
//
//	d₊ = exp(s·D₊) / (exp(s·D₊) + exp(s·D₋)) = σ(s·(D₊ − D₋))
//	L  = d₊²
//
// Inputs: triplets. The loss is the mean over the triplets. There is no margin.
//
// Scale is the inverse of a temperature. L2 distances can grow without bounds, but cosine
// distances are at most 2: at Scale 1 their d₊ stays above σ(−2) = 0.12, and the loss
// never approaches zero. See DefaultScale.
//
// Requirements: a head whose values are distances.
//
// Source: Hoffer & Ailon 2015, whose loss ‖(d₊, d₋ − 1)‖² is 2·d₊² since d₊ + d₋ =
// 1; their code takes the mean over the two terms, which is d₊². Their head is l2
// and their Scale is 1. See also BatchRatio, which takes all triplets of a batch.
type TripletRatio struct {
	Scale float64 // positive; 1 in the paper
}

// Name is "triplet-ratio".
func (TripletRatio) Name() string { return "triplet-ratio" }

// Kind is datasets.Triplets.
func (TripletRatio) Kind() datasets.Kind { return datasets.Triplets }

// Check implements Loss.
func (t TripletRatio) Check(head heads.Head) error { return checkScale(t, t.Scale, head) }

// Cost implements Loss.
func (t TripletRatio) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, t, batch)
	gap := e.scale(t.Scale, e.sub(batch.Paired(b, 0, 1), batch.Paired(b, 0, 2)))
	return Mean(b, e.square(e.Sigmoid(gap)))
}

// BatchAll is Triplet over all triplets of a batch: each anchor with each positive and
// each negative,
//
//	L = max(0, D(a,p) − D(a,n) + Margin)
//
// averaged over the triplets whose loss is above zero, so that triplets that satisfy the
// margin do not reduce the weight of the others. If Soft, L = log(1 + exp(D(a,p) −
// D(a,n))) is averaged over all triplets, since none has a loss of zero.
//
// Inputs: labeled images, with or without references. Requirements: those of
// Triplet. Mining: or EasyPositive.
//
// Source: Hermans, Beyer & Leibe 2017, section 2, "batch all", in the form "≠ 0".
type BatchAll struct {
	Margin float64 // positive; ignored if Soft
	Soft   bool
	Mining Mining `json:",omitempty"`
}

// Name is "batch-all".
func (BatchAll) Name() string { return "batch-all" }

// Kind is datasets.Labeled.
func (BatchAll) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (a BatchAll) Check(head heads.Head) error {
	return cmp.Or(checkTriplet(a, a.Margin, a.Soft, head), checkMining(a, a.Mining, EasyPositive))
}

// HingeMargin implements MarginLoss.
func (a BatchAll) HingeMargin() (margin float64, ok bool) { return a.Margin, !a.Soft }

// Cost implements Loss.
func (a BatchAll) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, a, batch)
	if a.Soft {
		return perTriplet(b, a, batch, softRanking, a.Mining.triplets)
	}
	return perTriplet(b, a, batch, hingeRanking(a.Margin), a.Mining.triplets)
}

func (BatchAll) defaultMargin(head heads.Properties, _ int) float64 { return differenceMargin(head) }

// BatchHard compares, for each anchor of a batch, the farthest positive and the nearest
// negative:
//
//	L = max(0, max D(a,p) − min D(a,n) + Margin)
//
// or, if Soft, log(1 + exp(max D(a,p) − min D(a,n))), averaged over the anchors that have
// a positive and a negative.
//
// Inputs: labeled images, with or without references. Requirements: those of Triplet. The
// embeddings may collapse at the beginning of training, when the hardest negatives are
// nearer than the hardest positives; BatchAll and SemiHard are more stable. Mining: or
// EasyPositive, the nearest positive with the nearest negative.
//
// Source: Hermans, Beyer & Leibe 2017, section 2, "batch hard". They sample P classes
// with K images each, and prefer the soft margin and embeddings that are not normalized.
type BatchHard struct {
	Margin float64 // positive; ignored if Soft
	Soft   bool
	Mining Mining `json:",omitempty"`
}

// Name is "batch-hard".
func (BatchHard) Name() string { return "batch-hard" }

// Kind is datasets.Labeled.
func (BatchHard) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (h BatchHard) Check(head heads.Head) error {
	return cmp.Or(checkTriplet(h, h.Margin, h.Soft, head), checkMining(h, h.Mining, EasyPositive))
}

// HingeMargin implements MarginLoss.
func (h BatchHard) HingeMargin() (margin float64, ok bool) { return h.Margin, !h.Soft }

// Cost implements Loss.
func (h BatchHard) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, h, batch)
	distances, positives, negatives := batch.Pairwise(b), batch.Positives(b), batch.Negatives(b)
	positive := Largest
	if h.Mining == EasyPositive {
		positive = Smallest
	}
	gap := e.sub(positive(b, distances, positives), Smallest(b, distances, negatives))
	anchors := e.product(Any(b, positives), Any(b, negatives))
	return WeightedMean(b, e.ranking(h.Margin, h.Soft, gap), anchors)
}

func (BatchHard) defaultMargin(head heads.Properties, _ int) float64 { return differenceMargin(head) }

// SemiHard compares each pair of an anchor and a positive with the nearest of the
// negatives that are farther than the positive but within the margin, D(a,p) < D(a,n) <
// D(a,p) + Margin:
//
//	L = D(a,p) − D(a,n) + Margin, in (0, Margin)
//
// averaged over the pairs that have such a negative. Other pairs are ignored: if all
// negatives are beyond the margin the loss is zero, and negatives nearer than the
// positive are those that the rule avoids.
//
// Inputs: labeled images, with or without references. Requirements: those of
// Triplet. Mining: or EasyPositive.
//
// Source: Schroff, Kalenichenko & Philbin 2015, section 3.2, with squared-l2 over unit
// vectors and Margin 0.2. The paper does not specify which of the negatives within the
// margin is selected, nor what happens if there is none. Libraries differ: TensorFlow's
// triplet_semihard_loss selects the farthest negative if none is farther than the
// positive.
type SemiHard struct {
	Margin float64 // positive
	Mining Mining  `json:",omitempty"`
}

// Name is "semi-hard".
func (SemiHard) Name() string { return "semi-hard" }

// Kind is datasets.Labeled.
func (SemiHard) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (s SemiHard) Check(head heads.Head) error {
	return cmp.Or(checkTriplet(s, s.Margin, false, head), checkMining(s, s.Mining, EasyPositive))
}

// HingeMargin implements MarginLoss.
func (s SemiHard) HingeMargin() (margin float64, ok bool) { return s.Margin, true }

// Cost implements Loss.
func (s SemiHard) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, s, batch)
	return perTriplet(b, s, batch, hingeRanking(s.Margin), s.triplets)
}

// triplets visits, for each positive of an anchor, its semi-hard negative.
func (s SemiHard) triplets(a Anchor, visit func(positive, negative int)) {
	for _, p := range s.Mining.positives(a) {
		nearest := -1
		for _, n := range a.Negatives {
			gap := a.Distances[p] - a.Distances[n]
			if gap < 0 && gap+s.Margin > 0 && (nearest < 0 || a.Distances[n] < a.Distances[nearest]) {
				nearest = n
			}
		}
		if nearest >= 0 {
			visit(p, nearest)
		}
	}
}

func (SemiHard) defaultMargin(head heads.Properties, _ int) float64 { return differenceMargin(head) }

// BatchRatio is TripletRatio over all triplets of a batch, with s = Scale:
//
//	L = σ(s·(D(a,p) − D(a,n)))²
//
// averaged over all triplets.
//
// Inputs: labeled images, with or without references. Requirements: those of
// TripletRatio. Source: Hoffer & Ailon 2015, who sample triplets at random.
type BatchRatio struct {
	Scale float64 // positive; 1 in the paper
}

// Name is "batch-ratio".
func (BatchRatio) Name() string { return "batch-ratio" }

// Kind is datasets.Labeled.
func (BatchRatio) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (r BatchRatio) Check(head heads.Head) error { return checkScale(r, r.Scale, head) }

// Cost implements Loss.
func (r BatchRatio) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, r, batch)
	return perTriplet(b, r, batch, ratioRanking(r.Scale), Mining("").triplets)
}

// ranking is the triplet loss of each gap D(a,p) − D(a,n), in any shape.
func (e expression) ranking(margin float64, soft bool, gap *graph.Node) *graph.Node {
	if soft {
		return e.Softplus(gap)
	}
	return Hinge(e.Builder, e.plus(gap, margin))
}

// perTriplet is the mean loss of the triplets that a rule selects: it visits
// triplets of one anchor.
func perTriplet(b *graph.Builder, loss Loss, batch Batch, rank ranking, triplets func(a Anchor, visit func(positive, negative int))) *graph.Node {
	return PerAnchor(b, loss.Name(), batch, func(a Anchor) (sum, count float64) {
		triplets(a, func(positive, negative int) {
			l, slope, counts := rank(a.Distances[positive] - a.Distances[negative])
			if counts {
				sum += l
				count++
				a.Slopes[positive] += slope
				a.Slopes[negative] -= slope
			}
		})
		return sum, count
	})
}

// triplets visits each positive that takes part with each negative.
func (m Mining) triplets(a Anchor, visit func(positive, negative int)) {
	for _, p := range m.positives(a) {
		for _, n := range a.Negatives {
			visit(p, n)
		}
	}
}

// A ranking is the loss of one gap D(a,p) − D(a,n) and its derivative, and whether
// the triplet counts in the mean.
type ranking func(gap float64) (loss, slope float64, counts bool)

// hingeRanking is max(0, gap + margin); triplets without a loss do not count.
func hingeRanking(margin float64) ranking {
	return func(gap float64) (loss, slope float64, counts bool) {
		if gap+margin > 0 {
			return gap + margin, 1, true
		}
		return 0, 0, false
	}
}

// softRanking is log(1 + exp(gap)).
func softRanking(gap float64) (loss, slope float64, counts bool) {
	loss, slope = graph.Softplus(gap)
	return loss, slope, true
}

// ratioRanking is σ(scale·gap)².
func ratioRanking(scale float64) ranking {
	return func(gap float64) (loss, slope float64, counts bool) {
		_, p := graph.Softplus(scale * gap) // the slope of softplus is σ
		return p * p, 2 * scale * p * p * (1 - p), true
	}
}

func checkTriplet(loss Loss, margin float64, soft bool, head heads.Head) error {
	if err := checkSign(loss, head); err != nil || soft {
		return err
	}
	return checkMargin(loss, margin, head)
}

func checkScale(loss Loss, scale float64, head heads.Head) error {
	if err := checkSign(loss, head); err != nil {
		return err
	}
	return checkPositive(loss, "scale", scale)
}
