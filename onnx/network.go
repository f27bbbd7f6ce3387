package onnx

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// The names of the network's input and output.
const (
	Images     = "images"     // (batch, channels, height, width), float32 from 0, black, to 255
	Embeddings = "embeddings" // (batch, features)
)

// errNil is the error of a nil model.
var errNil = errors.New("onnx: the model is nil, expected one of likeness.New or likeness.Load")

// Network returns the embedding network of a trained model: images to embeddings, with
// inversion and normalization in the graph, batch norm with the running statistics and
// no dropout. A backbone that is not a list of blocks of package graph is an error.
func Network(m *likeness.Model) (*Model, error) {
	if m == nil {
		return nil, errNil
	}
	if err := m.CheckFloat(); err != nil {
		return nil, errors.Wrap(err, "onnx")
	}
	network, ok := m.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("onnx: the backbone is of type %T, expected a backbone.Network: only a list of blocks can be written", m.Backbone)
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
	b := newBuilder(m.Weights)
	b.sequence(network.Blocks, b.preprocess(m.Preprocessing, value{name: Images, image: true}))
	b.end(Embeddings)
	written, err := b.model(cmp.Or(network.Name, "network"), []Value{input}, []Value{output}, properties)
	return written, errors.Wrapf(err, "onnx: backbone %s", network.Name)
}

// features is the length of the model's embeddings. Embedding one image also checks that
// blocks and weights fit together.
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

// extents is a shape with a variable batch size before the given extents.
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

// sequence adds the blocks one after the other, with the names that
// graph.Builder.Sequence gives their weights.
func (b *builder) sequence(blocks []graph.Block, x value) value {
	numbers := map[string]int{}
	for _, block := range blocks {
		kind := block.Kind()
		numbers[kind]++
		x = b.block(block, strconv.Itoa(numbers[kind]), x)
	}
	return x
}

// block adds one block, the number-th of its kind. Images are channels first here, as
// weights and flattened features are, so nothing has to be transposed.
func (b *builder) block(block graph.Block, number string, x value) value {
	name := block.Kind() + number
	switch l := block.(type) {
	case graph.Conv:
		return b.conv(l, number, x)
	case graph.Linear:
		return b.linear(l, name, x)
	case graph.BatchNorm:
		return b.norm(name, l.Epsilon, l.Momentum, x)
	case graph.Activate:
		return b.activate(name, l.Function, x)
	case graph.MaxPool:
		return b.pool("MaxPool", name, l.Size, l.Stride, l.Padding, x)
	case graph.AveragePool:
		return b.averagePool(l, name, x)
	case graph.GlobalAveragePool:
		return b.flatten(name, b.node("GlobalAveragePool", name+"_mean", x, nil))
	case graph.Flatten:
		return b.flatten(name, x)
	case graph.Normalize:
		return b.normalize(name, x)
	case graph.GeM:
		return b.gem(l, name, x)
	case graph.LayerNorm:
		return b.layerNorm(l, name, x)
	case graph.Scale:
		return b.node("Mul", name, x, []string{b.channelWeight(name+".weight", x)})
	case graph.SqueezeExcite:
		return b.squeezeExcite(l, name, x)
	case graph.Residual:
		return b.residual(l, name, x)
	case graph.Dropout:
		return x // evaluation has none
	}
	b.fail("block %s is of type %T, which has no form in ONNX: only the blocks of package graph do", b.path(name), block)
	return x
}

func (b *builder) conv(c graph.Conv, number string, x value) value {
	name := "conv" + number
	constants := []string{b.weight(name + ".weight")}
	if !c.NoBias {
		constants = append(constants, b.weight(name+".bias"))
	}
	stride := max(c.Stride, 1)
	attributes := []attribute{integers("kernel_shape", c.Kernel, c.Kernel), integers("strides", stride, stride)}
	if c.SamePadding { // TensorFlow's, which depends on the size of the input
		attributes = append(attributes, word("auto_pad", "SAME_UPPER"))
	} else {
		attributes = append(attributes, integers("pads", c.Padding, c.Padding, c.Padding, c.Padding))
	}
	if c.Groups > 1 {
		attributes = append(attributes, integer("group", c.Groups))
	}
	x = b.node("Conv", name, x, constants, attributes...)
	if c.BatchNorm {
		x = b.norm("norm"+number, c.Epsilon, c.Momentum, x)
	}
	x = b.activate(name+"_"+c.Activation, c.Activation, x)
	if c.Pool > 0 {
		x = b.pool("MaxPool", name+"_pool", c.Pool, 0, 0, x)
	}
	return x
}

func (b *builder) linear(l graph.Linear, name string, x value) value {
	constants := []string{b.weight(name + ".weight")}
	if !l.NoBias {
		constants = append(constants, b.weight(name+".bias"))
	}
	x = b.node("Gemm", name, x, constants, integer("transB", 1)) // the weight is (out, in)
	return b.activate(name+"_"+l.Activation, l.Activation, x)
}

// norm is batch norm with the running statistics. The defaults of epsilon and momentum are
// the operator's, as in PyTorch and in package graph; the momentum matters to a training alone.
func (b *builder) norm(name string, epsilon, momentum float64, x value) value {
	var constants []string
	for _, each := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		constants = append(constants, b.weight(name+each))
	}
	var attributes []attribute
	if epsilon != 0 {
		attributes = append(attributes, float("epsilon", epsilon))
	}
	if momentum != 0 { // in ONNX the weight of the old statistics, here that of the batch
		attributes = append(attributes, float("momentum", 1-momentum))
	}
	return b.node("BatchNormalization", name, x, constants, attributes...)
}

func (b *builder) activate(name, function string, x value) value {
	switch function {
	case "relu":
		return b.node("Relu", name, x, nil)
	case "sigmoid":
		return b.node("Sigmoid", name, x, nil)
	case "tanh":
		return b.node("Tanh", name, x, nil)
	case "prelu":
		return b.node("PRelu", name, x, []string{b.channelWeight(name+".weight", x)})
	case "relu6":
		return b.node("Clip", name, x, []string{b.scalar(name+"_min", 0), b.scalar(name+"_max", 6)})
	case "silu":
		return b.node("Mul", name, x, []string{b.node("Sigmoid", name+"_sigmoid", x, nil).name})
	case "gelu": // x·(1 + erf(x/√2))/2
		erf := b.node("Erf", name+"_erf", b.node("Div", name+"_scaled", x, []string{b.scalar(name+"_root", math.Sqrt2)}), nil)
		sum := b.node("Add", name+"_sum", erf, []string{b.scalar(name+"_one", 1)})
		return b.node("Mul", name, b.node("Mul", name+"_twice", x, []string{sum.name}), []string{b.scalar(name+"_half", 0.5)})
	case "hardsigmoid":
		return b.node("HardSigmoid", name, x, nil, float("alpha", 1./6), float("beta", 0.5))
	case "hardswish":
		return b.node("HardSwish", name, x, nil)
	case "":
		return x
	}
	b.fail("%s: activation %q has no form in ONNX here", b.path(name), function)
	return x
}

// pool drops rows and columns that fill no window, as package graph does. A stride of 0
// stands for the size.
func (b *builder) pool(operator, name string, size, stride, padding int, x value) value {
	if stride == 0 {
		stride = size
	}
	attributes := []attribute{integers("kernel_shape", size, size), integers("strides", stride, stride)}
	if padding > 0 {
		attributes = append(attributes, integers("pads", padding, padding, padding, padding))
	}
	return b.node(operator, name, x, nil, attributes...)
}

// gem is generalized-mean pooling, with the trained exponent as a constant.
func (b *builder) gem(g graph.GeM, name string, x value) value {
	weight := b.find(name + ".weight")
	if weight == nil {
		return x
	}
	exponent := float64(weight.Value.Data().([]float32)[0])
	x = b.node("Clip", name+"_positive", x, []string{b.scalar(name+"_min", cmp.Or(g.Epsilon, 1e-6))})
	x = b.node("Pow", name+"_power", x, []string{b.scalar(name+"_exponent", exponent)})
	x = b.node("GlobalAveragePool", name+"_mean", x, nil)
	return b.flatten(name, b.node("Pow", name+"_root", x, []string{b.scalar(name+"_inverse", 1/exponent)}))
}

// layerNorm normalizes channels, which must be the last axis for the operator.
func (b *builder) layerNorm(l graph.LayerNorm, name string, x value) value {
	weights := []string{b.weight(name + ".weight"), b.weight(name + ".bias")}
	normalize := func(name string, x value) value {
		return b.node("LayerNormalization", name, x, weights, integer("axis", -1), float("epsilon", cmp.Or(l.Epsilon, 1e-6)))
	}
	if !x.image {
		return normalize(name, x)
	}
	x = b.node("Transpose", name+"_last", x, nil, integers("perm", 0, 2, 3, 1))
	return b.node("Transpose", name, normalize(name+"_normalized", x), nil, integers("perm", 0, 3, 1, 2))
}

// squeezeExcite writes the two fully connected layers as convolutions of one pixel.
func (b *builder) squeezeExcite(s graph.SqueezeExcite, name string, x value) value {
	layer := func(layer, function string, x value) value {
		weight, prefix := b.find(name+"."+layer+".weight"), name+"_"+layer
		if weight == nil {
			return x
		}
		shape := weight.Value.Shape()
		constants := []string{
			b.constant(weight.Name, []int{shape[0], shape[1], 1, 1}, weight.Value.Data().([]float32)),
			b.weight(name + "." + layer + ".bias"),
		}
		x = b.node("Conv", prefix, x, constants, integers("kernel_shape", 1, 1), integers("strides", 1, 1), integers("pads", 0, 0, 0, 0))
		return b.activate(prefix+"_"+function, function, x)
	}
	mean := b.node("GlobalAveragePool", name+"_mean", x, nil)
	factor := layer("expand", cmp.Or(s.Gate, "sigmoid"), layer("reduce", cmp.Or(s.Activation, "relu"), mean))
	return b.node("Mul", name, x, []string{factor.name})
}

func (b *builder) averagePool(p graph.AveragePool, name string, x value) value {
	if !p.Trainable {
		return b.pool("AveragePool", name, p.Size, p.Stride, 0, x)
	}
	x = b.pool("AveragePool", name+"_mean", p.Size, p.Stride, 0, x)
	x = b.node("Mul", name+"_scaled", x, []string{b.channelWeight(name+".weight", x)})
	return b.node("Add", name, x, []string{b.channelWeight(name+".bias", x)})
}

func (b *builder) flatten(name string, x value) value {
	x = b.node("Flatten", name, x, nil, integer("axis", 1))
	x.image = false
	return x
}

func (b *builder) residual(r graph.Residual, name string, x value) value {
	sum := b.within(name, func() value {
		body := b.sequence(r.Body, x)
		shortcut := b.within("shortcut", func() value { return b.sequence(r.Shortcut, x) })
		return b.node("Add", "sum", body, []string{shortcut.name})
	})
	sum = b.activate(name+"_"+r.Activation, r.Activation, sum)
	if r.Pool > 0 {
		sum = b.pool("MaxPool", name+"_pool", r.Pool, 0, 0, sum)
	}
	return sum
}

// preprocess adds inversion and normalization of pixels from 0 to 255.
func (b *builder) preprocess(p imaging.Preprocessing, x value) value {
	factors, summands := normalization(p)
	shape := []int{p.Size.Channels, 1, 1}
	x = b.node("Mul", "preprocessing_scaled", x, []string{b.constant("preprocessing.factor", shape, factors)})
	return b.node("Add", "preprocessing", x, []string{b.constant("preprocessing.summand", shape, summands)})
}

// normalization returns inversion and normalization as one factor and one summand for each
// channel:
//
//	(v/255 − mean)/deviation = v·1/(255·deviation) − mean/deviation
//	((255 − v)/255 − mean)/deviation = −v·1/(255·deviation) + (1 − mean)/deviation
func normalization(p imaging.Preprocessing) (factors, summands []float32) {
	channels := p.Size.Channels
	factors, summands = make([]float32, channels), make([]float32, channels)
	for c := range channels {
		mean, deviation := 0.0, 1.0
		if len(p.Mean) > 0 {
			mean = p.Mean[c]
		}
		if len(p.StdDev) > 0 {
			deviation = p.StdDev[c]
		}
		factor, summand := 1/(255*deviation), -mean/deviation
		if p.Invert {
			factor, summand = -factor, (1-mean)/deviation
		}
		factors[c], summands[c] = float32(factor), float32(summand)
	}
	return factors, summands
}

// describeInput describes the format of the images.
func describeInput(p imaging.Preprocessing) string {
	colors := "gray"
	if p.Size.Channels == 3 {
		colors = "red, green, blue"
	}
	text := fmt.Sprintf("Images of %d × %d pixels as (batch, channels, height, width), %s: float32 from 0, black, to 255. ", p.Size.Height, p.Size.Width, colors)
	if p.Invert {
		text += "The model exchanges black and white itself. "
	}
	text += "The model normalizes them itself."
	if p.ShorterSide > 0 {
		text += fmt.Sprintf(" Images must be resized before so that the shorter side has %d pixels and the longer one, in proportion, is rounded down, "+
			"by area averaging, and the center be cropped.", p.ShorterSide)
	}
	if crop := describeCrop(p); crop != "" {
		text += " " + crop
	}
	return text
}

// describeCrop describes how images must be cropped to the ink before they are passed to
// the model, which gets them before inversion; empty if they need not be.
func describeCrop(p imaging.Preprocessing) string {
	if p.Crop == nil {
		return ""
	}
	ink, outside := "128 or brighter in any channel", "black, 0"
	if p.Invert {
		ink, outside = "127 or darker in any channel", "white, 255"
	}
	return fmt.Sprintf("Images must be cut to the ink before: ink is what is %s. Cut the square whose center is that of the ink's bounding box "+
		"and whose side is %v times the larger of the box's width and height, where these count as at least %v of the larger side of the image; "+
		"what lies outside the image is %s. Bring it to %d × %d pixels by area averaging. An image without ink is cut to the square of its larger side around its middle.",
		ink, p.Crop.Margin, p.Crop.MinSide, outside, p.Size.Height, p.Size.Width)
}
