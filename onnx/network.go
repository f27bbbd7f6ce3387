package onnx

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The names of the network's input and output.
const (
	Images     = "images"     // (batch, channels, height, width), float32 from 0, black, to 255
	Embeddings = "embeddings" // (batch, features)
)

// errNil is that of a nil model.
var errNil = errors.New("onnx: the model is nil, expected one of likeness.New or likeness.Load")

// Network is the embedding network of a trained model: images to embeddings,
// with inversion and normalisation in the graph, batch norm by the running
// statistics and no dropout. It is an error where the backbone is no list of
// blocks of package graph.
func Network(m *likeness.Model) (*Model, error) {
	if m == nil {
		return nil, errNil
	}
	network, ok := m.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("onnx: the backbone is of type %T, a Go type of its author's own: only a backbone.Network, a list of blocks, can be written", m.Backbone)
	}
	features, err := features(m)
	if err != nil {
		return nil, err
	}
	size := network.Size
	input := Value{Name: Images, Shape: extents(size.Channels, size.Height, size.Width), Doc: describeInput(m.Preprocessing)}
	output := Value{Name: Embeddings, Shape: extents(features), Doc: "One embedding for each image, to be compared by the distance " + heads.Identifier(m.Head) + "."}
	properties, err := describe(m)
	if err != nil {
		return nil, err
	}
	d := draw(m.Weights)
	d.sequence(network.Blocks, d.preprocess(m.Preprocessing, value{name: Images, image: true}))
	d.end(Embeddings)
	written, err := d.model(cmp.Or(network.Name, "network"), []Value{input}, []Value{output}, properties)
	return written, errors.Wrapf(err, "onnx: backbone %s", network.Name)
}

// features is the length of the model's embeddings. One image tells, and
// whether blocks and weights fit together.
func features(m *likeness.Model) (int, error) {
	if m == nil {
		return 0, errNil
	}
	if _, err := m.EmbedPixels(nil); err != nil { // a model that is not whole
		return 0, errors.Wrap(err, "onnx")
	}
	embeddings, err := m.EmbedPixels([][]uint8{make([]uint8, m.Preprocessing.Size.Len())})
	if err != nil {
		return 0, errors.Wrap(err, "onnx")
	}
	return len(embeddings[0]), nil
}

// extents is the shape of so many arrays as a run chooses.
func extents(shape ...int) []string {
	texts := []string{batch}
	for _, extent := range shape {
		texts = append(texts, strconv.Itoa(extent))
	}
	return texts
}

// describe is the metadata of both files.
func describe(m *likeness.Model) ([]property, error) {
	preprocessing, err := json.Marshal(m.Preprocessing)
	if err != nil {
		return nil, errors.Wrap(err, "onnx: preprocessing")
	}
	properties := []property{{"likeness.input", describeInput(m.Preprocessing)}}
	if crop := describeCrop(m.Preprocessing); crop != "" {
		properties = append(properties, property{"likeness.crop", crop})
	}
	properties = append(properties, property{"likeness.preprocessing", string(preprocessing)}, property{"likeness.head", heads.Identifier(m.Head)})
	if m.Threshold != nil {
		properties = append(properties, property{"likeness.threshold", strconv.FormatFloat(*m.Threshold, 'g', -1, 64)})
	}
	return properties, nil
}
