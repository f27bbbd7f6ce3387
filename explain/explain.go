package explain

import (
	"context"
	"image"
	"math"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// ErrUnsupported is the error for a model whose similarity is not a sum over places.
var ErrUnsupported = errors.New("where two images match cannot be shown with this model")

// Map divides the similarity over the places of the last feature map of one image.
type Map struct {
	Height int `json:"height"` // of the last feature map
	Width  int `json:"width"`
	// Values are the contributions of the places to the similarity, (Height, Width) in
	// row-major order. They may be negative.
	Values []float64 `json:"values"`
	// X and Y are the positions of the centers of the Width columns and the Height rows, in
	// pixels from the upper left corner of the image, by the kernels and strides of the layers.
	X []float64 `json:"x"`
	Y []float64 `json:"y"`
	// Area is the part of the image that the network sees.
	Area imaging.Area `json:"area"`
	// ImageWidth and ImageHeight are the size of the image in pixels. That of a large JPEG file may
	// be smaller than the file says, see Preprocessing.ScaledJPEG.
	ImageWidth  int `json:"image_width"`
	ImageHeight int `json:"image_height"`
}

// Explanation divides the similarity of two images. It holds that
//
//	Similarity = Σ A.Values + Bias = Σ B.Values + Bias
//
// except for rounding in float64.
type Explanation struct {
	// Similarity is the cosine similarity of the embeddings, 1 minus the cosine distance, -1
	// to 1. It is computed in float64 from the last feature map, so it differs from that of
	// Model.Compare by rounding.
	Similarity float64 `json:"similarity"`
	// Bias is what no place of one of the images contributes: the products with the biases of the
	// layers after the last feature map; 0 if these have none.
	Bias float64 `json:"bias"`
	A    Map     `json:"a"`
	B    Map     `json:"b"`
}

// Input is an image as an Explainer takes it, see Explainer.Prepare.
type Input struct {
	Pixels        []uint8      // of Preprocessing.Prepare
	Area          imaging.Area // of Preprocessing.Area
	Width, Height int          // of the image in pixels
}

// Explainer explains the similarities that a model finds. Its methods may be called by several
// goroutines, and explain one pair after the other.
type Explainer struct {
	preprocessing imaging.Preprocessing
	pool          pool
	layers        []layer // after the pooling
	rows, columns axis    // the positions of the places
	channels      int     // of the last feature map
	program       *graph.Program
	lent          chan struct{} // has an element while the program is in use
	closed        bool          // changes only while it has
}

// New returns an Explainer of a model. It keeps the weights of the layers after the last feature
// map as they are, so make another one after the weights have changed. A model that cannot be
// explained is an error that wraps ErrUnsupported.
func New(model *likeness.Model) (*Explainer, error) {
	e, err := newExplainer(model)
	return e, errors.Wrap(err, "explain")
}

func newExplainer(model *likeness.Model) (*Explainer, error) {
	if model == nil || model.Backbone == nil || model.Head == nil || model.Weights == nil {
		return nil, errors.New("found a model that is nil or lacks a part, expected one of likeness.New or likeness.Load")
	}
	if err := model.CheckFloat(); err != nil {
		return nil, err
	}
	if err := model.Preprocessing.Validate(); err != nil {
		return nil, err
	}
	if _, ok := model.Head.(heads.Cosine); !ok {
		return nil, errors.Wrapf(ErrUnsupported, "found the head %s, expected cosine, because only the cosine similarity is a sum over pairs of places", heads.Identifier(model.Head))
	}
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Wrapf(ErrUnsupported, "found a backbone of type %T, expected a backbone.Network, whose blocks are known", model.Backbone)
	}
	if size := model.Preprocessing.Size; size != network.Size {
		return nil, errors.Errorf("the backbone takes images of %v, the preprocessing makes %v", network.Size, size)
	}
	at := poolingBlock(network.Blocks)
	if at < 0 {
		return nil, errors.Wrap(ErrUnsupported, "found no block globalaveragepool, gem or flatten, expected one after the last feature map")
	}
	e := &Explainer{preprocessing: model.Preprocessing, lent: make(chan struct{}, 1)}
	var height, width int
	var err error
	e.program, err = graph.Build(model.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := network.Size
		features := b.Sequence(network.Blocks[:at], b.Input("images", 1, size.Height, size.Width, size.Channels))
		shape := features.Shape()
		if shape.Dims() != 4 {
			b.Fail("the input of block %d (%s) has the shape %v, expected (batch, height, width, channels)", at+1, network.Blocks[at].Kind(), shape)
		}
		height, width, e.channels = shape[1], shape[2], shape[3]
		return graph.Outputs{"features": features, "embeddings": b.SequenceFrom(at, network.Blocks, features)}
	})
	if err != nil {
		return nil, err
	}
	if height*width == 1 {
		return nil, errors.Wrap(ErrUnsupported, "found a last feature map of 1 × 1 places, which stands for the whole image, expected several places")
	}
	found := reader{weights: model.Weights, numbers: map[string]int{}}
	found.skip(network.Blocks[:at])
	if e.pool, err = found.pool(network.Blocks[at], height*width, e.channels); err != nil {
		return nil, err
	}
	if e.layers, err = found.layers(network.Blocks[at+1:]); err != nil {
		return nil, err
	}
	e.rows = centers(network.Blocks[:at], network.Size.Height, height)
	e.columns = centers(network.Blocks[:at], network.Size.Width, width)
	return e, nil
}

// poolingBlock is the index of the block that makes a vector of the last feature map, -1 if
// there is none.
func poolingBlock(blocks []graph.Block) int {
	for i := len(blocks) - 1; i >= 0; i-- {
		switch blocks[i].(type) {
		case graph.GlobalAveragePool, graph.GeM, graph.Flatten:
			return i
		}
	}
	return -1
}

// Prepare converts an image, as Preprocessing.Decode returns it, to an Input.
func (e *Explainer) Prepare(img image.Image) (in Input, err error) {
	if e == nil || e.program == nil {
		return Input{}, errNotMade
	}
	if in.Pixels, err = e.preprocessing.Prepare(img); err != nil {
		return Input{}, err
	}
	if in.Area, err = e.preprocessing.Area(img); err != nil {
		return Input{}, err
	}
	in.Width, in.Height = img.Bounds().Dx(), img.Bounds().Dy()
	return in, nil
}

var errNotMade = errors.New("explain: found an Explainer that is nil or zero, expected one of New")

// Explain divides the similarity of two images, as Preprocessing.Decode returns them, over their
// places. It is an error if an image cannot be read, if an embedding is not finite, and if the
// context ends while another pair is explained.
func (e *Explainer) Explain(ctx context.Context, a, b image.Image) (*Explanation, error) {
	var inputs [2]Input
	for i, img := range []image.Image{a, b} {
		in, err := e.Prepare(img)
		if errors.Is(err, errNotMade) {
			return nil, err
		}
		if err != nil {
			return nil, errors.WithMessagef(err, "explain: image %d", i)
		}
		inputs[i] = in
	}
	return e.ExplainInputs(ctx, inputs[0], inputs[1])
}

// ExplainInputs is Explain for images that are converted.
func (e *Explainer) ExplainInputs(ctx context.Context, a, b Input) (*Explanation, error) {
	if e == nil || e.program == nil {
		return nil, errNotMade
	}
	if ctx == nil {
		return nil, errors.New("explain: found no context")
	}
	var images [2]embedded
	for i, in := range []Input{a, b} {
		if want := e.preprocessing.Size.Len(); len(in.Pixels) != want {
			return nil, errors.Errorf("explain: image %d has %d values, expected %d for %v", i, len(in.Pixels), want, e.preprocessing.Size)
		}
		features, err := e.features(ctx, in.Pixels)
		if err != nil {
			return nil, errors.Wrapf(err, "explain: image %d", i)
		}
		images[i] = e.embed(features)
		if !(images[i].norm <= math.MaxFloat64) {
			return nil, errors.Errorf("explain: the embedding of image %d has the norm %v, expected a finite number: the weights or the preprocessing are extreme", i, images[i].norm)
		}
	}
	explanation := &Explanation{A: e.newMap(a), B: e.newMap(b)}
	x, y := images[0], images[1]
	if x.norm == 0 || y.norm == 0 { // the head defines the cosine with the zero vector as 0
		return explanation, nil
	}
	scale := 1 / x.norm / y.norm
	explanation.Similarity = dot(x.embedding, y.embedding) * scale
	explanation.Bias = (dot(x.embedding, y.embedding) - dot(x.linear, y.linear)) * scale
	x.contributions(explanation.A.Values, y.linear, scale)
	y.contributions(explanation.B.Values, x.linear, scale)
	return explanation, nil
}

// features computes the last feature map of an image, (height, width, channels).
func (e *Explainer) features(ctx context.Context, pixels []uint8) ([]float64, error) {
	select {
	case e.lent <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-e.lent }()
	if e.closed {
		return nil, errors.New("the Explainer is closed")
	}
	input := make([]float32, len(pixels))
	e.preprocessing.Normalize(input, pixels)
	if err := e.program.Set("images", input); err != nil {
		return nil, err
	}
	if err := e.program.Run(); err != nil {
		return nil, err
	}
	return e.program.Get("features")
}

// embedded is an image with its embedding in parts.
type embedded struct {
	embedding []float64
	norm      float64   // ‖embedding‖
	linear    []float64 // the embedding without biases: the sum of the parts of all places
	parts     parts
	layers    linearMap // after the pooling
}

// embed computes the embedding from the last feature map.
func (e *Explainer) embed(features []float64) embedded {
	x := embedded{parts: e.pool.divide(features)}
	x.embedding, x.layers = chain(e.layers, x.parts.sum)
	x.linear = x.layers.forward(x.parts.sum)
	x.norm = math.Sqrt(dot(x.embedding, x.embedding))
	return x
}

// contributions writes the product of the part of each place with a vector of embeddings, times
// the scale.
func (x embedded) contributions(values, vector []float64, scale float64) {
	vector = x.layers.adjoint(vector)
	for place := range values {
		values[place] = x.parts.product(place, vector) * scale
	}
}

// newMap is a map of zeros.
func (e *Explainer) newMap(in Input) Map {
	size, area := e.preprocessing.Size, in.Area
	return Map{
		Height: e.rows.count, Width: e.columns.count, Area: area, ImageWidth: in.Width, ImageHeight: in.Height,
		Values: make([]float64, e.rows.count*e.columns.count),
		X:      e.columns.positions(area.Left, (area.Right-area.Left)/float64(size.Width)),
		Y:      e.rows.positions(area.Top, (area.Bottom-area.Top)/float64(size.Height)),
	}
}

// Sum is the sum of the values of a map.
func (m Map) Sum() float64 {
	sum := 0.0
	for _, v := range m.Values {
		sum += v
	}
	return sum
}

// At interpolates the values of a map at a position of the image, in pixels from its upper left
// corner: bilinearly between the centers of the places, and constant outside of them. It is 0 for
// a map without places or whose lengths do not fit.
func (m Map) At(x, y float64) float64 {
	if m.Width < 1 || m.Height < 1 || len(m.Values) != m.Width*m.Height || len(m.X) != m.Width || len(m.Y) != m.Height {
		return 0
	}
	left, right, alongX := between(m.X, x)
	top, bottom, alongY := between(m.Y, y)
	row := func(y int) float64 {
		return (1-alongX)*m.Values[y*m.Width+left] + alongX*m.Values[y*m.Width+right]
	}
	return (1-alongY)*row(top) + alongY*row(bottom)
}

// Close frees the graph of an Explainer, which returns errors afterwards. Calling it is optional,
// since the garbage collector frees the graph with the Explainer.
func (e *Explainer) Close() error {
	if e == nil || e.program == nil {
		return nil
	}
	e.lent <- struct{}{}
	defer func() { <-e.lent }()
	if e.closed {
		return nil
	}
	e.closed = true
	return errors.Wrap(e.program.Close(), "explain: close")
}
