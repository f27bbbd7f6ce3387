package onnx

import (
	"cmp"
	"math"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// operator converts one node: it changes the layers of the branch and its position.
func (c *converter) operator(o *operator, b *branch) error {
	x := b.at
	if x.layout == list && (o.kind != "Gather" || o.fused != nil) ||
		x.layout == planes && (o.fused != nil || !slices.Contains([]string{"ReduceMean", "Reshape", "Flatten", "Squeeze"}, o.kind)) {
		return o.errorf("found the input %v, expected (batch, features)", x)
	}
	if o.fused != nil {
		if err := c.noPads(o, x); err != nil {
			return err
		}
		if err := c.fusion(o, b); err != nil {
			return err
		}
		b.at.tensor = o.outputs[0]
		return c.count(o, x, b.at)
	}
	convert, known := operators[o.kind]
	if !known || o.domain != "" {
		kind := o.kind
		if o.domain != "" {
			kind = o.domain + "." + o.kind
		}
		return o.errorf("operator %s is not supported; the network can be cut before it, at %q (--cut)", kind, x.tensor)
	}
	if o.operand(0) != x.tensor && !(slices.Contains([]string{"Add", "Mul", "Sum"}, o.kind) && o.operand(1) == x.tensor) {
		return o.errorf("its first operand is %q, expected the result of the layer before, %q", o.operand(0), x.tensor)
	}
	for i, name := range o.inputs {
		if name != "" && name != x.tensor && !c.static[name] {
			return o.errorf("its operand %q is computed from the images, expected a constant beside %q", name, x.tensor)
		}
		if i > 0 && name == x.tensor && o.operand(0) == x.tensor {
			return o.errorf("both its operands are %q", name)
		}
	}
	if o.kind != "Conv" && o.kind != "Pad" {
		if err := c.noPads(o, x); err != nil {
			return err
		}
	}
	a := o.settings()
	err := convert(c, o, a, b)
	if err == nil {
		err = a.done()
	}
	if err != nil {
		return err
	}
	b.at.tensor = o.outputs[0]
	return c.count(o, x, b.at)
}

// count adds the result of a node to the numbers of elements that are limited.
func (c *converter) count(o *operator, x, y position) error {
	// Each extent is at most the number of elements of a tensor of the file, or of an image.
	if area := y.height * y.width; area > maxValues/y.channels || c.values+y.features() > maxValues {
		return o.errorf("with its result %v the tensors have more than %d elements for one image", y, maxValues)
	}
	c.values += y.features()
	// A constant may become a weight for each channel, also one that many nodes share.
	return c.spend(o, x.channels+y.channels)
}

func (c *converter) noPads(o *operator, x position) error {
	if x.pads != ([4]int{}) {
		return o.errorf("found a Pad before it, expected a convolution after a Pad")
	}
	return nil
}

// operators are those that can be converted alone. Each function reads the attributes,
// appends or changes a layer, and sets the position but for its name.
var operators map[string]func(*converter, *operator, *settings, *branch) error

func init() {
	operators = map[string]func(*converter, *operator, *settings, *branch) error{
		"Conv": (*converter).conv, "Gemm": (*converter).gemm, "MatMul": (*converter).matMul, "BatchNormalization": (*converter).batchNorm,
		"LayerNormalization": (*converter).layerNormalization, "LpNormalization": (*converter).lpNormalization,
		"MaxPool": (*converter).pool, "AveragePool": (*converter).pool, "GlobalAveragePool": (*converter).globalAverage, "ReduceMean": (*converter).reduceMean,
		"Flatten": (*converter).flatten, "Reshape": (*converter).reshape, "Squeeze": (*converter).squeeze, "Unsqueeze": (*converter).squeeze,
		"Transpose": (*converter).transpose, "Gather": (*converter).gatherAll, "Pad": (*converter).pad,
		"Add": (*converter).affine, "Sum": (*converter).affine, "Sub": (*converter).affine, "Mul": (*converter).affine, "Div": (*converter).affine,
		"PRelu": (*converter).prelu, "LeakyRelu": (*converter).prelu,
	}
	for _, kind := range []string{"Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Gelu"} {
		operators[kind] = (*converter).activation
	}
}

// last returns the last layer of the branch, or nil.
func (b *branch) last() *layer {
	if len(b.layers) == 0 {
		return nil
	}
	return &b.layers[len(b.layers)-1]
}

func (b *branch) append(l layer) *layer {
	b.layers = append(b.layers, l)
	return b.last()
}

// floats returns a constant of floating-point numbers with the given shape.
func (c *converter) floats(o *operator, name string, shape ...int) ([]float32, error) {
	k, err := c.value(name)
	if err != nil {
		return nil, errors.Wrap(err, o.String())
	}
	if !k.isFloat || !slices.Equal(k.shape, shape) {
		return nil, o.errorf("found the constant %q of shape %v, expected floating-point numbers of shape %v", name, k.shape, shape)
	}
	return k.floats, nil
}

// matrix returns a constant of floating-point numbers with the given number of dimensions.
func (c *converter) matrix(o *operator, name string, rank int) (*constant, error) {
	if name == "" {
		return nil, o.errorf("found no weight")
	}
	k, err := c.value(name)
	if err != nil {
		return nil, errors.Wrap(err, o.String())
	}
	if !k.isFloat || len(k.shape) != rank || k.size() == 0 {
		return nil, o.errorf("found the constant %q of shape %v, expected floating-point numbers with %d dimensions", name, k.shape, rank)
	}
	return k, nil
}

// perChannel returns a constant that is broadcast over all axes but the channels, as one
// value for each channel.
func (c *converter) perChannel(o *operator, name string, x position) ([]float32, error) {
	if name == "" {
		return nil, o.errorf("found no constant operand")
	}
	k, err := c.value(name)
	if err != nil {
		return nil, errors.Wrap(err, o.String())
	}
	shape := x.shape(0)
	axis := len(shape) - 1 // of the channels
	if x.layout == channelsFirst {
		axis = 1
	}
	fits := k.isFloat && len(k.shape) <= len(shape) && k.size() > 0
	for i, extent := range k.shape {
		at := i + len(shape) - len(k.shape)
		fits = fits && (extent == 1 || at == axis && extent == x.channels)
	}
	if !fits {
		return nil, o.errorf("found the constant %q of shape %v beside %v, expected one number for all elements or for each channel", name, k.shape, x)
	}
	if len(k.floats) == 1 {
		return slices.Repeat(k.floats, x.channels), nil
	}
	return k.floats, nil
}

// linear appends a fully connected layer of a weight (units, features).
func (b *branch) linear(x position, units, features int, weight, bias []float32) {
	l := b.append(layer{block: graph.Linear{Units: units, NoBias: bias == nil}, input: x})
	l.add("linear", ".weight", []int{units, features}, weight)
	if bias != nil {
		l.add("linear", ".bias", []int{units}, bias)
	}
}

// transposed returns the transpose of a matrix.
func transposed(values []float32, rows, columns int) []float32 {
	result := make([]float32, len(values))
	for i, v := range values {
		result[i%columns*rows+i/columns] = v
	}
	return result
}

func (c *converter) gemm(o *operator, a *settings, b *branch) error {
	x := b.at
	alpha, beta := a.float("alpha", 1), a.float("beta", 1)
	transA, transB := a.integer("transA", 0), a.integer("transB", 0)
	a.integer("broadcast", 1)
	if alpha != 1 || beta != 1 && o.operand(2) != "" || transA != 0 {
		return o.errorf("found alpha %v, beta %v and transA %d, expected 1, 1 and 0", alpha, beta, transA)
	}
	if x.layout != flat {
		return o.errorf("found the input %v, expected (batch, features)", x)
	}
	return c.fullyConnected(o, b, transB != 0, o.operand(2))
}

// fullyConnected appends a fully connected layer of the node's second operand and a bias.
func (c *converter) fullyConnected(o *operator, b *branch, byUnit bool, biasName string) error {
	x := b.at
	weight, err := c.matrix(o, o.operand(1), 2)
	if err != nil {
		return err
	}
	features, units := weight.shape[0], weight.shape[1]
	values := weight.floats
	if byUnit {
		features, units = units, features
	} else {
		if err := c.spend(o, len(values)); err != nil {
			return err
		}
		values = transposed(values, features, units)
	}
	if features != x.channels {
		return o.errorf("found a weight of shape %v for %v", weight.shape, x)
	}
	b.at.channels = units
	var bias []float32
	if biasName != "" {
		if bias, err = c.perChannel(o, biasName, b.at); err != nil {
			return err
		}
	}
	if x.rows {
		b.linear(x, units, features, values, bias)
		return nil
	}
	l := b.append(layer{block: graph.Conv{Filters: units, Kernel: 1, NoBias: bias == nil}})
	l.add("conv", ".weight", []int{units, features, 1, 1}, values)
	if bias != nil {
		l.add("conv", ".bias", []int{units}, bias)
	}
	return nil
}

func (c *converter) matMul(o *operator, a *settings, b *branch) error {
	if b.at.layout == channelsFirst {
		return o.errorf("found the input %v, expected the features as the last axis", b.at)
	}
	return c.fullyConnected(o, b, false, "")
}

// activate applies a function, within the last block if that has none yet.
func (b *branch) activate(function string, slope []float32) {
	l := b.last()
	var block graph.Block
	if l != nil {
		block = l.block
	}
	stem, tail := "", ".weight"
	switch last := block.(type) {
	case graph.Conv:
		if last.Activation == "" && last.Pool == 0 {
			last.Activation = function
			l.block, stem, tail = last, "conv", "_prelu.weight"
		}
	case graph.Linear:
		if last.Activation == "" {
			last.Activation = function
			l.block, stem, tail = last, "linear", "_prelu.weight"
		}
	case graph.Residual:
		if last.Activation == "" && last.Pool == 0 {
			last.Activation = function
			l.block, stem, tail = last, "residual", "_prelu.weight"
		}
	}
	if stem == "" {
		l, stem = b.append(layer{block: graph.Activate{Function: function}}), "prelu"
	}
	if slope != nil {
		l.add(stem, tail, []int{len(slope)}, slope)
	}
}

func (c *converter) activation(o *operator, a *settings, b *branch) error {
	function := map[string]string{"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "HardSigmoid": "hardsigmoid", "Gelu": "gelu"}[o.kind]
	switch o.kind {
	case "Clip":
		a.float("min", 0)
		a.float("max", 0)
		var err error
		if function, err = c.clipped(o); err != nil {
			return err
		}
	case "HardSigmoid":
		if alpha, beta := a.float("alpha", 0.2), a.float("beta", 0.5); !near(alpha, 1./6) || !near(beta, 0.5) {
			return o.errorf("found alpha %v and beta %v, expected 1/6 and 0.5", alpha, beta)
		}
	case "Gelu":
		if form := a.text("approximate", "none"); form != "none" {
			return o.errorf("found the approximation %q, expected the exact form", form)
		}
	}
	b.activate(function, nil)
	return nil
}

// prelu converts PRelu and LeakyRelu, whose slope becomes trainable.
func (c *converter) prelu(o *operator, a *settings, b *branch) error {
	if o.kind == "LeakyRelu" {
		b.activate("prelu", slices.Repeat([]float32{float32(a.float("alpha", 0.01))}, b.at.channels))
		return nil
	}
	slope, err := c.perChannel(o, o.operand(1), b.at)
	if err != nil {
		return err
	}
	b.activate("prelu", slope)
	return nil
}

// affine converts the sum or the product of a tensor and a constant.
func (c *converter) affine(o *operator, a *settings, b *branch) error {
	x := b.at
	name := o.operand(1)
	if name == x.tensor {
		name = o.operand(0)
	}
	if len(o.inputs) != 2 {
		return o.errorf("found %d operands, expected two", len(o.inputs))
	}
	values, err := c.perChannel(o, name, x)
	if err != nil {
		return err
	}
	values = slices.Clone(values)
	for i, v := range values {
		switch o.kind {
		case "Sub":
			values[i] = -v
		case "Div":
			values[i] = 1 / v
		}
	}
	if o.kind == "Mul" || o.kind == "Div" {
		b.multiply(values)
		return nil
	}
	return b.shift(o, values)
}

// multiply scales each channel.
func (b *branch) multiply(factors []float32) {
	if l := b.last(); l != nil {
		// A layer norm that is computed by several nodes.
		if _, ok := l.block.(graph.LayerNorm); ok && !slices.ContainsFunc(l.weight("layernorm", ".bias").values, func(v float32) bool { return v != 0 }) {
			gain := l.weight("layernorm", ".weight")
			gain.values = elementwise(gain.values, factors, func(x, y float32) float32 { return x * y })
			return
		}
	}
	l := b.append(layer{block: graph.Scale{}})
	l.add("scale", ".weight", []int{len(factors)}, factors)
}

func elementwise(x, y []float32, f func(x, y float32) float32) []float32 {
	result := make([]float32, len(x))
	for i := range x {
		result[i] = f(x[i], y[i])
	}
	return result
}

// shift adds a constant to each channel: as the bias of the last layer, or as a depthwise
// convolution of one pixel.
func (b *branch) shift(o *operator, summands []float32) error {
	add := func(x, y float32) float32 { return x + y }
	l := b.last()
	var block graph.Block
	if l != nil {
		block = l.block
	}
	bias := func(stem string) {
		if given := l.weight(stem, ".bias"); given != nil {
			given.values = elementwise(given.values, summands, add)
		} else {
			l.add(stem, ".bias", []int{len(summands)}, summands)
		}
	}
	switch last := block.(type) {
	case graph.Conv:
		if last.Activation == "" && last.Pool == 0 {
			if last.BatchNorm {
				bias("norm")
				return nil
			}
			last.NoBias = false
			l.block = last
			bias("conv")
			return nil
		}
	case graph.Linear:
		if last.Activation == "" {
			last.NoBias = false
			l.block = last
			bias("linear")
			return nil
		}
	case graph.BatchNorm:
		bias("batchnorm")
		return nil
	case graph.LayerNorm:
		bias("layernorm")
		return nil
	case graph.Scale:
		if b.at.rows {
			break
		}
		factors := l.weights[0].values
		b.layers = b.layers[:len(b.layers)-1]
		if before := b.last(); before != nil { // as Network writes a trainable average pool
			if pool, ok := before.block.(graph.AveragePool); ok && !pool.Trainable {
				pool.Trainable = true
				before.block = pool
				before.add("averagepool", ".weight", []int{len(factors)}, factors)
				before.add("averagepool", ".bias", []int{len(summands)}, summands)
				return nil
			}
		}
		b.depthwise(factors, summands)
		return nil
	}
	if b.at.rows {
		return o.errorf("it adds a constant to %v, expected that after a layer with a bias", b.at)
	}
	b.depthwise(slices.Repeat([]float32{1}, len(summands)), summands)
	return nil
}

// depthwise appends a convolution of one pixel that scales and shifts each channel.
func (b *branch) depthwise(factors, summands []float32) {
	channels := len(factors)
	l := b.append(layer{block: graph.Conv{Filters: channels, Kernel: 1, Groups: unless(channels, 1)}})
	l.add("conv", ".weight", []int{channels, 1, 1, 1}, factors)
	l.add("conv", ".bias", []int{channels}, summands)
}

func (c *converter) layerNormalization(o *operator, a *settings, b *branch) error {
	x := b.at
	axis, epsilon := a.integer("axis", -1), a.float("epsilon", 1e-5)
	a.integer("stash_type", 1)
	rank := len(x.shape(0))
	if axis < 0 {
		axis += rank
	}
	if axis != rank-1 || x.layout == channelsFirst {
		return o.errorf("found axis %d of %v, expected only the channels as the last axis", axis, x)
	}
	weight, err := c.floats(o, o.operand(1), x.channels)
	if err != nil {
		return err
	}
	bias := make([]float32, x.channels)
	if name := o.operand(2); name != "" {
		if bias, err = c.floats(o, name, x.channels); err != nil {
			return err
		}
	}
	return b.layerNorm(o, epsilon, weight, bias)
}

func (b *branch) layerNorm(o *operator, epsilon float64, weight, bias []float32) error {
	if !(epsilon > 0) || math.IsInf(epsilon, 1) {
		return o.errorf("found epsilon %v, expected a number above 0", epsilon)
	}
	if epsilon == 1e-6 {
		epsilon = 0
	}
	l := b.append(layer{block: graph.LayerNorm{Epsilon: epsilon}})
	l.add("layernorm", ".weight", []int{len(weight)}, weight)
	l.add("layernorm", ".bias", []int{len(bias)}, bias)
	return nil
}

func (c *converter) lpNormalization(o *operator, a *settings, b *branch) error {
	if p := a.integer("p", 2); p != 2 {
		return o.errorf("found p = %d, expected 2", p)
	}
	return b.normalize(o, []int{a.integer("axis", -1)})
}

// normalize appends a block that scales vectors to length 1.
func (b *branch) normalize(o *operator, axes []int) error {
	rank, axis := len(b.at.shape(0)), 1
	if b.at.layout == channelsLast {
		axis = rank - 1
	}
	if !b.at.rows || !areAxes(axes, rank, axis) {
		return o.errorf("it normalizes %v along the axes %v, expected (batch, features) along the features", b.at, axes)
	}
	b.append(layer{block: graph.Normalize{}})
	return nil
}

// fusion converts a group of nodes.
func (c *converter) fusion(o *operator, b *branch) error {
	x, f := b.at, o.fused
	rank := len(x.shape(0))
	switch f.kind {
	case "activation":
		b.activate(f.function, nil)
		return nil
	case "normalize":
		if f.shape != "" {
			k, err := c.value(f.shape)
			if err != nil {
				return errors.Wrap(err, o.String())
			}
			if k.isFloat || !slices.Equal(k.integers, x.shape(c.batch)) {
				return o.errorf("it expands the length to the shape %v, expected that of %v", describeShape(k.integers), x)
			}
		}
		return b.normalize(o, f.axes)
	case "layernorm":
		axis := rank - 1
		if x.layout == channelsFirst {
			axis = 1
		}
		if !areAxes(f.axes, rank, axis) {
			return o.errorf("it normalizes %v along the axes %v, expected the channels", x, f.axes)
		}
		return b.layerNorm(o, f.epsilon, slices.Repeat([]float32{1}, x.channels), make([]float32, x.channels))
	case "gem":
		if x.rows || x.layout == flat || f.axes != nil && !areAxes(f.axes, 4, x.spatial()...) || f.axes == nil && x.layout != channelsFirst {
			return o.errorf("it pools %v over the axes %v, expected those of height and width", x, f.axes)
		}
		if !(f.exponent > 0) {
			return o.errorf("found the exponent %v, expected a number above 0", f.exponent)
		}
		l := b.append(layer{block: graph.GeM{Epsilon: cmp.Or(f.epsilon, 1e-6)}})
		l.add("gem", ".weight", []int{1}, []float32{float32(f.exponent)})
		b.at.height, b.at.width, b.at.rows = 1, 1, true
		if !f.keep {
			b.at.layout = flat
		}
		return nil
	}
	return o.errorf("%s is not supported", f.kind)
}
