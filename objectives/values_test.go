package objectives_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// given is a head whose distances are weights, so that they have gradients:
// "distance", or "positive" and "negative", or "distances" and those "among" the
// references.
type given struct{}

func (given) Name() string { return "given" }

func (given) Paired(b *graph.Builder, _, y *graph.Node) *graph.Node {
	return distanceNode(b, map[string]string{"input:right": "distance", "input:positives": "positive", "input:negatives": "negative"}[y.Name()], y.Shape()[0])
}

func (given) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	if x.Name() == "input:references" {
		return distanceNode(b, "among", x.Shape()[0], y.Shape()[0])
	}
	return distanceNode(b, "distances", x.Shape()[0], y.Shape()[0])
}

func (given) Properties() heads.Properties { return heads.Properties{Means: true} }

func (given) Distance(*graph.Weights) (heads.Distance, error) {
	return nil, errors.New("not needed")
}

func distanceNode(b *graph.Builder, name string, shape ...int) *graph.Node {
	return b.Weight(name, graph.Bias, graph.Initializer{}, shape...)
}

// lossOf is the loss of given distances.
func lossOf(t testing.TB, o objectives.Loss, bias float64, distances map[string][]float64, labels []float64) result {
	t.Helper()
	return referencesLoss(t, o, bias, distances, labels, nil)
}

// referencesLoss is the loss of given distances (N, M) from references, of which values
// are not needed.
func referencesLoss(t testing.TB, o objectives.Loss, bias float64, distances map[string][]float64, labels []float64, r *references) result {
	t.Helper()
	w := graph.NewWeights(graph.Float64, 1)
	rows, columns := len(labels), len(labels)
	if r != nil {
		columns = len(r.labels)
	}
	for name, values := range distances {
		shape := []int{len(values)}
		switch name {
		case "distances":
			shape = []int{rows, columns}
		case "among":
			shape = []int{columns, columns}
		default:
			rows = len(values)
		}
		if err := w.Add(name, graph.Bias, shape, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add("head.bias", graph.Bias, []int{1}, []float64{bias}); err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]float64{}
	return run(t, w, inputs, func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{Head: given{}}
		if o.Check(given{}) != nil {
			batch.Head = givenCosine{}
		}
		for _, tower := range map[datasets.Kind][]string{
			datasets.Pairs: {"left", "right"}, datasets.Triplets: {"anchors", "positives", "negatives"}, datasets.Labeled: {"images"},
		}[o.Kind()] {
			batch.Embeddings = append(batch.Embeddings, b.Input(tower, rows, 1))
		}
		if labels != nil {
			inputs["labels"] = labels
			batch.Labels = b.Input("labels", rows)
		}
		if r != nil {
			batch.References = &objectives.References{Embeddings: b.Input("references", columns, 1), Labels: b.Input("labels of references", columns), Self: r.self}
			inputs["labels of references"] = r.labels
			if r.valid != nil {
				batch.References.Valid = b.Input("valid references", columns)
				inputs["valid references"] = r.valid
			}
		}
		return graph.Outputs{graph.Cost: o.Cost(b, batch)}
	})
}

// Costs and their gradients by the distances, worked by hand.
func TestWorkedValues(t *testing.T) {
	type vectors = map[string][]float64
	ln2, ln3 := math.Ln2, math.Log(3)
	// Images 0 and 1 are of class 5, image 2 is of class 8. The lower triangle
	// and the diagonal are odd on purpose: pairs look at neither.
	three := vectors{"distances": {9, 0.5, 0.5 /**/, 9, 9, 2 /**/, 9, 9, 9}}
	threeLogits := vectors{"distances": {9, 0, ln3 /**/, 9, 9, 0 /**/, 9, 9, 9}}
	// Images 0, 1, 2 are of class 1, images 3, 4 of class 2. Rows are anchors.
	five := vectors{"distances": {
		9, 1, 2 /**/, 1.5, 2.25,
		1, 9, 1.5 /**/, 3, 4,
		2, 1.5, 9 /**/, 0.5, 1.75,
		1.5, 3, 0.5 /**/, 9, 1,
		2.25, 4, 1.75 /**/, 1, 9}}
	// Images 0 and 1 are of one class, 2 and 3 of two others.
	tied := vectors{"distances": {9, 1, 1, 1.25 /**/, 1, 9, 4, 4 /**/, 9, 9, 9, 9 /**/, 9, 9, 9, 9}}
	// Images 0 and 1 are of one class, 2 of another: the odds of being nearer are
	// e^{1·ln 3} = 3 for anchor 0 and 2 for anchor 1, at a temperature of 1.
	odds := vectors{"distances": {9, 0, ln3 /**/, 0, 9, ln2 /**/, 9, 9, 9}}
	tests := []struct {
		loss      objectives.Loss
		bias      float64
		distances vectors
		labels    []float64
		cost      float64
		gradients vectors
	}{
		{objectives.Contrastive{Margin: 1}, 0,
			vectors{"distance": {0.5, 0.5, 2, 2}}, []float64{0, 1, 1, 0},
			(0.125 + 0.125 + 0 + 2) / 4.0, vectors{"distance": {0.125, -0.125, 0, 0.5}}},
		{objectives.Triplet{Margin: 0.5}, 0,
			vectors{"positive": {1, 1}, "negative": {1.25, 3}}, nil,
			(0.25 + 0) / 2.0, vectors{"positive": {0.5, 0}, "negative": {-0.5, 0}}},
		{objectives.Triplet{Soft: true}, 0, // σ(0) = 1/2, σ(−ln 3) = 1/4
			vectors{"positive": {1, 0}, "negative": {1, ln3}}, nil,
			(ln2 + math.Log(4./3)) / 2, vectors{"positive": {1. / 4, 1. / 8}, "negative": {-1. / 4, -1. / 8}}},
		{objectives.TripletRatio{Scale: 1}, 0, // softmax gives d₊ = 1/2 and 1/4; the slope is 2·d₊·d₊(1 − d₊)
			vectors{"positive": {1, 0}, "negative": {1, ln3}}, nil,
			(1./4 + 1./16) / 2, vectors{"positive": {1. / 8, 3. / 64}, "negative": {-1. / 8, -3. / 64}}},
		{objectives.TripletRatio{Scale: 2}, 0, // the same of distances half as large, with slopes twice as steep
			vectors{"positive": {1, 0}, "negative": {1, ln3 / 2}}, nil,
			(1./4 + 1./16) / 2, vectors{"positive": {1. / 4, 3. / 32}, "negative": {-1. / 4, -3. / 32}}},
		{objectives.CrossEntropy{}, ln3, // p = 3/4, 1/2, 1/4
			vectors{"distance": {0, ln3, 2 * ln3}}, []float64{0, 1, 0},
			(math.Log(4./3) + ln2 + 2*ln2) / 3, vectors{"distance": {1. / 12, -1. / 6, 1. / 4}, "head.bias": {-1. / 6}}},
		{objectives.BatchContrastive{Margin: 1}, 0, three, []float64{5, 5, 8},
			(0.125 + 0.125 + 0) / 3, vectors{"distances": {0, 1. / 6, -1. / 6 /**/, 0, 0, 0 /**/, 0, 0, 0}}},
		{objectives.BatchContrastive{Margin: 1, Balanced: true}, 0, three, []float64{5, 5, 8},
			(0.125 + (0.125+0)/2) / 2, vectors{"distances": {0, 1. / 4, -1. / 8 /**/, 0, 0, 0 /**/, 0, 0, 0}}},
		{objectives.BatchCrossEntropy{}, 0, threeLogits, []float64{5, 5, 8}, // p = 1/2, 1/4, 1/2
			(ln2 + math.Log(4./3) + ln2) / 3, vectors{"distances": {0, 1. / 6, -1. / 12 /**/, 0, 0, -1. / 6 /**/, 0, 0, 0}, "head.bias": {1. / 12}}},
		{objectives.BatchCrossEntropy{Balanced: true}, 0, threeLogits, []float64{5, 5, 8},
			(ln2 + (math.Log(4./3)+ln2)/2) / 2, vectors{"distances": {0, 1. / 4, -1. / 16 /**/, 0, 0, -1. / 8 /**/, 0, 0, 0}, "head.bias": {-1. / 16}}},
		{objectives.BatchAll{Margin: 0.5}, 0, five, []float64{1, 1, 1, 2, 2},
			// Above zero: (0;2;3) 1, (0;2;4) 0.25, (2;0;3) 2, (2;0;4) 0.75,
			// (2;1;3) 1.5, (2;1;4) 0.25, (3;4;2) 1. (0;1;3) and all others rest.
			6.75 / 7, vectors{"distances": scaled(1./7,
				0, 0, 2, -1, -1,
				0, 0, 0, 0, 0,
				2, 2, 0, -2, -2,
				0, 0, -1, 0, 1,
				0, 0, 0, 0, 0)}},
		{objectives.BatchHard{Margin: 0.5}, 0, five, []float64{1, 1, 1, 2, 2},
			// Anchor 0: 2 − 1.5, 1: 1.5 − 3, 2: 2 − 0.5, 3: 1 − 0.5, 4: 1 − 1.75.
			(1. + 0 + 2 + 1 + 0) / 5, vectors{"distances": scaled(1./5,
				0, 0, 1, -1, 0,
				0, 0, 0, 0, 0,
				1, 0, 0, -1, 0,
				0, 0, -1, 0, 1,
				0, 0, 0, 0, 0)}},
		{objectives.SemiHard{Margin: 0.75}, 0, five, []float64{1, 1, 1, 2, 2},
			// Within the margin: (0;1;3) 0.25, (0;2;4) 0.5, (2;1;4) 0.5, (3;4;0)
			// 0.25. The other negatives are nearer than the positive, or a whole
			// margin beyond it as (4;3;2).
			1.5 / 4, vectors{"distances": scaled(1./4,
				0, 1, 1, -1, -1,
				0, 0, 0, 0, 0,
				0, 1, 0, 0, -1,
				-1, 0, 0, 0, 1,
				0, 0, 0, 0, 0)}},
		{objectives.SemiHard{Margin: 0.75}, 0, tied, []float64{0, 0, 1, 2},
			// Image 2 is as near to anchor 0 as the positive, and so not semi-hard.
			0.5, vectors{"distances": {0, 1, 0, -1 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0}}},
		{objectives.NPair{Temperature: 1}, 0, odds, []float64{0, 0, 1},
			// log(1 + 1/3) and log(1 + 1/2); σ of −ln 3 is 1/4, of −ln 2 1/3.
			(math.Log(4./3) + math.Log(3./2)) / 2, vectors{"distances": {0, 1. / 8, -1. / 8 /**/, 1. / 6, 0, -1. / 6 /**/, 0, 0, 0}}},
		{objectives.NPair{Temperature: 1}, 0, vectors{"distances": {9, ln2, 0, ln2, 0 /**/, 0, 9, 0, 0, 0 /**/, 0, 0, 9, 0, 0 /**/, 0, 0, 0, 9, 0 /**/, 0, 0, 0, 0, 9}},
			// Anchor 0 with positives 1 (log(1 + 2·(1/2 + 1)) = log 4) and 2 (log(1
			// + 3/2)); anchors 1 and 2 with two of each (log(1 + 2)); 3 and 4 are alone.
			[]float64{0, 0, 0, 1, 2}, (math.Log(4) + math.Log(2.5) + 4*ln3) / 6,
			vectors{"distances": scaled(1./6,
				0, 3./4, 3./5, -(3./4+3./5)/3, -(3./4+3./5)*2/3,
				2./3, 0, 2./3, -2./3, -2./3,
				2./3, 2./3, 0, -2./3, -2./3,
				0, 0, 0, 0, 0,
				0, 0, 0, 0, 0)}},
		{objectives.NCA{Temperature: 1}, 0, odds, []float64{0, 0, 1}, // with one positive the same
			(math.Log(4./3) + math.Log(3./2)) / 2, vectors{"distances": {0, 1. / 8, -1. / 8 /**/, 1. / 6, 0, -1. / 6 /**/, 0, 0, 0}}},
		{objectives.SupervisedContrastive{Temperature: 1}, 0, odds, []float64{0, 0, 1},
			(math.Log(4./3) + math.Log(3./2)) / 2, vectors{"distances": {0, 1. / 8, -1. / 8 /**/, 1. / 6, 0, -1. / 6 /**/, 0, 0, 0}}},
		{objectives.SupervisedContrastive{Temperature: 0.5}, 0,
			// Only anchors 0 to 2 have positives: all three others are as near.
			vectors{"distances": make([]float64, 16)}, []float64{0, 0, 0, 1}, ln3,
			vectors{"distances": scaled(2./3,
				0, 1./2-1./3, 1./2-1./3, -1./3,
				1./2-1./3, 0, 1./2-1./3, -1./3,
				1./2-1./3, 1./2-1./3, 0, -1./3,
				0, 0, 0, 0)}},
		{objectives.Prototypical{Temperature: 1}, 0, odds, []float64{0, 0, 1}, // each class is one other image
			(math.Log(4./3) + math.Log(3./2)) / 2, vectors{"distances": {0, 1. / 8, -1. / 8 /**/, 1. / 6, 0, -1. / 6 /**/, 0, 0, 0}}},
		{objectives.BatchRatio{Scale: 1}, 0, odds, []float64{0, 0, 1}, // σ = 1/4 and 1/3; the slope is 2·σ²(1 − σ)
			(1./16 + 1./9) / 2, vectors{"distances": {0, 3. / 64, -3. / 64 /**/, 2. / 27, 0, -2. / 27 /**/, 0, 0, 0}}},
		{objectives.BatchHard{Margin: 1}, 0, tied, []float64{0, 0, 1, 2},
			// Of equal distances one takes the gradient; 2 and 3 have no positive.
			0.5, vectors{"distances": {0, 0.5, -0.5, 0 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0}}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%T%+v", test.loss, test.loss), func(t *testing.T) {
			r := lossOf(t, test.loss, test.bias, test.distances, test.labels)
			near := cmpopts.EquateApprox(0, 1e-15)
			if diff := cmp.Diff(test.cost, r.cost, near); diff != "" {
				t.Errorf("cost: %s", diff)
			}
			if diff := cmp.Diff(test.gradients, r.gradients, near); diff != "" {
				t.Errorf("gradients: %s", diff)
			}
		})
	}
}

func scaled(factor float64, values ...float64) []float64 {
	for i := range values {
		values[i] *= factor
	}
	return values
}

// Cross-entropy keeps its digits, and its gradient too, for logits at which p is
// 0 or 1 in floating point.
func TestCrossEntropyOfSureAnswers(t *testing.T) {
	for _, logit := range []float64{17, 20, 40, 800, 1e4} {
		small := math.Exp(-logit)
		right, wrong := math.Log1p(small), logit+small // what answers cost, and their slopes by the logit
		rightSlope, wrongSlope := small/(1+small), 1/(1+small)
		for _, test := range []struct{ logit, different, cost, slope float64 }{
			{logit, 0, right, rightSlope}, {logit, 1, wrong, -wrongSlope},
			{-logit, 0, wrong, wrongSlope}, {-logit, 1, right, -rightSlope},
		} {
			r := lossOf(t, objectives.CrossEntropy{}, test.logit, map[string][]float64{"distance": {0}}, []float64{test.different})
			for _, each := range []struct {
				what        string
				found, want float64
			}{{"cost", r.cost, test.cost}, {"gradient by the distance", r.gradients["distance"][0], test.slope}} {
				if !(math.Abs(each.found-each.want) <= 1e-14*math.Abs(each.want)) {
					t.Errorf("logit %v, different %v: %s: found %v, want %v", test.logit, test.different, each.what, each.found, each.want)
				}
			}
		}
	}
}
