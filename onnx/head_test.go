package onnx_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
)

// pairs are embeddings with all that a distance may stumble over.
var pairs = []struct{ left, right []float32 }{
	{[]float32{1, -2, 3}, []float32{-0.5, 2, 1}},
	{[]float32{1, -2, 3}, []float32{1, -2, 3}}, // equal
	{[]float32{1, -2, 3}, []float32{2, -4, 6}}, // of one direction
	{[]float32{0, 0, 0}, []float32{1, -2, 3}},
	{[]float32{0, 0, 0}, []float32{0, 0, 0}},
	{[]float32{1e-4, 0, 0}, []float32{0, 1e-4, 0}},
	{[]float32{1e4, 0, 0}, []float32{0, -1e4, 0}},
}

// threeFeatures is a model whose embeddings have three features.
func threeFeatures(t *testing.T, head heads.Head) *likeness.Model {
	t.Helper()
	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	return newModel(t, backbone.Network{Name: "test", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}}, head)
}

// evaluateHead gives the outputs of the written head on the pairs.
func evaluateHead(t *testing.T, model *likeness.Model) map[string]array {
	t.Helper()
	written, err := onnx.Head(model)
	if err != nil {
		t.Fatal(err)
	}
	left, right := newArray(len(pairs), 3), newArray(len(pairs), 3)
	for i, pair := range pairs {
		for j := range 3 {
			left.data[3*i+j], right.data[3*i+j] = float64(pair.left[j]), float64(pair.right[j])
		}
	}
	return decode(t, written).evaluate(t, map[string]array{onnx.Left: left, onnx.Right: right})
}

func TestHeads(t *testing.T) {
	tested := map[string]heads.Head{}
	for _, name := range heads.Names {
		head, err := heads.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		tested[name] = head
	}
	// User-defined heads that have a form.
	tested["scaled l2"] = formedHead{form: heads.Form{Power: 2, Scale: 9, Root: true}}
	tested["scaled l1"] = formedHead{form: heads.Form{Power: 1, Scale: 0.5}}
	tested["root of l1"] = formedHead{form: heads.Form{Power: 1, Root: true}}
	tested["weighted squares"] = formedHead{form: heads.Form{Power: 2, Weights: []float32{1, -2, 0.5}}}
	tested["root of weighted squares"] = formedHead{form: heads.Form{Power: 2, Weights: []float32{1, 2, 0.5}, Scale: 3, Root: true}}
	tested["chord"] = formedHead{form: heads.Form{Normalize: true, Power: 2, Root: true}}
	for name, head := range tested {
		t.Run(name, func(t *testing.T) {
			model := threeFeatures(t, head)
			distance, err := head.Distance(model.Weights)
			if err != nil {
				t.Fatal(err)
			}
			outputs := evaluateHead(t, model)
			found := outputs[onnx.Distance]
			if diff := cmp.Diff([]int{len(pairs)}, found.shape); diff != "" || len(outputs) != 1 {
				t.Fatalf("%d outputs, shape of the distances (-want +got):\n%s", len(outputs), diff)
			}
			for i, pair := range pairs {
				want := distance.Between(pair.left, pair.right)
				if !(math.Abs(found.data[i]-want) <= 1e-6*max(1, math.Abs(want))) {
					t.Errorf("the distance of %v and %v is %v, want %v", pair.left, pair.right, found.data[i], want)
				}
			}
		})
	}
}

// formedHead is a user-defined head that has a form.
type formedHead struct {
	heads.L2
	form heads.Form
}

func (h formedHead) Distance(*graph.Weights) (heads.Distance, error) {
	return heads.FromForm("formed", h.form)
}

// A model that was trained with a cross-entropy also says how probable it is
// that two images are of one class: σ(bias − distance).
func TestProbability(t *testing.T) {
	model := threeFeatures(t, heads.WeightedL1{Signed: true})
	const bias = 0.75
	if err := model.Weights.Add("head.bias", graph.Bias, []int{1}, []float64{bias}); err != nil {
		t.Fatal(err)
	}
	outputs := evaluateHead(t, model)
	for i, distance := range outputs[onnx.Distance].data {
		want := 1 / (1 + math.Exp(distance-bias))
		if found := outputs[onnx.Probability].data[i]; math.Abs(found-want) > 1e-6 {
			t.Errorf("at the distance %v the probability is %v, want %v", distance, found, want)
		}
	}
	if diff := cmp.Diff([]int{len(pairs)}, outputs[onnx.Probability].shape); diff != "" {
		t.Errorf("shape of the probabilities (-want +got):\n%s", diff)
	}
}
