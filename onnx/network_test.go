package onnx_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/onnx"
)

const tolerance = 1e-4

// newModel is a model of the network with weights at which nothing is hidden,
// and with all of the preprocessing that a graph can hold.
func newModel(t *testing.T, network backbone.Backbone, head heads.Head) *likeness.Model {
	t.Helper()
	preprocessing := imaging.Preprocessing{
		Size: network.Input(), Invert: true,
		Mean: []float64{0.3, 0.5, 0.2}[:network.Input().Channels], StdDev: []float64{0.4, 0.25, 0.5}[:network.Input().Channels],
	}
	model, err := likeness.New(network, head, preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	gradcheck.Perturb(model.Weights, t.Name())
	return model
}

// expectSameEmbeddings compares the written network with the model on a few
// images of noise.
func expectSameEmbeddings(t *testing.T, model *likeness.Model) {
	t.Helper()
	written, err := onnx.Network(model)
	if err != nil {
		t.Fatal(err)
	}
	const count = 3
	size := model.Preprocessing.Size
	noise := random.New(1, "pixels")
	images := newArray(count, size.Channels, size.Height, size.Width)
	var pixels [][]uint8
	for range count {
		image := make([]uint8, size.Len())
		for i := range image {
			image[i] = uint8(noise.IntN(256))
			// The model has seen the image prepared but for its normalization, so
			// inverted; the file inverts it itself.
			raw := float64(image[i])
			if model.Preprocessing.Invert {
				raw = 255 - raw
			}
			pixel, channel := i/size.Channels, i%size.Channels
			images.data[len(pixels)*size.Len()+channel*size.Height*size.Width+pixel] = raw
		}
		pixels = append(pixels, image)
	}
	want, err := model.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	found := decode(t, written).evaluate(t, map[string]array{onnx.Images: images})[onnx.Embeddings]
	if diff := cmp.Diff([]int{count, len(want[0])}, found.shape); diff != "" {
		t.Fatalf("shape of the embeddings (-model +file):\n%s", diff)
	}
	for i, v := range found.data {
		w := float64(want[i/len(want[0])][i%len(want[0])])
		if !(math.Abs(v-w) <= tolerance*max(1, math.Abs(w))) {
			t.Fatalf("embedding %d, feature %d is %v in the file, %v in the model", i/len(want[0]), i%len(want[0]), v, w)
		}
	}
}

// narrowed are the named backbones with the widths of wide ones divided.
var narrowed = map[string]int{"koch": 32, "hoffer-mnist": 8, "hoffer-cifar": 16, "digits": 8, "conv7": 4, "residual": 4, "conv4": 4}

func TestNetworks(t *testing.T) {
	for _, name := range backbone.Names {
		t.Run(name, func(t *testing.T) {
			options := backbone.Options{BatchNorm: name == "conv4"}
			published := slices.Contains(backbone.Published, name)
			if published { // the interpreter is slow
				options.Size = imaging.Size{Height: 33, Width: 33, Channels: 3}
			}
			network, err := backbone.Named(name, options)
			if err != nil {
				t.Fatal(err)
			}
			if published {
				network = network.Narrow(16)
			}
			if divisor := narrowed[name]; divisor > 0 {
				network = network.Narrow(divisor)
			}
			model := newModel(t, network, heads.L2{})
			expectSameEmbeddings(t, model)
			expectSameImport(t, model)
		})
	}
}

// Every kind of block is written, in each of its forms.
func TestBlocks(t *testing.T) {
	conv := graph.Conv{Filters: 4, Kernel: 3, Padding: 1}
	norm := graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true}
	tests := map[string][]graph.Block{
		"stride":                         {graph.Conv{Filters: 4, Kernel: 3, Stride: 2, Padding: 2, NoBias: true}, graph.Flatten{}},
		"same padding":                   {graph.Conv{Filters: 4, Kernel: 3, Stride: 2, SamePadding: true}, graph.Conv{Filters: 3, Kernel: 2, SamePadding: true}, graph.Flatten{}},
		"depthwise":                      {graph.Conv{Filters: 6, Kernel: 3, Padding: 1, Groups: 3, BatchNorm: true, Activation: "relu"}, graph.Conv{Filters: 6, Kernel: 5, Stride: 2, SamePadding: true, Groups: 6}, graph.Flatten{}},
		"groups":                         {graph.Conv{Filters: 4, Kernel: 1}, graph.Conv{Filters: 6, Kernel: 3, Groups: 2}, graph.Flatten{}},
		"bias before norm":               {norm, graph.Flatten{}},
		"order within a block":           {graph.Conv{Filters: 4, Kernel: 3, BatchNorm: true, Activation: "prelu", Pool: 2}, graph.Flatten{}},
		"norm of images":                 {conv, graph.BatchNorm{}, graph.Flatten{}},
		"norm of vectors":                {graph.Flatten{}, graph.BatchNorm{}},
		"activations":                    {conv, graph.Activate{Function: "tanh"}, graph.Activate{Function: "sigmoid"}, graph.Activate{}, graph.Activate{Function: "relu"}, graph.Flatten{}},
		"prelu of images":                {conv, graph.Activate{Function: "prelu"}, graph.Flatten{}},
		"prelu of vectors":               {graph.Flatten{}, graph.Activate{Function: "prelu"}},
		"overlapping max pool":           {conv, graph.MaxPool{Size: 3, Stride: 2}, graph.Flatten{}},
		"max pool drops a row":           {conv, graph.MaxPool{Size: 4}, graph.Flatten{}},
		"average pool":                   {conv, graph.AveragePool{Size: 3, Stride: 2}, graph.Flatten{}},
		"trainable average":              {conv, graph.AveragePool{Size: 2, Trainable: true}, graph.Flatten{}},
		"trainable average of one pixel": {graph.Conv{Filters: 2, Kernel: 6, Stride: 2}, graph.AveragePool{Size: 1, Trainable: true}, graph.Flatten{}},
		"global average":                 {conv, graph.GlobalAveragePool{}},
		"dropout at the end":             {conv, graph.Flatten{}, graph.Dropout{Rate: 0.5}},
		"linear":                         {graph.Flatten{}, graph.Linear{Units: 5, Activation: "prelu"}, graph.Linear{Units: 3, NoBias: true, Activation: "tanh"}},
		"normalize":                      {graph.Flatten{}, graph.Normalize{}, graph.Linear{Units: 3}, graph.Normalize{}},
		"new activations": {conv, graph.Activate{Function: "silu"}, graph.Activate{Function: "gelu"}, graph.Conv{Filters: 4, Kernel: 1, Activation: "relu6"},
			graph.Activate{Function: "hardswish"}, graph.Activate{Function: "hardsigmoid"}, graph.Flatten{}},
		"gelu of vectors":        {graph.Flatten{}, graph.Linear{Units: 5, Activation: "gelu"}},
		"silu, then pool":        {graph.Conv{Filters: 4, Kernel: 3, BatchNorm: true, Activation: "silu", Pool: 2}, graph.Flatten{}},
		"epsilon":                {graph.Conv{Filters: 4, Kernel: 3, BatchNorm: true, Epsilon: 0.3, Activation: "relu6"}, graph.BatchNorm{Epsilon: 0.2}, graph.Flatten{}},
		"padded max pool":        {conv, graph.MaxPool{Size: 3, Stride: 2, Padding: 1}, graph.Flatten{}},
		"gem":                    {conv, graph.GeM{Exponent: 2, Epsilon: 0.1}},
		"layer norm of images":   {conv, graph.LayerNorm{}, graph.Flatten{}},
		"layer norm of vectors":  {graph.Flatten{}, graph.LayerNorm{Epsilon: 0.1}},
		"scale of images":        {conv, graph.Scale{Initial: 0.5}, graph.Flatten{}},
		"scale of vectors":       {graph.Flatten{}, graph.Scale{}},
		"squeeze-and-excite":     {conv, graph.SqueezeExcite{Channels: 3}, graph.Flatten{}},
		"silu and hard gate":     {conv, graph.SqueezeExcite{Channels: 2, Activation: "silu", Gate: "hardsigmoid"}, graph.Flatten{}},
		"stochastic depth":       {conv, graph.Residual{Body: []graph.Block{conv, graph.Scale{}}, Drop: 0.5}, graph.Flatten{}},
		"residual":               {conv, graph.Residual{Body: []graph.Block{norm, norm}, Activation: "prelu", Pool: 2}, graph.Flatten{}},
		"residual of vectors":    {graph.Flatten{}, graph.Linear{Units: 4}, graph.Residual{Body: []graph.Block{graph.Linear{Units: 4, Activation: "prelu"}}}},
		"shortcut":               {graph.Residual{Body: []graph.Block{conv}, Shortcut: []graph.Block{graph.Conv{Filters: 4, Kernel: 1}}}, graph.Flatten{}},
		"residual in a residual": {conv, graph.Residual{Body: []graph.Block{graph.Residual{Body: []graph.Block{conv}}, conv}}, graph.Flatten{}},
		"residual of nothing":    {graph.Residual{}, graph.Flatten{}},
	}
	drawn := map[string]bool{}
	for name, blocks := range tests {
		t.Run(name, func(t *testing.T) {
			network := backbone.Network{Name: "test", Size: imaging.Size{Height: 7, Width: 6, Channels: 3}, Blocks: blocks}
			model := newModel(t, network, heads.L2{})
			expectSameEmbeddings(t, model)
			expectSameImport(t, model)
			spec, err := network.Spec()
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range spec.Blocks {
				drawn[block.Kind] = true
			}
		})
	}
	for _, kind := range backbone.Kinds {
		if !drawn[kind] {
			t.Errorf("no case has a block of kind %s", kind)
		}
	}
}

// Weights of float64 are rounded.
func TestFloat64(t *testing.T) {
	model := threeFeatures(t, heads.L2{})
	model.Weights = model.Weights.Convert(graph.Float64)
	expectSameEmbeddings(t, model)
	expectSameImport(t, model)
}

// A graph must have a name, a network need not.
func TestNameless(t *testing.T) {
	network := backbone.Network{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Blocks: []graph.Block{graph.Flatten{}}}
	written, err := onnx.Network(newModel(t, network, heads.L2{}))
	if err != nil {
		t.Fatal(err)
	}
	if found := decode(t, written).graph; found != "network" {
		t.Errorf("the graph is named %q", found)
	}
}

// The zero vector and vectors of any length are normalized as in the model.
func TestNormalizeOfAnyLength(t *testing.T) {
	size := imaging.Size{Height: 1, Width: 2, Channels: 1}
	for _, scale := range []float32{0, 1e-30, 1, 1e30} {
		t.Run(fmt.Sprint(scale), func(t *testing.T) {
			network := backbone.Network{Name: "test", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2, NoBias: true}, graph.Normalize{}}}
			model := newModel(t, network, heads.L2{})
			weight := model.Weights.Get("linear1.weight").Value.Data().([]float32)
			copy(weight, []float32{3 * scale, 0, 0, -4 * scale})
			expectSameEmbeddings(t, model)
			expectSameImport(t, model)
		})
	}
}

// Preprocessing is in the graph, whichever part of it there is.
func TestPreprocessing(t *testing.T) {
	size := imaging.Size{Height: 2, Width: 3, Channels: 3}
	for name, preprocessing := range map[string]imaging.Preprocessing{
		"none":      {Size: size},
		"inversion": {Size: size, Invert: true},
		"mean":      {Size: size, Mean: []float64{0.1, 0.5, 0.9}},
		"deviation": {Size: size, StdDev: []float64{0.1, 0.5, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			network := backbone.Network{Name: "test", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
			model, err := likeness.New(network, heads.L2{}, preprocessing, 1)
			if err != nil {
				t.Fatal(err)
			}
			expectSameEmbeddings(t, model)
			expectSameImport(t, model)
		})
	}
}
