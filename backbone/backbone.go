package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Backbone is an embedding network.
type Backbone interface {
	// Input is the size of the images it takes.
	Input() imaging.Size
	// Embed adds the network to the graph: images (batch, height, width,
	// channels) to embeddings (batch, features). Every call on one Builder
	// binds the same weights.
	Embed(b *graph.Builder, images *graph.Node) *graph.Node
}

// Network is a backbone as a list of blocks. The names of its weights count
// each kind of block from 1: "conv1.weight", "norm1.bias", "linear2.weight".
type Network struct {
	Name   string
	Size   imaging.Size
	Blocks []graph.Block
}

// Input is the size of the images the network takes.
func (n Network) Input() imaging.Size { return n.Size }

// Embed adds the network to the graph. It fails where the images have not the
// network's size or the blocks do not end in (batch, features).
func (n Network) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	shape := images.Shape()
	if shape.Dims() != 4 || shape[1] != n.Size.Height || shape[2] != n.Size.Width || shape[3] != n.Size.Channels {
		b.Fail("backbone %s: found images of shape %v, expected (batch, %d, %d, %d)", n.Name, shape, n.Size.Height, n.Size.Width, n.Size.Channels)
	}
	embeddings := b.Sequence(n.Blocks, images)
	if embeddings.Dims() != 2 {
		b.Fail("backbone %s: the last block gives shape %v, expected (batch, features): end with flatten, globalaveragepool or linear", n.Name, embeddings.Shape())
	}
	return embeddings
}

// Narrow is the network with the widths of all its layers divided, each to at
// least 2: the same layers for checks and small machines. Initial values are
// the usual ones, because deviations that were chosen for the full widths
// leave narrow layers without a signal.
func (n Network) Narrow(divisor int) Network {
	n.Name += "-narrow"
	n.Blocks = narrow(n.Blocks, divisor)
	return n
}

func narrow(blocks []graph.Block, divisor int) []graph.Block {
	var narrowed []graph.Block
	for _, block := range blocks {
		switch b := block.(type) {
		case graph.Conv:
			b.Filters, b.Weight, b.Bias = max(b.Filters/divisor, 2), graph.Initializer{}, graph.Initializer{}
			block = b
		case graph.Linear:
			b.Units, b.Weight, b.Bias = max(b.Units/divisor, 2), graph.Initializer{}, graph.Initializer{}
			block = b
		case graph.Residual:
			b.Body, b.Shortcut = narrow(b.Body, divisor), narrow(b.Shortcut, divisor)
			block = b
		}
		narrowed = append(narrowed, block)
	}
	return narrowed
}

// Shape is what a backbone comes to: the number of features of its embeddings
// and of its parameters.
type Shape struct {
	Features   int
	Parameters int
}

// Measure draws the backbone once on weights of its own and counts. It fails
// where the blocks do not fit together, and where a backbone of the user's own
// panics or gives no embeddings of shape (batch, features).
func ShapeOf(backbone Backbone) (Shape, error) {
	if backbone == nil {
		return Shape{}, errors.New("measure backbone: found nil, expected a network of this package or one of your own")
	}
	weights := graph.NewWeights(graph.Float32, 0)
	var shape Shape
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := backbone.Input()
		embeddings := backbone.Embed(b, b.Input("images", 1, size.Height, size.Width, size.Channels))
		if embeddings == nil || embeddings.Dims() != 2 {
			b.Fail("backbone %T: its method Embed gives no embeddings of shape (batch, features)", backbone)
		}
		shape.Features = embeddings.Shape()[1]
		return graph.Outputs{"embeddings": embeddings}
	})
	if err != nil {
		return Shape{}, errors.Wrap(err, "measure backbone")
	}
	shape.Parameters = weights.Count()
	return shape, program.Close()
}
