package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
)

// What a file says of itself: its versions, its inputs and outputs, and what the
// images must be.
func TestDocumentation(t *testing.T) {
	model := threeFeatures(t, heads.L1{})
	threshold := 0.25
	model.Threshold = &threshold
	model.Preprocessing.Crop = &imaging.Crop{Margin: 1.15, MinSide: 0.38}
	network, err := onnx.Network(model)
	if err != nil {
		t.Fatal(err)
	}
	head, err := onnx.Head(model)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, value := range append(append(append(network.Inputs, network.Outputs...), head.Inputs...), head.Outputs...) {
		values = append(values, value.String())
	}
	want := []string{"images (batch, 1, 2, 2)", "embeddings (batch, 3)", "left (batch, 3)", "right (batch, 3)", "distance (batch)"}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	for _, written := range []*onnx.Model{network, head} {
		file := decode(t, written)
		if file.version != 8 || file.operators != 18 {
			t.Errorf("%s is of format %d and operator set %d, want 8 and 18", file.graph, file.version, file.operators)
		}
		for key, texts := range map[string][]string{
			"likeness.input":         {"float32 from 0, black, to 255", "exchanges black and white itself"},
			"likeness.crop":          {"127 or darker", "1.15 times", "0.38 of", "white, 255", "2 × 2 pixels"},
			"likeness.preprocessing": {`"invert":true`},
			"likeness.head":          {"l1"},
			"likeness.threshold":     {"0.25"},
		} {
			for _, text := range texts {
				if !strings.Contains(file.metadata[key], text) {
					t.Errorf("%s of %s: want %q in %q", key, file.graph, text, file.metadata[key])
				}
			}
		}
	}
	if file := decode(t, network); file.docs[onnx.Images] != network.Inputs[0].Doc || !strings.Contains(network.Inputs[0].Doc, "cut to the ink") {
		t.Errorf("the input's documentation is %q", file.docs[onnx.Images])
	}
	if file := decode(t, head); !strings.Contains(file.docs[onnx.Distance], "Up to 0.25 two images count as the same") {
		t.Errorf("the distance's documentation is %q", file.docs[onnx.Distance])
	}
}

// The metadata say how the center is cropped, and an import reads it again.
func TestShorterSide(t *testing.T) {
	model := threeFeatures(t, heads.L1{})
	model.Preprocessing.ShorterSide = 3
	written, err := onnx.Network(model)
	if err != nil {
		t.Fatal(err)
	}
	metadata := decode(t, written).metadata
	for key, want := range map[string]string{"likeness.input": "the shorter side has 3 pixels", "likeness.preprocessing": `"shorter_side":3`} {
		if !strings.Contains(metadata[key], want) {
			t.Errorf("%s: expected %q in %q", key, want, metadata[key])
		}
	}
}

// A model that does not cut says nothing of it.
func TestNoCrop(t *testing.T) {
	written, err := onnx.Network(threeFeatures(t, heads.L1{}))
	if err != nil {
		t.Fatal(err)
	}
	metadata := decode(t, written).metadata
	for _, key := range []string{"likeness.crop", "likeness.threshold"} {
		if text, found := metadata[key]; found {
			t.Errorf("%s is %q, want none", key, text)
		}
	}
}

// A file is what WriteTo writes; equal models are equal files.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "network.onnx")
	var contents [2]bytes.Buffer
	for i := range contents {
		written, err := onnx.Network(threeFeatures(t, heads.Cosine{}))
		if err != nil {
			t.Fatal(err)
		}
		n, err := written.WriteTo(&contents[i])
		if err != nil || n != int64(contents[i].Len()) {
			t.Errorf("wrote %d bytes and said %d, %v", contents[i].Len(), n, err)
		}
		if err := written.WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(contents[0].Bytes(), contents[1].Bytes()) || !bytes.Equal(contents[0].Bytes(), file) {
		t.Error("equal models are not equal files")
	}
}

// ownBackbone and ownHead are as a user may write them, ownBlock too.
type (
	ownBackbone struct{ backbone.Network }
	ownHead     struct{ heads.L2 } // with a distance that is a function only
	ownBlock    struct{ graph.Flatten }
)

func (ownHead) Distance(*graph.Weights) (heads.Distance, error) {
	return heads.FromFunc("own", func(x, y []float32) float64 { return 0 })
}

func TestRefusals(t *testing.T) {
	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	flatten := backbone.Network{Name: "test", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	blockless := flatten
	blockless.Blocks = []graph.Block{ownBlock{}}
	untrained := threeFeatures(t, heads.WeightedL1{})
	untrained.Weights = graph.NewWeights(graph.Float32, 1)
	for name, test := range map[string]struct {
		write func(*likeness.Model) (*onnx.Model, error)
		model *likeness.Model
		want  []string
	}{
		"backbone": {onnx.Network, newModel(t, ownBackbone{flatten}, heads.L2{}), []string{"onnx_test.ownBackbone", "list of blocks"}},
		"block":    {onnx.Network, newModel(t, blockless, heads.L2{}), []string{"backbone test", "flatten1", "onnx_test.ownBlock"}},
		"head":     {onnx.Head, newModel(t, flatten, ownHead{}), []string{"own:l2", "onnx_test.ownHead", "has no form", "heads.FromForm"}},
		"weights":  {onnx.Head, untrained, []string{`no "head.weight"`}},
	} {
		if _, err := test.write(test.model); err == nil {
			t.Errorf("%s: found no error", name)
		} else {
			for _, text := range test.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%s: found error %v, want %q in it", name, err, text)
				}
			}
		}
	}
}

// The head of a user-defined backbone can be written: it sees embeddings only.
func TestHeadOfOwnBackbone(t *testing.T) {
	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	own := ownBackbone{backbone.Network{Name: "own", Size: size, Blocks: []graph.Block{graph.Flatten{}}}}
	written, err := onnx.Head(newModel(t, own, heads.L2{}))
	if err != nil {
		t.Fatal(err)
	}
	if found, want := written.Inputs[0].String(), "left (batch, 4)"; found != want {
		t.Errorf("found the input %s, want %s", found, want)
	}
}
