package onnx

import (
	"strconv"

	"github.com/likeness-go/likeness/graph"
)

// sequence draws the blocks one after the other, under the names that
// graph.Builder.Sequence gives their weights.
func (d *drawing) sequence(blocks []graph.Block, x value) value {
	numbers := map[string]int{}
	for _, block := range blocks {
		kind := block.Kind()
		numbers[kind]++
		x = d.block(block, strconv.Itoa(numbers[kind]), x)
	}
	return x
}

// block draws one block, the number-th of its kind. Images are channels first
// here, as weights and flattened features are: nothing has to be transposed.
func (d *drawing) block(block graph.Block, number string, x value) value {
	name := block.Kind() + number
	switch b := block.(type) {
	case graph.Conv:
		return d.conv(b, number, x)
	case graph.Linear:
		return d.linear(b, name, x)
	case graph.BatchNorm:
		return d.norm(name, x)
	case graph.Activate:
		return d.activate(name, b.Function, x)
	case graph.MaxPool:
		return d.pool("MaxPool", name, b.Size, b.Stride, x)
	case graph.AveragePool:
		return d.averagePool(b, name, x)
	case graph.GlobalAveragePool:
		return d.flatten(name, d.node("GlobalAveragePool", name+"_mean", x, nil))
	case graph.Flatten:
		return d.flatten(name, x)
	case graph.Normalize:
		return d.normalize(name, x)
	case graph.Residual:
		return d.residual(b, name, x)
	case graph.Dropout:
		return x // evaluation has none
	}
	d.fail("block %s is of type %T, which has no form in ONNX: only the blocks of package graph do", d.path(name), block)
	return x
}

func (d *drawing) conv(c graph.Conv, number string, x value) value {
	name := "conv" + number
	constants := []string{d.weight(name + ".weight")}
	if !c.NoBias {
		constants = append(constants, d.weight(name+".bias"))
	}
	stride := max(c.Stride, 1)
	x = d.node("Conv", name, x, constants,
		integers("kernel_shape", c.Kernel, c.Kernel), integers("strides", stride, stride),
		integers("pads", c.Padding, c.Padding, c.Padding, c.Padding))
	if c.BatchNorm {
		x = d.norm("norm"+number, x)
	}
	x = d.activate(name+"_"+c.Activation, c.Activation, x)
	if c.Pool > 0 {
		x = d.pool("MaxPool", name+"_pool", c.Pool, 0, x)
	}
	return x
}

func (d *drawing) linear(l graph.Linear, name string, x value) value {
	constants := []string{d.weight(name + ".weight")}
	if !l.NoBias {
		constants = append(constants, d.weight(name+".bias"))
	}
	x = d.node("Gemm", name, x, constants, integer("transB", 1)) // the weight is (out, in)
	return d.activate(name+"_"+l.Activation, l.Activation, x)
}

// norm is batch norm with the running statistics. Its epsilon is the operator's
// default, 1e-5, as PyTorch's and ours are.
func (d *drawing) norm(name string, x value) value {
	var constants []string
	for _, each := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		constants = append(constants, d.weight(name+each))
	}
	return d.node("BatchNormalization", name, x, constants)
}

func (d *drawing) activate(name, function string, x value) value {
	switch function {
	case "relu":
		return d.node("Relu", name, x, nil)
	case "sigmoid":
		return d.node("Sigmoid", name, x, nil)
	case "tanh":
		return d.node("Tanh", name, x, nil)
	case "prelu":
		return d.node("PRelu", name, x, []string{d.channelWeight(name+".weight", x)})
	case "":
		return x
	}
	d.fail("%s: activation %q has no form in ONNX here", d.path(name), function)
	return x
}

// pool drops rows and columns that fill no window, as ours do. A stride of 0 is
// the size.
func (d *drawing) pool(operator, name string, size, stride int, x value) value {
	if stride == 0 {
		stride = size
	}
	return d.node(operator, name, x, nil, integers("kernel_shape", size, size), integers("strides", stride, stride))
}

func (d *drawing) averagePool(p graph.AveragePool, name string, x value) value {
	if !p.Trainable {
		return d.pool("AveragePool", name, p.Size, p.Stride, x)
	}
	x = d.pool("AveragePool", name+"_mean", p.Size, p.Stride, x)
	x = d.node("Mul", name+"_scaled", x, []string{d.channelWeight(name+".weight", x)})
	return d.node("Add", name, x, []string{d.channelWeight(name+".bias", x)})
}

func (d *drawing) flatten(name string, x value) value {
	x = d.node("Flatten", name, x, nil, integer("axis", 1))
	x.image = false
	return x
}

func (d *drawing) residual(r graph.Residual, name string, x value) value {
	sum := d.within(name, func() value {
		body := d.sequence(r.Body, x)
		shortcut := d.within("shortcut", func() value { return d.sequence(r.Shortcut, x) })
		return d.node("Add", "sum", body, []string{shortcut.name})
	})
	sum = d.activate(name+"_"+r.Activation, r.Activation, sum)
	if r.Pool > 0 {
		sum = d.pool("MaxPool", name+"_pool", r.Pool, 0, sum)
	}
	return sum
}
