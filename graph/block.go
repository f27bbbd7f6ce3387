package graph

import (
	"strconv"

	"gorgonia.org/gorgonia"
)

// Block is one step of a network. A block is plain data: the same value may be
// applied in many graphs, and twice in one graph binds the same weights.
type Block interface {
	// Kind names the block, and in small letters its weights: the second
	// Linear of a sequence owns "linear2.weight".
	Kind() string
	// Apply adds the block, the number-th of its kind in its sequence (from 1),
	// to the graph.
	Apply(b *Builder, number int, x *Node) *Node
}

// Sequence applies the blocks one after the other. The weights' names count
// each kind of block from 1, so two sequences of the same blocks in the same
// scope share their weights: that is what makes towers twins.
func (b *Builder) Sequence(blocks []Block, x *Node) *Node {
	numbers := map[string]int{}
	for i, block := range blocks {
		if block == nil {
			b.Fail("block %d of the sequence is nil", i+1)
		}
		kind := block.Kind()
		numbers[kind]++
		x = b.layer(blockName(kind, numbers[kind]), func() *Node {
			if x == nil {
				b.Fail("its input is nil, expected a node")
			}
			y := block.Apply(b, numbers[kind], x)
			if y == nil {
				b.Fail("a block of type %T gives a nil node, expected one", block)
			}
			return y
		})
	}
	return x
}

func blockName(kind string, number int) string { return kind + strconv.Itoa(number) }

// image gives the extents of a batch of images (batch, height, width,
// channels), or fails.
func (b *Builder) image(x *Node) (batch, height, width, channels int) {
	shape := x.Shape()
	if shape.Dims() != 4 {
		b.Fail("found an input of shape %v, expected (batch, height, width, channels)", shape)
	}
	return shape[0], shape[1], shape[2], shape[3]
}

// rows gives the extents of a batch of vectors (batch, features), or fails.
func (b *Builder) rows(x *Node) (batch, features int) {
	shape := x.Shape()
	if shape.Dims() != 2 {
		b.Fail("found an input of shape %v, expected (batch, features): put a flatten block before", shape)
	}
	return shape[0], shape[1]
}

// Residual adds what its body makes of the input to the input itself (He et
// al. 2016): y = activation(body(x) + shortcut(x)), then an optional max pool.
// An empty shortcut is the identity, for which body and input must have the
// same shape.
type Residual struct {
	Body       []Block
	Shortcut   []Block
	Activation string
	Pool       int // size and stride of a max pool; 0 is none
}

// Kind is "residual".
func (Residual) Kind() string { return "residual" }

// Apply adds the block to the graph.
func (r Residual) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("residual", number), r.Activation)
	sum := b.Scope(blockName("residual", number), func() *Node {
		body := b.Sequence(r.Body, x)
		shortcut := b.Scope("shortcut", func() *Node { return b.Sequence(r.Shortcut, x) })
		if !body.Shape().Eq(shortcut.Shape()) {
			b.Fail("the body gives shape %v and the shortcut %v: they must be equal to be added", body.Shape(), shortcut.Shape())
		}
		return b.Node(gorgonia.Add(body, shortcut))
	})
	sum = b.activate(blockName("residual", number)+"_"+r.Activation, r.Activation, sum)
	if r.Pool > 0 {
		sum = MaxPool{Size: r.Pool}.Apply(b, number, sum)
	}
	return sum
}
