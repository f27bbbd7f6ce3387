package likeness

import (
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Model is a network with what is needed to use it: how images are prepared,
// how embeddings are compared and, once calibrated, from which distance on two
// images count as different. Its fields are read while it embeds; set them
// before it is shared between goroutines.
type Model struct {
	Backbone      backbone.Backbone
	Head          heads.Head
	Preprocessing imaging.Preprocessing
	Weights       *graph.Weights
	// Threshold is the distance up to which two images count as the same; nil
	// until it is calibrated.
	Threshold *float64

	probe    *probe // of the file that it was loaded from; nil where that has none
	programs programs
}

// New is an untrained model: weights are drawn from the seed. The
// preprocessing's size must be the backbone's.
func New(backbone backbone.Backbone, head heads.Head, preprocessing imaging.Preprocessing, seed uint64) (*Model, error) {
	if err := preprocessing.Validate(); err != nil {
		return nil, errors.Wrap(err, "new model: preprocessing")
	}
	if preprocessing.Size != backbone.Input() {
		return nil, errors.Errorf("new model: the backbone takes images of %v, the preprocessing makes %v", backbone.Input(), preprocessing.Size)
	}
	m := &Model{Backbone: backbone, Head: head, Preprocessing: preprocessing, Weights: graph.NewWeights(graph.Float32, seed)}
	// Weights come into being when a graph first asks for them.
	program, err := graph.Build(m.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		embeddings := m.embed(b, 2)
		return graph.Outputs{"embeddings": embeddings, "distances": head.Matrix(b, embeddings)}
	})
	if err != nil {
		return nil, errors.Wrap(err, "new model")
	}
	return m, program.Close()
}

// embed draws the backbone on an input of the given number of images.
func (m *Model) embed(b *graph.Builder, batch int) *graph.Node {
	size := m.Backbone.Input()
	return m.Backbone.Embed(b, b.Input("images", batch, size.Height, size.Width, size.Channels))
}

// Metric is the model's distance as package evaluate takes it: the same
// function as its head in a graph.
func (m *Model) Metric() (evaluate.Metric, error) {
	distance, err := m.Head.Distance(m.Weights)
	if err != nil {
		return nil, err
	}
	switch m.Head.(type) {
	case heads.L2:
		return evaluate.Euclidean{}, nil
	case heads.SquaredL2:
		return evaluate.SquaredEuclidean{}, nil
	case heads.L1:
		return evaluate.Manhattan{}, nil
	case heads.Cosine:
		return evaluate.Cosine{}, nil
	case heads.WeightedL1:
		return evaluate.WeightedManhattan{Weights: distance.Weights}, nil
	}
	return evaluate.MetricFunc(distance.Between), nil
}
