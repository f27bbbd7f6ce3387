package onnx

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

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

// square returns the extent of an attribute with two equal elements.
func square(o *operator, name string, list []int, found bool, otherwise int) (int, error) {
	if !found {
		return otherwise, nil
	}
	if len(list) != 2 || list[0] != list[1] || list[0] < 1 {
		return 0, o.errorf("found %s %v, expected two equal numbers above 0", name, list)
	}
	return list[0], nil
}

// window reads the attributes of a convolution or pool: kernel, stride and the padding at
// the top, left, bottom and right. A kernel of 0 stands for none given.
func window(o *operator, a *settings, x position, kernel int) (size, stride int, pads [4]int, same bool, err error) {
	list, found := a.integers("kernel_shape")
	if size, err = square(o, "kernel_shape", list, found, kernel); err != nil {
		return
	}
	list, found = a.integers("strides")
	if stride, err = square(o, "strides", list, found, 1); err != nil {
		return
	}
	list, found = a.integers("dilations")
	dilation := 1
	if dilation, err = square(o, "dilations", list, found, 1); err != nil {
		return
	}
	list, found = a.integers("pads")
	auto := a.text("auto_pad", "NOTSET")
	if err = a.err; err != nil {
		return
	}
	const largest = 1 << 12
	switch {
	case x.layout != channelsFirst:
		err = o.errorf("found the input %v, expected (batch, channels, height, width)", x)
	case size < 1 || size > largest || stride > largest || kernel > 0 && size != kernel:
		err = o.errorf("found kernel_shape %d and strides %d, expected the kernel of the weight, %d, and at most %d", size, stride, kernel, largest)
	case dilation != 1:
		err = o.errorf("found dilations of %d, expected 1", dilation)
	case auto == "SAME_UPPER" || auto == "SAME_LOWER":
		same = auto == "SAME_UPPER"
		for i, extent := range []int{x.height, x.width} {
			before, after := samePads(extent+x.pads[i]+x.pads[i+2], size, stride)
			if !same {
				before, after = after, before
			}
			pads[i], pads[i+2] = before, after
		}
	case auto != "NOTSET" && auto != "VALID" && auto != "":
		err = o.errorf("found auto_pad %q, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto)
	case found && auto != "VALID":
		if len(list) != 4 {
			err = o.errorf("found pads %v, expected four numbers", list)
			return
		}
		copy(pads[:], list)
	}
	if err != nil {
		return
	}
	for i, pad := range pads {
		if pad < 0 || pad > largest {
			err = o.errorf("found pads %v, expected numbers from 0 to %d", pads, largest)
			return
		}
		pads[i] += x.pads[i]
	}
	if x.height+pads[0]+pads[2] < size || x.width+pads[1]+pads[3] < size {
		err = o.errorf("found a kernel of %d for %v with the padding %v", size, x, pads)
	}
	return
}

// samePads is the padding of TensorFlow's SAME along one axis.
func samePads(extent, kernel, stride int) (before, after int) {
	total := max(((extent+stride-1)/stride-1)*stride+kernel-extent, 0)
	return total / 2, total - total/2
}

func (c *converter) conv(o *operator, a *settings, b *branch) error {
	x := b.at
	weight, err := c.matrix(o, o.operand(1), 4)
	if err != nil {
		return err
	}
	filters, kernel := weight.shape[0], weight.shape[2]
	groups := a.integer("group", 1)
	if weight.shape[3] != kernel {
		return o.errorf("found a kernel of %d×%d, expected a square one", kernel, weight.shape[3])
	}
	_, stride, pads, same, err := window(o, a, x, kernel)
	if err != nil {
		return err
	}
	if groups < 1 || x.channels%groups != 0 || filters%groups != 0 || weight.shape[1] != x.channels/groups {
		return o.errorf("found a weight of shape %v in %d groups for %v", weight.shape, groups, x)
	}
	var bias []float32
	if name := o.operand(2); name != "" {
		if bias, err = c.floats(o, name, filters); err != nil {
			return err
		}
	}
	b.at.height, b.at.width = (x.height+pads[0]+pads[2]-kernel)/stride+1, (x.width+pads[1]+pads[3]-kernel)/stride+1
	b.at.channels, b.at.pads = filters, [4]int{}
	if x.rows { // one pixel
		if kernel != 1 || pads != [4]int{} || groups != 1 {
			return o.errorf("found a kernel of %d in %d groups after a global pool, expected 1 in one group", kernel, groups)
		}
		b.linear(x, filters, x.channels, weight.floats, bias)
		return nil
	}
	block := graph.Conv{Filters: filters, Kernel: kernel, NoBias: bias == nil}
	if stride > 1 {
		block.Stride = stride
	}
	if groups > 1 {
		block.Groups = groups
	}
	values := weight.floats
	top, bottom := samePads(x.height, kernel, stride)
	left, right := samePads(x.width, kernel, stride)
	isSame := pads == [4]int{top, left, bottom, right}
	symmetric := pads == [4]int{pads[0], pads[0], pads[0], pads[0]}
	switch {
	case same && isSame && kernel > 1:
		block.SamePadding = true
	case symmetric:
		block.Padding = pads[0]
	case isSame:
		block.SamePadding = true
	default:
		if values, err = c.extend(o, &block, values, pads); err != nil {
			return err
		}
	}
	l := b.append(layer{block: block})
	l.add("conv", ".weight", []int{filters, x.channels / groups, block.Kernel, block.Kernel}, values)
	if bias != nil {
		l.add("conv", ".bias", []int{filters}, bias)
	}
	return nil
}

// extend makes a padding that differs by side symmetric: the kernel gets rows and columns of
// zeros at the sides with less padding, so that the sums are the same.
func (c *converter) extend(o *operator, block *graph.Conv, values []float32, pads [4]int) ([]float32, error) {
	most := max(pads[0], pads[1], pads[2], pads[3])
	rows, columns := 2*most-pads[0]-pads[2], 2*most-pads[1]-pads[3]
	old := block.Kernel
	size := old + rows
	if rows != columns || size > 2*old {
		return nil, o.errorf("found the padding %v of a kernel of %d, expected one that is the same on all sides or nearly so", pads, old)
	}
	top, left := most-pads[0], most-pads[1]
	count := len(values) / (old * old) * size * size
	if err := c.spend(o, count); err != nil {
		return nil, err
	}
	extended := make([]float32, count)
	for i, v := range values {
		plane, row, column := i/(old*old), i/old%old, i%old
		extended[(plane*size+row+top)*size+column+left] = v
	}
	block.Kernel, block.Padding = size, most
	return extended, nil
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

func (c *converter) batchNorm(o *operator, a *settings, b *branch) error {
	x := b.at
	epsilon, momentum := a.float("epsilon", 1e-5), a.float("momentum", 0.9)
	if a.integer("training_mode", 0) != 0 || a.integer("spatial", 1) != 1 || a.integer("is_test", 1) != 1 {
		return o.errorf("found batch normalization in training mode, or not by channels, expected a network that was exported in evaluation mode")
	}
	if x.layout == channelsLast {
		return o.errorf("found the input %v, expected the channels as the second axis", x)
	}
	if !(epsilon > 0) || !(momentum >= 0 && momentum < 1) {
		return o.errorf("found epsilon %v and momentum %v, expected epsilon > 0 and 0 ≤ momentum < 1", epsilon, momentum)
	}
	// In ONNX it is the weight of the old statistics, here that of the batch.
	momentum = math.Round((1-momentum)*1e6) / 1e6
	if epsilon == 1e-5 {
		epsilon = 0
	}
	if momentum == 0.1 {
		momentum = 0
	}
	l := b.last()
	stem := "batchnorm"
	if conv, ok := lastConv(l); ok && !conv.BatchNorm && conv.Activation == "" && conv.Pool == 0 {
		conv.BatchNorm, conv.Epsilon, conv.Momentum = true, epsilon, momentum
		l.block, stem = conv, "norm"
	} else {
		l = b.append(layer{block: graph.BatchNorm{Epsilon: epsilon, Momentum: momentum}})
	}
	for i, tail := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		values, err := c.floats(o, o.operand(i+1), x.channels)
		if err != nil {
			return err
		}
		l.add(stem, tail, []int{x.channels}, values)
	}
	return nil
}

func lastConv(l *layer) (graph.Conv, bool) {
	if l == nil {
		return graph.Conv{}, false
	}
	conv, ok := l.block.(graph.Conv)
	return conv, ok
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

func (c *converter) pool(o *operator, a *settings, b *branch) error {
	x := b.at
	size, stride, pads, _, err := window(o, a, x, 0)
	if err != nil {
		return err
	}
	ceil := a.integer("ceil_mode", 0)
	a.integer("storage_order", 0)
	a.integer("count_include_pad", 0)
	if x.rows {
		return o.errorf("found a pool of one pixel")
	}
	if pads != [4]int{pads[0], pads[0], pads[0], pads[0]} || 2*pads[0] > size || o.kind == "AveragePool" && pads[0] > 0 {
		return o.errorf("found the padding %v, expected that of a max pool, the same on all sides and at most half the kernel", pads)
	}
	height, width := x.height+2*pads[0]-size, x.width+2*pads[0]-size
	if ceil != 0 && (height%stride != 0 || width%stride != 0) {
		return o.errorf("found ceil_mode for %v, where windows exceed the image, expected only whole windows", x)
	}
	b.at.height, b.at.width = height/stride+1, width/stride+1
	if o.kind == "AveragePool" {
		b.append(layer{block: graph.AveragePool{Size: size, Stride: unless(stride, size)}})
		return nil
	}
	if pads[0] == 0 && size == stride && size > 1 {
		l := b.last()
		if conv, ok := lastConv(l); ok && conv.Pool == 0 {
			conv.Pool = size
			l.block = conv
			return nil
		}
		if l != nil {
			if r, ok := l.block.(graph.Residual); ok && r.Pool == 0 {
				r.Pool = size
				l.block = r
				return nil
			}
		}
	}
	b.append(layer{block: graph.MaxPool{Size: size, Stride: unless(stride, size), Padding: pads[0]}})
	return nil
}

// unless returns 0, which stands for the default, if the value is that.
func unless(value, standard int) int {
	if value == standard {
		return 0
	}
	return value
}

// global appends a global average pool; the axes of the pixel remain in the file's tensor.
func (c *converter) global(b *branch) error {
	if !b.at.rows {
		b.append(layer{block: graph.GlobalAveragePool{}})
	}
	b.at.height, b.at.width, b.at.rows = 1, 1, true
	return nil
}

func (c *converter) globalAverage(o *operator, a *settings, b *branch) error {
	if b.at.layout != channelsFirst {
		return o.errorf("found the input %v, expected (batch, channels, height, width)", b.at)
	}
	return c.global(b)
}

// spatial are the axes of the pixels.
func (p position) spatial() []int {
	switch p.layout {
	case channelsLast:
		return []int{1, 2}
	case planes:
		return []int{2}
	}
	return []int{2, 3}
}

// areAxes tells whether a list has the expected axes, which may be counted from the end.
func areAxes(list []int, rank int, expected ...int) bool {
	var positive []int
	for _, axis := range list {
		if axis < 0 {
			axis += rank
		}
		positive = append(positive, axis)
	}
	slices.Sort(positive)
	return slices.Equal(positive, expected)
}

func (c *converter) reduceMean(o *operator, a *settings, b *branch) error {
	_, axes, keep, err := c.reduction(o)
	if err != nil {
		return err
	}
	a.asked = map[string]bool{"axes": true, "keepdims": true, "noop_with_empty_axes": true}
	return c.pixels(o, axes, keep, b)
}

// pixels makes a global average pool of a mean over axes.
func (c *converter) pixels(o *operator, axes []int, keep bool, b *branch) error {
	if b.at.layout == flat || !areAxes(axes, len(b.at.shape(0)), b.at.spatial()...) {
		return o.errorf("found a mean of %v over the axes %v, expected those of height and width", b.at, axes)
	}
	if err := c.global(b); err != nil {
		return err
	}
	if !keep {
		b.at.layout = flat
	}
	return nil
}

// vectors makes (batch, features) of images.
func (c *converter) vectors(o *operator, b *branch) error {
	x := b.at
	if !x.rows {
		if x.layout == channelsLast && x.height*x.width > 1 {
			return o.errorf("it flattens %v with the channels last, expected (batch, channels, height, width)", x)
		}
		b.append(layer{block: graph.Flatten{}})
	}
	b.at.channels, b.at.height, b.at.width, b.at.layout, b.at.rows = x.features(), 1, 1, flat, true
	return nil
}

func (c *converter) flatten(o *operator, a *settings, b *branch) error {
	rank := len(b.at.shape(0))
	axis := a.integer("axis", 1)
	if axis < 0 {
		axis += rank
	}
	if axis != 1 {
		return o.errorf("found axis %d, expected 1", axis)
	}
	return c.vectors(o, b)
}

func (c *converter) reshape(o *operator, a *settings, b *branch) error {
	x := b.at
	zero := a.integer("allowzero", 0)
	var target []int64
	if list, found := a.integers("shape"); found { // before operator set 5
		for _, v := range list {
			target = append(target, int64(v))
		}
	} else {
		k, err := c.value(o.operand(1))
		if err != nil {
			return errors.Wrap(err, o.String())
		}
		if k.isFloat || len(k.integers) > maxRank {
			return o.errorf("found a shape that is no short list of integers")
		}
		target = slices.Clone(k.integers)
	}
	shape := x.shape(c.batch)
	if len(target) == 1 && target[0] == -1 && x.rows {
		b.at.layout = list
		return nil
	}
	if len(target) < 2 {
		return o.errorf("found the shape %v, expected (batch, features)", target)
	}
	product, open := 1, -1
	for i, v := range target {
		if v == 0 && zero == 0 && i < len(shape) {
			v = shape[i]
			target[i] = v
		}
		switch {
		case i == 0 && (v == c.batch || v == -1 && !slices.Contains(target[1:], -1)):
			target[0] = c.batch
		case i > 0 && v == -1 && open < 0:
			open = i
		case i > 0 && v >= 1 && v <= int64(x.features()) && product*int(v) <= x.features():
			product *= int(v)
		default:
			return o.errorf("it makes %v of %v, expected the batch size and %d features", describeShape(target), x, x.features())
		}
	}
	if open > 0 {
		target[open] = int64(x.features() / product)
		product *= x.features() / product
	}
	one := func(axes ...int) bool { return target[axes[0]] == 1 && target[axes[1]] == 1 }
	switch {
	case product != x.features():
		return o.errorf("it makes %v of %v, expected %d features", describeShape(target), x, x.features())
	case slices.Equal(target, shape):
		return nil
	case len(target) == 2:
		return c.vectors(o, b)
	case len(target) == 3 && x.layout == channelsFirst && target[1] == int64(x.channels):
		b.at.layout = planes
		return nil
	case len(target) == 4 && x.layout == planes && slices.Equal(target[1:], []int64{int64(x.channels), int64(x.height), int64(x.width)}):
		b.at.layout = channelsFirst
		return nil
	case len(target) == 4 && x.rows && one(2, 3):
		b.at.layout = channelsFirst
		return nil
	case len(target) == 4 && x.rows && one(1, 2):
		b.at.layout = channelsLast
		return nil
	}
	return o.errorf("it makes %v of %v, expected (batch, features)", describeShape(target), x)
}

// gatherAll converts a Gather of all elements in their order, by which PyTorch's exporter
// writes a change of the shape after a pool (as_strided).
func (c *converter) gatherAll(o *operator, a *settings, b *branch) error {
	axis := a.integer("axis", 0)
	if b.at.layout != list || axis != 0 && axis != -1 {
		return o.errorf("found elements of %v, expected all of them", b.at)
	}
	index, err := c.valueFor(o.operand(1))
	if err != nil {
		return errors.Wrap(err, o.String())
	}
	images := c.batch
	if images == batchSize {
		images = trialBatch
	}
	ordered := !index.isFloat && len(index.shape) >= 2 && int64(index.shape[0]) == images && int64(len(index.integers)) == images*int64(b.at.channels)
	for i, v := range index.integers {
		ordered = ordered && v == int64(i)
	}
	if !ordered {
		return o.errorf("found elements of %v, expected all of them in their order", b.at)
	}
	switch rest := index.shape[1:]; {
	case len(rest) == 1:
		b.at.layout = flat
	case len(rest) == 3 && rest[1]*rest[2] == 1:
		b.at.layout = channelsFirst
	case len(rest) == 3 && rest[0]*rest[1] == 1:
		b.at.layout = channelsLast
	default:
		return o.errorf("it makes the shape %v, expected (batch, features)", index.shape)
	}
	return nil
}

func describeShape(shape []int64) string {
	var texts []string
	for _, v := range shape {
		if v == batchSize {
			texts = append(texts, "batch")
		} else {
			texts = append(texts, strconv.FormatInt(v, 10))
		}
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// squeeze removes or inserts the axes of one pixel.
func (c *converter) squeeze(o *operator, a *settings, b *branch) error {
	x := b.at
	var from *constant
	if name := o.operand(1); name != "" {
		var err error
		if from, err = c.value(name); err != nil {
			return errors.Wrap(err, o.String())
		}
	}
	axes, _, err := o.axes(a, from)
	if err != nil {
		return err
	}
	switch {
	case o.kind == "Squeeze" && x.layout != flat && x.height*x.width == 1 && areAxes(axes, len(x.shape(0)), x.spatial()...):
		return c.vectors(o, b)
	case o.kind == "Unsqueeze" && x.layout == flat && areAxes(axes, 4, 2, 3):
		b.at.layout = channelsFirst
		return nil
	case o.kind == "Unsqueeze" && x.layout == flat && areAxes(axes, 4, 1, 2):
		b.at.layout = channelsLast
		return nil
	}
	return o.errorf("found the axes %v of %v, expected those of height and width of one pixel", axes, x)
}

func (c *converter) transpose(o *operator, a *settings, b *branch) error {
	order, found := a.integers("perm")
	switch x := b.at; {
	case !found:
	case x.layout == channelsFirst && slices.Equal(order, []int{0, 2, 3, 1}):
		b.at.layout = channelsLast
		return nil
	case x.layout == channelsLast && slices.Equal(order, []int{0, 3, 1, 2}):
		b.at.layout = channelsFirst
		return nil
	}
	return o.errorf("found the order %v of the axes of %v, expected one that makes the channels the last axis or the second", order, b.at)
}

func (c *converter) pad(o *operator, a *settings, b *branch) error {
	x := b.at
	mode, value := a.text("mode", "constant"), a.float("value", 0)
	list, found := a.integers("pads")
	if name := o.operand(1); name != "" {
		k, err := c.value(name)
		if err != nil {
			return errors.Wrap(err, o.String())
		}
		for _, v := range k.integers {
			list, found = append(list, int(min(max(v, math.MinInt32), math.MaxInt32))), true
		}
	}
	if name := o.operand(2); name != "" {
		v, isScalar := c.scalar(name)
		if value = v; !isScalar {
			return o.errorf("%q is no constant of one floating-point number", name)
		}
	}
	var from *constant
	if name := o.operand(3); name != "" {
		var err error
		if from, err = c.value(name); err != nil {
			return errors.Wrap(err, o.String())
		}
	}
	axes, given, err := o.axes(a, from)
	if err != nil {
		return err
	}
	rank := len(x.shape(0))
	if !given {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	if mode != "constant" || value != 0 || !found || len(list) != 2*len(axes) {
		return o.errorf("found mode %q, value %v and pads %v, expected zeros around images", mode, value, list)
	}
	var amounts [4]int
	for i, axis := range axes {
		if axis < 0 {
			axis += rank
		}
		before, after := list[i], list[len(axes)+i]
		switch at := slices.Index(x.spatial(), axis); {
		case before == 0 && after == 0:
		case at < 0 || x.rows || before < 0 || after < 0 || before > 1<<12 || after > 1<<12:
			return o.errorf("found pads %v of %v, expected zeros around height and width", list, x)
		default:
			amounts[at] += before
			amounts[at+2] += after
		}
	}
	for i := range amounts {
		if b.at.pads[i] += amounts[i]; b.at.pads[i] > 1<<12 {
			return o.errorf("found pads of %v in all", b.at.pads)
		}
	}
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
