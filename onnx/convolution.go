package onnx

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

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
