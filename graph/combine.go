package graph

import (
	"slices"

	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// In evaluation, blocks that are an inverted residual are computed together, see kernel.Inverted, and so
// are a convolution and the sum of a residual block. They are found among the nodes of a sequence rather
// than among the blocks of a network, so that neither the structure of a graph nor the names of its
// weights depend on it. In training, a convolution and such a sum are one operation, too: Residual.Apply
// holds the convolution back until it has the other summand.

// combineInverted replaces convolutions that can be computed together by one calculation, which
// is that of their last node, and returns the nodes that are left.
func (b *Builder) combineInverted(nodes []*Node, kept map[*Node]bool) []*Node {
	if b.Dtype() == Float32 {
		return combineInverted[float32](b, nodes, kept)
	}
	return combineInverted[float64](b, nodes, kept)
}

func combineInverted[T Float](b *Builder, nodes []*Node, kept map[*Node]bool) []*Node {
	readers := b.readers(nodes)
	// reader returns the one node that reads a node, with its calculation; nil if there are
	// others, or if the value of the node is kept.
	reader := func(node *Node) (*Node, *functionCall[T]) {
		if kept[node] || len(readers[node]) != 1 {
			return nil, nil
		}
		call, _ := b.calculations[readers[node][0]].(*functionCall[T])
		return readers[node][0], call
	}
	removed := map[*Node]bool{}
	for _, node := range nodes {
		depthwise, _ := b.calculations[node].(*functionCall[T])
		last, project := reader(node)
		if depthwise.conv() == nil || project.conv() == nil || project.inputs[0] != node {
			continue
		}
		f, x, combined := newInverted(nil, depthwise, project, false), depthwise.inputs[0], []*Node{node}
		if next, _ := reader(x); next == node {
			expand, _ := b.calculations[x].(*functionCall[T])
			if expand.conv() != nil {
				if whole := newInverted(expand, depthwise, project, false); whole != nil {
					f, x, combined = whole, expand.inputs[0], append(combined, x)
				}
			}
		}
		if f == nil {
			continue
		}
		if sum, call := reader(last); call != nil && len(call.inputs) == 2 && call.inputs[0] == last && call.inputs[1] == x {
			if r, ok := call.function.(*residualSum[T]); ok && r.function == kernel.Identity {
				if whole := newInverted(f.expand, depthwise, project, true); whole != nil {
					f, last, combined = whole, sum, append(combined, last)
				}
			}
		}
		operands := []*Node{x}
		for _, part := range []*functionCall[T]{f.expand, f.depthwise, f.project} {
			if part != nil {
				operands = append(operands, part.inputs[1:]...)
			}
		}
		whole := b.calculations[last].(*functionCall[T])
		b.calculations[last] = &functionCall[T]{whole.name, f, operands, whole.output}
		for _, each := range combined {
			removed[each] = true
		}
	}
	return slices.DeleteFunc(nodes, func(n *Node) bool { return removed[n] })
}

// readers returns, for each node, those that read its value.
func (b *Builder) readers(nodes []*Node) map[*Node][]*Node {
	readers := map[*Node][]*Node{}
	for _, node := range nodes {
		for _, operand := range b.calculations[node].operands() {
			readers[operand] = append(readers[operand], node)
		}
	}
	return readers
}

// combineSums replaces the last convolution of a residual block and the sum after it by one calculation in evaluation,
// which saves two passes over memory, and returns the nodes that are left.
func (b *Builder) combineSums(nodes []*Node, kept map[*Node]bool) []*Node {
	if b.Dtype() == Float32 {
		return combineSums[float32](b, nodes, kept)
	}
	return combineSums[float64](b, nodes, kept)
}

func combineSums[T Float](b *Builder, nodes []*Node, kept map[*Node]bool) []*Node {
	readers, removed := b.readers(nodes), map[*Node]bool{}
	for _, node := range nodes {
		sum, _ := b.calculations[node].(*functionCall[T])
		if sum == nil || len(sum.inputs) != 2 || kept[sum.inputs[0]] || len(readers[sum.inputs[0]]) != 1 {
			continue
		}
		r, ok := sum.function.(*residualSum[T])
		last, _ := b.calculations[sum.inputs[0]].(*functionCall[T])
		if !ok || last.conv() == nil || !last.block().Adds(r.function) {
			continue
		}
		removed[sum.inputs[0]] = true
		operands := append(slices.Clone(last.inputs), sum.inputs[1])
		b.calculations[node] = &functionCall[T]{sum.name, &convSum[T]{last.conv(), r.function}, operands, sum.output}
	}
	return slices.DeleteFunc(nodes, func(n *Node) bool { return removed[n] })
}

// convSum is the Function of a convolution block and the sum after it. Its operands are those of the block
// and then the other summand.
type convSum[T Float] struct {
	conv     *convFunction[T]
	function kernel.Activation
}

func (f *convSum[T]) Forward(y []T, x ...[]T) {
	last := len(x) - 1
	f.conv.block.ForwardSum(y, x[0], f.conv.arrange(x[:last]), x[last], f.function)
}

// Backward is called in training only.
func (f *convSum[T]) Backward(dx, x [][]T, y, dy []T) {
	last := len(x) - 1
	f.conv.block.BackwardSum(dx[0], f.conv.arrange(dx[:last]), dx[last], x[0], f.conv.arrange(x[:last]), y, dy, f.function)
}

func (f *convSum[T]) backwardReads(operand int) bool {
	if operand == result {
		return f.function != kernel.Identity
	}
	return operand <= len(f.conv.slots) // not the other summand
}

// bodySum is the part of the body of a residual block in its sum, in training.
type bodySum struct {
	function kernel.Activation // of the sum
	alone    bool              // the other summand is the input of the body, and the function is the identity
	added    bool              // the body's operation computes the sum
	last     *convLayer        // the last convolution of the body, which is not an operation yet; nil if all are
	label    string            // of that convolution, in the structure of the graph
}

// convolveOrHold adds the last convolution of the body of a residual block. If the convolution and the sum can be one operation,
// it records the convolution in the sum instead and returns its input.
func (b *Builder) convolveOrHold(c Conv, number int, x *Node, sum *bodySum) *Node {
	layer := c.layer(b, number, x.Shape(), MaxPool{})
	if b.mode != Training || b.apart || !layer.f32.block.Adds(sum.function) || !layer.f64.block.Adds(sum.function) {
		return b.applyLayer(layer, x)
	}
	sum.last, sum.label = &layer, b.path(layer.name)+" "
	b.count++
	return x
}

// convolveAndAdd adds the last convolution of a body, whose input is x, and the sum of a residual block as one operation with the
// given name. The structure of the graph is that of two.
func (b *Builder) convolveAndAdd(name string, sum *bodySum, x, shortcut *Node) *Node {
	layer := sum.last
	operands := append(append([]*Node{x}, layer.weights...), shortcut)
	y := b.Apply(name, layer.output, &convSum[float32]{layer.f32, sum.function}, &convSum[float64]{layer.f64, sum.function}, operands...)
	b.adds(y, sum.function)
	y.Op().(*operation).layers = []structureLayer{{sum.label, layer.output, len(layer.weights)}}
	return y
}

// conv returns the Function if it is that of a convolution block, and nil otherwise.
func (f *functionCall[T]) conv() *convFunction[T] {
	if f == nil {
		return nil
	}
	conv, _ := f.function.(*convFunction[T])
	return conv
}

// block returns the kernel of a convolution block, or nil if there is no block.
func (f *functionCall[T]) block() *kernel.Block[T] {
	if f == nil {
		return nil
	}
	return f.conv().block
}

// inverted is the Function of blocks that are computed together. Its operands are the input and
// then the weights of each block.
type inverted[T Float] struct {
	kernel                     *kernel.Inverted[T]
	expand, depthwise, project *functionCall[T] // expand may be nil
}

// newInverted returns the Function of blocks, or nil if they cannot be computed together or if that
// does not pay.
func newInverted[T Float](expand, depthwise, project *functionCall[T], residual bool) *inverted[T] {
	k := kernel.NewInverted(expand.block(), depthwise.block(), project.block(), residual)
	if k == nil || !k.Pays() {
		return nil
	}
	return &inverted[T]{k, expand, depthwise, project}
}

func (f *inverted[T]) Forward(y []T, x ...[]T) {
	at := 0 // the operand before the weights of the next block
	weights := func(call *functionCall[T]) (w kernel.BlockWeights[T]) {
		if conv := call.conv(); conv != nil {
			w = conv.arrange(x[at:])
			at += len(conv.slots)
		}
		return w
	}
	expand, depthwise := weights(f.expand), weights(f.depthwise)
	f.kernel.Forward(y, x[0], expand, depthwise, weights(f.project))
}

// Backward is never called: graphs for evaluation have no gradients.
func (f *inverted[T]) Backward(dx, x [][]T, y, dy []T) {
	panic("graph: blocks that are computed together have no gradient")
}
