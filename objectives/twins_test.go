package objectives_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
)

// twin is a loss written in Gorgonia's own operations alone, through
// arrays (batch, batch, batch) where need be. Its masks come from the test.
type twin struct {
	*graph.Builder
	batch int
}

func (t twin) product(x, y *graph.Node) *graph.Node { return t.Node(gorgonia.HadamardProd(x, y)) }
func (t twin) add(x, y *graph.Node) *graph.Node     { return t.Node(gorgonia.Add(x, y)) }
func (t twin) sum(x *graph.Node) *graph.Node        { return t.Node(gorgonia.Sum(x)) }
func (t twin) above(x *graph.Node, value float64) *graph.Node {
	return t.Node(gorgonia.Gt(x, t.Constant(value), true))
}

// loss is the hinge or the soft margin of gaps.
func (t twin) loss(gap *graph.Node, margin float64, soft bool) *graph.Node {
	if soft {
		return t.Node(gorgonia.Softplus(gap))
	}
	return t.Node(gorgonia.Rectify(t.add(gap, t.Constant(margin))))
}

// gaps is D(a,p) − D(a,n), (batch, batch, batch).
func (t twin) gaps(distances *graph.Node) *graph.Node {
	positive := t.Reshape(distances, t.batch, t.batch, 1)
	negative := t.Reshape(distances, t.batch, 1, t.batch)
	return t.Node(gorgonia.BroadcastSub(positive, negative, []byte{2}, []byte{1}))
}

// only puts the value below all others where the mask is 0.
func (t twin) only(x, mask *graph.Node) *graph.Node {
	hidden := t.product(t.Constant(-1e6), t.Node(gorgonia.Sub(t.Constant(1), mask)))
	return t.add(t.product(x, mask), hidden)
}

func (t twin) batchAll(o objectives.BatchAll, distances, triplets *graph.Node) *graph.Node {
	losses := t.product(triplets, t.loss(t.gaps(distances), o.Margin, o.Soft))
	return t.Node(gorgonia.HadamardDiv(t.sum(losses), t.sum(t.above(losses, 0))))
}

func (t twin) semiHard(o objectives.SemiHard, distances, triplets *graph.Node) *graph.Node {
	gaps := t.gaps(distances)
	within := t.product(t.above(gaps, -o.Margin), t.Node(gorgonia.Lt(gaps, t.Constant(0), true)))
	hardest := t.Node(gorgonia.Max(t.only(gaps, t.product(within, triplets)), 2))
	losses := t.loss(hardest, o.Margin, false)
	return t.Node(gorgonia.HadamardDiv(t.sum(losses), t.sum(t.above(losses, 0))))
}

// batchHard needs an anchor's positive and negative for every row.
func (t twin) batchHard(o objectives.BatchHard, distances, positives, negatives *graph.Node) *graph.Node {
	farthest := t.Node(gorgonia.Max(t.only(distances, positives), 1))
	nearest := t.Node(gorgonia.Neg(t.Node(gorgonia.Max(t.only(t.Node(gorgonia.Neg(distances)), negatives), 1))))
	return t.Node(gorgonia.Mean(t.loss(t.Node(gorgonia.Sub(farthest, nearest)), o.Margin, o.Soft)))
}

func (t twin) exp(x *graph.Node) *graph.Node    { return t.Node(gorgonia.Exp(x)) }
func (t twin) log(x *graph.Node) *graph.Node    { return t.Node(gorgonia.Log(x)) }
func (t twin) rows(x *graph.Node) *graph.Node   { return t.Node(gorgonia.Sum(x, 1)) }
func (t twin) mul(x, y *graph.Node) *graph.Node { return t.Node(gorgonia.Mul(x, y)) }
func (t twin) sub(x, y *graph.Node) *graph.Node { return t.Node(gorgonia.Sub(x, y)) }
func (t twin) over(x *graph.Node, v float64) *graph.Node {
	return t.product(x, t.Constant(1/v))
}

// likeness is exp(−D/τ).
func (t twin) likeness(distances *graph.Node, temperature float64) *graph.Node {
	return t.exp(t.over(distances, -temperature))
}

func (t twin) batchRatio(o objectives.BatchRatio, distances, triplets *graph.Node) *graph.Node {
	ratio := t.Node(gorgonia.Sigmoid(t.over(t.gaps(distances), 1/o.Scale)))
	losses := t.product(triplets, t.product(ratio, ratio))
	return t.Node(gorgonia.HadamardDiv(t.sum(losses), t.sum(triplets)))
}

// The softmax objectives' twins need batches of two images of each class.

func (t twin) nPair(o objectives.NPair, distances, triplets, positives *graph.Node) *graph.Node {
	sums := t.Node(gorgonia.Sum(t.product(t.exp(t.over(t.gaps(distances), o.Temperature)), triplets), 2))
	return t.over(t.sum(t.product(t.Node(gorgonia.Log1p(sums)), positives)), float64(t.batch))
}

func (t twin) supervisedContrastive(o objectives.SupervisedContrastive, distances, positives, negatives *graph.Node) *graph.Node {
	all := t.rows(t.product(t.likeness(distances, o.Temperature), t.add(positives, negatives)))
	pull := t.over(t.rows(t.product(distances, positives)), o.Temperature)
	return t.Node(gorgonia.Mean(t.add(t.log(all), pull)))
}

func (t twin) nca(o objectives.NCA, distances, positives, negatives *graph.Node) *graph.Node {
	likeness := t.likeness(distances, o.Temperature)
	all := t.rows(t.product(likeness, t.add(positives, negatives)))
	return t.Node(gorgonia.Mean(t.sub(t.log(all), t.log(t.rows(t.product(likeness, positives))))))
}

// prototypical takes shares, which has 1/2 for the two images of a class.
func (t twin) prototypical(o objectives.Prototypical, distances, positives, negatives, shares *graph.Node) *graph.Node {
	d := t.product(distances, t.add(positives, negatives)) // with a zero diagonal
	within := func(weights *graph.Node) *graph.Node {
		return t.over(t.rows(t.product(t.mul(weights, d), weights)), 2)
	}
	own := t.sub(t.rows(t.product(positives, d)), within(positives))
	others := t.Node(gorgonia.BroadcastSub(t.mul(d, shares), t.Reshape(within(shares), 1, t.batch), nil, []byte{0}))
	far := t.over(t.rows(t.product(t.likeness(others, o.Temperature), negatives)), 2) // each class is there twice
	all := t.add(t.likeness(own, o.Temperature), far)
	return t.Node(gorgonia.Mean(t.add(t.log(all), t.over(own, o.Temperature))))
}

// What is fused equals its twin of plain nodes, in value and in gradient.
func TestTwins(t *testing.T) {
	const batch = 6
	for _, o := range []objectives.Loss{
		objectives.BatchAll{Margin: 0.4}, objectives.BatchAll{Soft: true}, objectives.SemiHard{Margin: 0.4},
		objectives.BatchHard{Margin: 0.4}, objectives.BatchHard{Soft: true},
		objectives.BatchRatio{Scale: 2}, objectives.NPair{Temperature: 0.3}, objectives.SupervisedContrastive{Temperature: 0.3},
		objectives.NCA{Temperature: 0.3}, objectives.Prototypical{Temperature: 0.3},
	} {
		t.Run(fmt.Sprintf("%T%+v", o, o), func(t *testing.T) {
			for seed := range uint64(5) {
				p := problem{rows: batch, labels: []float64{0, 1, 1, 0, 2, 2}}
				inputs := map[string][]float64{
					"labels": p.labels, "triplets": make([]float64, batch*batch*batch),
					"positives": make([]float64, batch*batch), "negatives": make([]float64, batch*batch),
					"shares": make([]float64, batch*batch),
				}
				for i, a := range p.labels {
					for j, b := range p.labels {
						if a == b {
							inputs["shares"][i*batch+j] = 0.5
						}
					}
				}
				p.eachTriplet(func(a, positive, negative int) {
					inputs["triplets"][(a*batch+positive)*batch+negative] = 1
					inputs["positives"][a*batch+positive] = 1
					inputs["negatives"][a*batch+negative] = 1
				})
				distances := make([]float64, batch*batch)
				r := random.New(seed, "distances")
				for i := range distances {
					distances[i] = 2 * r.Float64()
				}
				fused := lossOf(t, o, 0, map[string][]float64{"distances": distances}, p.labels)

				w := graph.NewWeights(graph.Float64, 1)
				if err := w.Add("distances", graph.Bias, []int{batch, batch}, distances); err != nil {
					t.Fatal(err)
				}
				plain := run(t, w, inputs, func(b *graph.Builder) graph.Outputs {
					d := b.Weight("distances", graph.Bias, graph.Initializer{}, batch, batch)
					twin, cost := twin{b, batch}, d
					b.Input("labels", batch)
					triplets := b.Input("triplets", batch, batch, batch)
					positives, negatives := b.Input("positives", batch, batch), b.Input("negatives", batch, batch)
					shares := b.Input("shares", batch, batch)
					switch o := o.(type) {
					case objectives.BatchRatio:
						cost = twin.batchRatio(o, d, triplets)
					case objectives.NPair:
						cost = twin.nPair(o, d, triplets, positives)
					case objectives.SupervisedContrastive:
						cost = twin.supervisedContrastive(o, d, positives, negatives)
					case objectives.NCA:
						cost = twin.nca(o, d, positives, negatives)
					case objectives.Prototypical:
						cost = twin.prototypical(o, d, positives, negatives, shares)
					case objectives.BatchAll:
						cost = twin.batchAll(o, d, triplets)
					case objectives.SemiHard:
						cost = twin.semiHard(o, d, triplets)
					case objectives.BatchHard:
						cost = twin.batchHard(o, d, positives, negatives)
					}
					return graph.Outputs{graph.Cost: cost}
				})
				near := cmpopts.EquateApprox(1e-12, 1e-14)
				if diff := cmp.Diff(plain.cost, fused.cost, near); diff != "" || plain.cost == 0 || math.IsNaN(plain.cost) {
					t.Errorf("seed %d: cost %v, its twin's %v", seed, fused.cost, plain.cost)
				}
				if diff := cmp.Diff(plain.gradients, fused.gradients, near); diff != "" {
					t.Errorf("seed %d: gradients: %s", seed, diff)
				}
			}
		})
	}
}
