package likeness

import (
	"fmt"
	"maps"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/quantized"
	"github.com/pkg/errors"
)

// Model is a network with everything that is needed to use it: the preprocessing of
// images, the distance between embeddings and, once calibrated, the decision threshold.
// Its fields are read while it embeds; set them before it is shared between goroutines.
//
// A model is made by New or Load. The methods of a nil model, or of one that lacks a
// field, return an error. A panic of a user-defined backbone, head or image becomes an
// error, too.
type Model struct {
	Backbone      backbone.Backbone
	Head          heads.Head
	Preprocessing imaging.Preprocessing
	Weights       *graph.Weights
	// Threshold is the largest distance at which two images are considered the same; nil
	// until it is calibrated.
	Threshold *float64
	// HalfPrecision makes Save write the weights, except those of batch norm, as half-precision
	// numbers, in half the space. The weights must be such numbers: use RoundToHalf, which
	// sets it, and measure the threshold afterwards.
	HalfPrecision bool
	// Quantized, unless it is nil, is the network in integers that embeds images, see Quantize.
	// Backbone then has its blocks, and Weights are those of the head only.
	Quantized *quantized.Network

	probe    *probe // of the file that it was loaded from; nil where that has none
	programs programs
}

// New returns an untrained model with weights initialized from the seed. The size in the
// preprocessing must be the backbone's input size.
func New(network backbone.Backbone, head heads.Head, preprocessing imaging.Preprocessing, seed uint64) (*Model, error) {
	// Two batch sizes reveal a backbone or a head whose result does not have the batch size.
	return build(network, head, preprocessing, graph.NewWeights(graph.Float32, seed), nil, 2, 3)
}

// build is New with empty weights, which it fills by building the graph for the given batch sizes. With
// a network in integers they are those of the head.
func build(network backbone.Backbone, head heads.Head, preprocessing imaging.Preprocessing, weights *graph.Weights, integers *quantized.Network, batches ...int) (m *Model, err error) {
	defer func() {
		caught(recover(), &err)
		if err != nil {
			m, err = nil, errors.Wrap(err, "new model")
		}
	}()
	m = &Model{Backbone: network, Head: head, Preprocessing: preprocessing, Weights: weights, Quantized: integers}
	if err := m.check(); err != nil {
		return nil, err
	}
	// Weights are created when a graph first uses them.
	features := map[int]bool{}
	for _, batch := range batches {
		program, err := graph.Build(m.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			var embeddings *graph.Node
			if integers == nil {
				embeddings = m.embed(b, batch)
			} else {
				embeddings = b.Input("embeddings", batch, integers.Features())
			}
			if features[embeddings.Shape()[1]] = true; len(features) > 1 {
				b.Fail("backbone %T: its method Embed gives as many features as %v, depending on the batch size, expected one number", network, slices.Sorted(maps.Keys(features)))
			}
			distances := head.Pairwise(b, embeddings, embeddings)
			if distances == nil || distances.Dims() != 2 || distances.Shape()[0] != batch || distances.Shape()[1] != batch {
				b.Fail("head %T: its method Pairwise gives %s for embeddings of shape %v, expected distances of shape (%d, %d)",
					head, shapeOf(distances), embeddings.Shape(), batch, batch)
			}
			return graph.Outputs{"embeddings": embeddings, "distances": distances}
		})
		if err != nil {
			return nil, err
		}
		if err := program.Close(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// check returns an error if a model lacks a part that New and Load set.
func (m *Model) check() error {
	switch {
	case m == nil:
		return errors.New("the model is nil, expected one of New or Load")
	case m.Backbone == nil:
		return errors.New("the model has no Backbone, expected a network of package backbone or one of your own")
	case m.Head == nil:
		return errors.New("the model has no Head, expected one of package heads or of your own")
	case m.Weights == nil:
		return errors.New("the model has no Weights, expected those that New or Load gave it")
	}
	if err := m.Preprocessing.Validate(); err != nil {
		return err
	}
	if size := m.Backbone.Input(); m.Preprocessing.Size != size {
		return errors.Errorf("the backbone takes images of %v, the preprocessing makes %v", size, m.Preprocessing.Size)
	}
	return m.checkQuantized()
}

// caught makes an error of what was recovered from a panic.
func caught(r any, err *error) {
	if r != nil {
		*err = errors.Errorf("a panic, possibly of a user-defined backbone, head or image: %v", r)
	}
}

// embed draws the backbone on an input of the given number of images. It fails
// where the backbone does not give one row for each.
func (m *Model) embed(b *graph.Builder, batch int) *graph.Node {
	size := m.Preprocessing.Size
	embeddings := m.Backbone.Embed(b, b.Input("images", batch, size.Height, size.Width, size.Channels))
	if embeddings == nil || embeddings.Dims() != 2 || embeddings.Shape()[0] != batch {
		b.Fail("backbone %T: its method Embed gives %s for a batch of %d images, expected embeddings of shape (%d, features)",
			m.Backbone, shapeOf(embeddings), batch, batch)
	}
	return embeddings
}

// shapeOf describes a node in errors.
func shapeOf(node *graph.Node) string {
	if node == nil {
		return "no node"
	}
	return fmt.Sprint("shape ", node.Shape())
}

// Metric returns the model's distance for package evaluate: the same function as its head
// in a graph.
func (m *Model) Metric() (metric evaluate.Metric, err error) {
	defer func() {
		caught(recover(), &err)
		err = errors.Wrap(err, "metric")
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	return heads.DistanceOf(m.Head, m.Weights)
}
