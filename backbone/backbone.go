package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Backbone is an embedding network.
type Backbone interface {
	// Input is the size of the input images.
	Input() imaging.Size
	// Embed adds the network to the graph: images (batch, height, width,
	// channels) to embeddings (batch, features). Every call on one Builder
	// uses the same weights.
	Embed(b *graph.Builder, images *graph.Node) *graph.Node
}

// Network is a backbone that consists of a list of blocks. In the names of its weights,
// the blocks of each kind are numbered from 1: "conv1.weight", "norm1.bias",
// "linear2.weight".
type Network struct {
	Name   string
	Size   imaging.Size
	Blocks []graph.Block
}

// Input returns the size of the input images.
func (n Network) Input() imaging.Size { return n.Size }

// Embed adds the network to the graph. It fails if the images do not have the size of
// the network, or if the result of the last block is not (batch, features).
func (n Network) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	shape := images.Shape()
	if shape.Dims() != 4 || shape[1] != n.Size.Height || shape[2] != n.Size.Width || shape[3] != n.Size.Channels {
		b.Fail("backbone %s: found images of shape %v, expected (batch, %d, %d, %d)", n.Name, shape, n.Size.Height, n.Size.Width, n.Size.Channels)
	}
	embeddings := b.Sequence(n.Blocks, images)
	if embeddings.Dims() != 2 {
		b.Fail("backbone %s: the last block has the shape %v, expected (batch, features): end with flatten, globalaveragepool or linear", n.Name, embeddings.Shape())
	}
	return embeddings
}

// Narrow returns the network with the widths of all layers divided by divisor, but at
// least 2, for tests and small machines. The layers have the default initializers,
// because standard deviations that were chosen for the full widths are too small for
// narrow layers. A depthwise convolution stays one, and other convolutions keep as many of
// their groups as divide the channels and the filters.
func (n Network) Narrow(divisor int) Network {
	n.Name += "-narrow"
	n.Blocks, _ = narrow(n.Blocks, divisor, channels{n.Size.Channels, n.Size.Channels})
	return n
}

// channels is the number of channels of a block's input in a network and in its narrow form.
type channels struct{ before, after int }

// narrow returns the narrow blocks and the channels of their result.
func narrow(blocks []graph.Block, divisor int, in channels) ([]graph.Block, channels) {
	var narrowed []graph.Block
	for _, block := range blocks {
		switch b := block.(type) {
		case graph.Conv:
			b.Weight, b.Bias = graph.Initializer{}, graph.Initializer{}
			block, in = narrowConv(b, divisor, in)
		case graph.Linear:
			before := b.Units
			b.Units, b.Weight, b.Bias = max(b.Units/divisor, 2), graph.Initializer{}, graph.Initializer{}
			block, in = b, channels{before, b.Units}
		case graph.SqueezeExcite:
			b.Channels = max(b.Channels/divisor, 2)
			block = b
		case graph.Residual:
			b.Shortcut, _ = narrow(b.Shortcut, divisor, in)
			b.Body, in = narrow(b.Body, divisor, in)
			block = b
		}
		narrowed = append(narrowed, block)
	}
	return narrowed, in
}

// narrowConv returns a convolution with fewer filters and the channels of its result.
func narrowConv(c graph.Conv, divisor int, in channels) (graph.Conv, channels) {
	before := c.Filters
	if c.Groups > 1 && c.Groups == in.before { // depthwise
		c.Groups, c.Filters = in.after, c.Filters/in.before*in.after
		return c, channels{before, c.Filters}
	}
	c.Filters = max(c.Filters/divisor, 2)
	for c.Groups > 1 && (in.after%c.Groups != 0 || c.Filters%c.Groups != 0) {
		c.Groups--
	}
	return c, channels{before, c.Filters}
}

// Shape has the embedding dimension of a backbone and the number of its parameters.
type Shape struct {
	Features   int
	Parameters int
}

// ShapeOf builds the backbone with weights of zero and counts features and parameters. It
// returns an error if the shapes of the blocks do not match, or if a user-defined
// backbone panics or does not return embeddings of shape (batch, features).
func ShapeOf(backbone Backbone) (Shape, error) {
	if backbone == nil {
		return Shape{}, errors.New("shape of backbone: found nil, expected a network of this package or one of your own")
	}
	weights := graph.NewZeroWeights(graph.Float32)
	var shape Shape
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := backbone.Input()
		embeddings := backbone.Embed(b, b.Input("images", 1, size.Height, size.Width, size.Channels))
		if embeddings == nil || embeddings.Dims() != 2 {
			b.Fail("backbone %T: its method Embed must return embeddings of shape (batch, features)", backbone)
		}
		shape.Features = embeddings.Shape()[1]
		return graph.Outputs{"embeddings": embeddings}
	})
	if err != nil {
		return Shape{}, errors.Wrap(err, "shape of backbone")
	}
	shape.Parameters = weights.Count()
	return shape, program.Close()
}
