package heads

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// L1 is the Manhattan distance Σ|xⱼ − yⱼ|. Where xⱼ = yⱼ the gradient is taken to be zero.
type L1 struct{}

// Name is "l1".
func (L1) Name() string { return "l1" }

// Paired implements Head.
func (L1) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairedDistances(graph.Manhattan, x, y, nil)
}

// Pairwise implements Head.
func (L1) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairwiseDistances(graph.Manhattan, x, y, nil)
}

// Properties implements Head.
func (L1) Properties() Properties {
	return Properties{Metric: true, Sums: true}
}

// Distance implements Head.
func (h L1) Distance(*graph.Weights) (Distance, error) {
	return FromForm(h.Name(), Form{Power: 1})
}

// WeightedL1 is Σ wⱼ|xⱼ − yⱼ| with a trainable factor for each feature.
//
// By default wⱼ = softplus(vⱼ) > 0 with trainable v, so that it is a metric. It is
// initialized to w = 1, the L1 distance.
//
// With Signed, w may have any sign, as in Koch, Zemel & Salakhutdinov 2015. This is for
// the cross-entropies only: no other loss is defined for negative distances. It is
// initialized to w = 1/√features, with which a larger difference is a larger distance
// from the first step. The paper does not give its initialization. With N(0, 0.2²), that
// of its fully connected weights, half of the factors have the wrong sign, and those of
// features that distinguish unseen classes may keep it: after 12,000 images of seven
// digits the ROC AUC on the other three was 0.30.
//
// The weight "head.weight" (features) is v, or w if Signed. The latter is a kernel, to
// which weight decay applies as to other matrices; v is a gain, to which it does not,
// since v = 0 means w = log 2. Apply the head outside any scope, where Distance looks for
// the weight.
type WeightedL1 struct {
	Signed bool
}

// weightName is the name of the trainable weight.
const weightName = "head.weight"

// unit is the v of w = 1: softplus(log(e − 1)) = 1.
var unit = math.Log(math.E - 1)

// Name is "weighted-l1", or "signed-weighted-l1".
func (h WeightedL1) Name() string {
	if h.Signed {
		return "signed-weighted-l1"
	}
	return "weighted-l1"
}

// Paired implements Head.
func (h WeightedL1) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairedDistances(graph.Manhattan, x, y, h.factors(b, x))
}

// Pairwise implements Head.
func (h WeightedL1) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairwiseDistances(graph.Manhattan, x, y, h.factors(b, x))
}

// factors is the node of w, for embeddings x (batch, features).
func (h WeightedL1) factors(b *graph.Builder, x *graph.Node) *graph.Node {
	if x.Dims() != 2 {
		b.Fail("%s: found embeddings of shape %v, expected (batch, features)", h.Name(), x.Shape())
	}
	features := x.Shape()[1]
	if h.Signed {
		return b.Weight(weightName, graph.Kernel, graph.Constant(1/math.Sqrt(float64(features))), features)
	}
	v := b.Weight(weightName, graph.Gain, graph.Constant(unit), features)
	return b.Softplus(v)
}

// Properties implements Head.
func (h WeightedL1) Properties() Properties {
	return Properties{Metric: !h.Signed, Signed: h.Signed, Sums: true}
}

// Distance implements Head.
func (h WeightedL1) Distance(weights *graph.Weights) (Distance, error) {
	weight := weights.Get(weightName)
	if weight == nil {
		return nil, errors.Errorf("head %s: the weights have no %q: they are of a network with another head", h.Name(), weightName)
	}
	return FromForm(h.Name(), Form{Power: 1, Weights: h.values(weight)})
}

// values copies w from the trainable weight.
func (h WeightedL1) values(weight *graph.Weight) []float32 {
	values := make([]float32, weight.Value.Size())
	for j := range values {
		var v float64
		switch data := weight.Value.Data().(type) {
		case []float32:
			v = float64(data[j])
		case []float64:
			v = data[j]
		}
		if !h.Signed {
			v, _ = graph.Softplus(v)
		}
		values[j] = float32(v)
	}
	return values
}
