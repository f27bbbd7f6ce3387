package graph

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/internal/random"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Weight is the node of a named weight of the present scope. The first use
// brings the weight into being; later uses, in this graph or another, get the
// same tensor. One name with two shapes or two roles is an error.
//
// Each use in a graph is a leaf of its own over that tensor, so that each has
// its own gradient: Parameter adds these up, on all threads and in place, which
// Gorgonia's addition of nodes does not.
func (b *Builder) Weight(name string, role Role, initial Initializer, shape ...int) *Node {
	name = b.path(name)
	if !initial.valid() {
		b.Fail("weight %q: found initial scheme %q, expected he, xavier, normal or constant", name, initial.Scheme)
	}
	elements := b.bounded(fmt.Sprintf("weight %q", name), shape, MaxParameters)
	weight := b.weights.Get(name)
	if weight == nil {
		if others := b.weights.elements(); elements > MaxParameters-others {
			b.Fail("weight %q: %d elements and the %d of the weights before it are too many, expected at most %d", name, elements, others, MaxParameters)
		}
		weight = b.weights.add(name, role, shape)
		fanIn, fanOut := fans(shape)
		initial.draw(weight.Value, random.New(b.weights.seed, "weight", name), fanIn, fanOut)
	}
	if !weight.Value.Shape().Eq(shape) {
		b.Fail("weight %q: found shape %v, expected %v", name, weight.Value.Shape(), tensor.Shape(shape))
	}
	if weight.Role != role {
		b.Fail("weight %q: found the role of a %v, expected %v", name, weight.Role, role)
	}
	uses := b.learned[name]
	if len(uses) > 0 && (b.mode == Evaluation || !weight.Trainable()) {
		return uses[0]
	}
	leaf := "weight:" + name
	if len(uses) > 0 {
		leaf += fmt.Sprintf(" use %d", len(uses)+1)
	}
	node := gorgonia.NewTensor(b.graph, b.Dtype(), len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName(leaf), gorgonia.WithValue(weight.Value))
	b.learned[name] = append(uses, node)
	b.leaves[node] = name
	if len(uses) == 0 {
		b.order = append(b.order, name)
	}
	b.requires[node] = weight.Trainable()
	return node
}

// WeightNode is a weight with its node in the graph being built.
type WeightNode struct {
	*Weight
	Node *Node
}

// WeightNodes lists the weights that the graph learns, of those it uses so far,
// in the order of their first use.
func (b *Builder) WeightNodes() []WeightNode {
	var nodes []WeightNode
	for _, name := range b.order {
		if weight := b.weights.Get(name); weight.Trainable() {
			nodes = append(nodes, WeightNode{weight, b.learned[name][0]})
		}
	}
	return nodes
}

// fans are the numbers of inputs and outputs of one unit of a weight in
// canonical layout.
func fans(shape []int) (in, out int) {
	if len(shape) == 1 {
		return shape[0], shape[0]
	}
	window := 1
	for _, extent := range shape[2:] {
		window *= extent
	}
	return shape[1] * window, shape[0] * window
}

// extents says whether a shape has one extent or more and all are positive.
func extents(shape tensor.Shape) bool { return len(shape) > 0 && slices.Min(shape) > 0 }
