package objectives_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
)

// forEachLabeled is forEach for the losses of labeled images that take references.
func forEachLabeled(t *testing.T, test func(t *testing.T, o objectives.Loss, head heads.Head)) {
	t.Helper()
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if o.Kind().Towers() == 1 && !hasVectors(o) {
			test(t, o, head)
		}
	})
}

// References that are the batch itself change nothing, and neither does a memory
// in which nothing is valid yet.
func TestReferencesThatAreTheBatch(t *testing.T) {
	forEachLabeled(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		p := problemFor(o, 4, 8, 3)
		want := p.run(t, o, head, graph.Float64)
		for name, more := range map[string]int{"the batch": 0, "an empty memory": 5} {
			if more > 0 && samples(o) {
				continue // there are more random numbers
			}
			inputs := p.inputs()
			inputs["labels of references"], inputs["valid references"] = make([]float64, p.rows+more), make([]float64, p.rows+more)
			copy(inputs["labels of references"], p.labels)
			for i := range p.rows {
				inputs["valid references"][i] = 1
			}
			found := run(t, p.weights(t, graph.Float64), inputs, func(b *graph.Builder) graph.Outputs {
				images := b.Weight("tower 0", graph.Bias, graph.Initializer{}, p.rows, p.features)
				all := images
				if more > 0 {
					all = b.Node(gorgonia.Concat(0, images, b.Input("memory", more, p.features)))
				}
				return graph.Outputs{graph.Cost: o.Cost(b, objectives.Batch{
					Classes: 3, Embeddings: []*graph.Node{images}, Labels: b.Input("labels", p.rows), Head: head,
					References: &objectives.References{
						Embeddings: all, Labels: b.Input("labels of references", p.rows+more), Valid: b.Input("valid references", p.rows+more), Self: true,
					},
				})}
			})
			near := cmpopts.EquateApprox(0, 1e-12) // prototypical adds up in another order
			if _, sameOrder := o.(objectives.Prototypical); !sameOrder {
				if found.cost != want.cost {
					t.Errorf("%s: cost %v, without references %v", name, found.cost, want.cost)
				}
			} else if diff := cmp.Diff(want.cost, found.cost, near); diff != "" {
				t.Errorf("%s: cost: %s", name, diff)
			}
			if diff := cmp.Diff(want.gradients, found.gradients, near); diff != "" {
				t.Errorf("%s: gradients: %s", name, diff)
			}
		}
	})
}

// References that are not valid do not count, whatever they hold, and have no
// gradient.
func TestInvalidReferences(t *testing.T) {
	forEachLabeled(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		for name, p := range problemFor(o, 5, 6, 3).forms(o) {
			if p.references == nil {
				continue
			}
			before := p.run(t, o, head, graph.Float32)
			first := 0
			if p.references.self {
				first = p.rows
			}
			for j := first; j < len(p.references.valid); j++ {
				if p.references.valid[j] != 0 {
					continue
				}
				p.references.labels[j] = 77
				for k := range p.features {
					at := (j-first)*p.features + k
					p.references.values[at] = 1e3
					if g := before.gradients["references"][at]; g != 0 {
						t.Errorf("%s: reference %d is invalid and has the gradient %v", name, j, g)
					}
				}
			}
			after := p.run(t, o, head, graph.Float32)
			if after.cost != before.cost {
				t.Errorf("%s: cost %v became %v", name, before.cost, after.cost)
			}
		}
	})
}

// A valid reference that is not a number shows.
func TestNaNInReferencesShows(t *testing.T) {
	forEachLabeled(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		p := problemFor(o, 8, 6, 3).withReferences(false)
		p.references.values[5*3] = math.NaN()
		p.references.labels[5] = 99 // a negative of all anchors
		if r := p.run(t, o, head, graph.Float32); !math.IsNaN(r.cost) {
			t.Errorf("cost %v, want NaN", r.cost)
		}
	})
}

// Costs of two anchors and three references, and their gradients by the distances,
// worked by hand. Both anchors are of class 1, the references of the classes 1, 2
// and 2, of which the last is invalid.
func TestWorkedValuesWithReferences(t *testing.T) {
	type vectors = map[string][]float64
	ln2, ln3 := math.Ln2, math.Log(3)
	r := &references{labels: []float64{1, 2, 2}, valid: []float64{1, 1, 0}}
	labels := []float64{1, 1}
	// The odds of the positive are 3 for anchor 0 and 2 for anchor 1.
	odds := vectors{"distances": {0, ln3, 7 /**/, 0, ln2, 7}}
	plain := vectors{"distances": {1, 1.5, 7 /**/, 2, 0.5, 7}}
	half := vectors{"distances": {1. / 8, -1. / 8, 0 /**/, 1. / 6, -1. / 6, 0}}
	for _, test := range []struct {
		loss      objectives.Loss
		distances vectors
		cost      float64
		gradients vectors
	}{
		{objectives.BatchContrastive{Margin: 1}, plain, // 1/2, 0, 2, 1/8 of four pairs
			(0.5 + 0 + 2 + 0.125) / 4, vectors{"distances": {1. / 4, 0, 0 /**/, 1. / 2, -1. / 8, 0}}},
		{objectives.BatchContrastive{Margin: 1, Balanced: true}, plain, // the same, two pairs of each kind
			(0.5 + 0 + 2 + 0.125) / 4, vectors{"distances": {1. / 4, 0, 0 /**/, 1. / 2, -1. / 8, 0}}},
		{objectives.BatchCrossEntropy{}, odds, // p = 1/2, 1/4, 1/2, 1/3
			(ln2 + math.Log(4./3) + ln2 + math.Log(3./2)) / 4,
			vectors{"distances": {1. / 8, -1. / 16, 0 /**/, 1. / 8, -1. / 12, 0}, "head.bias": {-1./4 + 1./16 + 1./12}}},
		{objectives.BatchAll{Margin: 1}, plain, // 0.5 and 2.5
			1.5, vectors{"distances": {1. / 2, -1. / 2, 0 /**/, 1. / 2, -1. / 2, 0}}},
		{objectives.BatchHard{Margin: 1}, plain,
			1.5, vectors{"distances": {1. / 2, -1. / 2, 0 /**/, 1. / 2, -1. / 2, 0}}},
		{objectives.SemiHard{Margin: 1}, plain, // anchor 1's negative is nearer than its positive
			0.5, vectors{"distances": {1, -1, 0 /**/, 0, 0, 0}}},
		{objectives.BatchRatio{Scale: 1}, odds, // σ = 1/4 and 1/3; the slope is 2·σ²(1 − σ)
			(1./16 + 1./9) / 2, vectors{"distances": {3. / 64, -3. / 64, 0 /**/, 2. / 27, -2. / 27, 0}}},
		{objectives.NPair{Temperature: 1}, odds, (math.Log(4./3) + math.Log(3./2)) / 2, half},
		{objectives.NCA{Temperature: 1}, odds, (math.Log(4./3) + math.Log(3./2)) / 2, half},
		{objectives.SupervisedContrastive{Temperature: 1}, odds, (math.Log(4./3) + math.Log(3./2)) / 2, half},
		{objectives.Prototypical{Temperature: 1}, vectors{"distances": odds["distances"], "among": make([]float64, 9)},
			(math.Log(4./3) + math.Log(3./2)) / 2, vectors{"distances": half["distances"], "among": make([]float64, 9)}},
	} {
		t.Run(fmt.Sprintf("%T%+v", test.loss, test.loss), func(t *testing.T) {
			found := referencesLoss(t, test.loss, 0, test.distances, labels, r)
			near := cmpopts.EquateApprox(0, 1e-15)
			if diff := cmp.Diff(test.cost, found.cost, near); diff != "" {
				t.Errorf("cost: %s", diff)
			}
			if diff := cmp.Diff(test.gradients, found.gradients, near); diff != "" {
				t.Errorf("gradients: %s", diff)
			}
		})
	}
}

// The prototype of two references is 1 from the anchor: (2 + 2)/2 − 2·4/(2·2²).
func TestWorkedPrototypeOfTwoReferences(t *testing.T) {
	found := referencesLoss(t, objectives.Prototypical{Temperature: 1}, 0, map[string][]float64{
		"distances": {2, 2, 1}, "among": {0, 4, 9, 4, 0, 9, 9, 9, 0},
	}, []float64{1}, &references{labels: []float64{1, 1, 2}})
	if math.Abs(found.cost-math.Ln2) > 1e-15 {
		t.Errorf("cost %v, want log 2: both classes are at distance 1", found.cost)
	}
	want := map[string][]float64{
		"distances": {1. / 4, 1. / 4, -1. / 2},
		"among":     {0, -1. / 16, 0 /**/, -1. / 16, 0, 0 /**/, 0, 0, 0},
	}
	if diff := cmp.Diff(want, found.gradients, cmpopts.EquateApprox(0, 1e-15)); diff != "" {
		t.Errorf("gradients: %s", diff)
	}
}
