package graph

import (
	"strconv"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/random"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
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

// Activate applies a function to every element: "relu", "prelu" (with a slope
// of its own for each channel, "preluN.weight", 0.25 at first: He et al.
// 2015), "sigmoid" or "tanh". The empty name is the identity.
type Activate struct {
	Function string
}

// Kind is the name of the function.
func (a Activate) Kind() string {
	if a.Function == "" {
		return "identity"
	}
	return a.Function
}

// Apply adds the block to the graph.
func (a Activate) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName(a.Kind(), number), a)
	return b.activate(blockName(a.Kind(), number), a.Function, x)
}

// activate applies the named function; name is that of the operation and of
// the slope's scope.
func (b *Builder) activate(name, functionName string, x *Node) *Node {
	function := b.activation(functionName)
	if function == kernel.Identity {
		return x
	}
	shape := x.Shape()
	channels := shape[shape.Dims()-1]
	operands := []*Node{x}
	if function == kernel.PReLU {
		operands = append(operands, b.slope(name, channels))
	}
	return b.Apply(name, shape.Clone(),
		&activation[float32]{function, channels}, &activation[float64]{function, channels}, operands...)
}

// activation finds a function by its name.
func (b *Builder) activation(name string) kernel.Activation {
	switch name {
	case "":
		return kernel.Identity
	case "relu":
		return kernel.ReLU
	case "prelu":
		return kernel.PReLU
	case "sigmoid":
		return kernel.Sigmoid
	case "tanh":
		return kernel.Tanh
	}
	b.Fail("found activation %q, expected relu, prelu, sigmoid or tanh", name)
	return kernel.Identity
}

// slope is the weight of a PReLU.
func (b *Builder) slope(name string, channels int) *Node {
	return b.Scope(name, func() *Node {
		return b.Weight("weight", Gain, Constant(0.25), channels)
	})
}

type activation[T Float] struct {
	function kernel.Activation
	channels int
}

func (a *activation[T]) Forward(y []T, x ...[]T) {
	kernel.Activate(a.function, y, x[0], second(x), a.channels)
}

func (a *activation[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ActivateBackward(a.function, dx[0], second(dx), x[0], y, dy, second(x), a.channels)
}

// second is the operand of a slope or a weight, which an operation may do
// without.
func second[T Float](operands [][]T) []T {
	if len(operands) < 2 {
		return nil
	}
	return operands[1]
}

// Dropout sets each element to zero with probability Rate while training and
// divides the others by 1 − Rate, so that evaluation needs no change
// (Srivastava et al. 2014, in the inverted form). Each tower has a mask of its
// own, drawn from the weights' seed and the number of the run.
type Dropout struct {
	Rate float64 // in [0, 1)
}

// Kind is "dropout".
func (Dropout) Kind() string { return "dropout" }

// Apply adds the block to the graph.
func (d Dropout) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("dropout", number), d)
	if d.Rate < 0 || d.Rate >= 1 {
		b.Fail("found a rate of %v, expected 0 ≤ rate < 1", d.Rate)
	}
	if b.mode == Evaluation || d.Rate == 0 {
		return x
	}
	name := b.path(blockName("dropout", number))
	mask := dropoutMask{rate: d.Rate, runs: b.runs, seed: random.Seed(b.weights.seed, "dropout", name, b.count)}
	return b.Apply(blockName("dropout", number), x.Shape().Clone(),
		&dropout[float32]{dropoutMask: mask}, &dropout[float64]{dropoutMask: mask}, x)
}

// dropoutMask says how a mask is drawn.
type dropoutMask struct {
	rate float64
	seed uint64
	runs *runState
}

type dropout[T Float] struct {
	dropoutMask
	kept []bool // of the last forward pass
}

func (d *dropout[T]) Forward(y []T, x ...[]T) {
	d.kept = append(d.kept[:0], make([]bool, len(y))...)
	r := random.New(d.seed, d.runs.step)
	for i, v := range x[0] {
		d.kept[i] = r.Float64() >= d.rate
		y[i] = d.pass(i, v)
	}
}

func (d *dropout[T]) Backward(dx, x [][]T, y, dy []T) {
	for i, v := range dy {
		dx[0][i] = d.pass(i, v)
	}
}

func (d *dropout[T]) pass(i int, v T) T {
	if !d.kept[i] {
		return 0
	}
	return v / T(1-d.rate)
}

// Flatten makes a vector of each image: (batch, height, width, channels) to
// (batch, channels·height·width), in channel-height-width order as PyTorch
// has it, so that fully connected weights are the same in both. It copies:
// Gorgonia's Reshape shares memory with its source, which a later operation in
// place corrupts.
type Flatten struct{}

// Kind is "flatten".
func (Flatten) Kind() string { return "flatten" }

// Apply adds the block to the graph.
func (Flatten) Apply(b *Builder, number int, x *Node) *Node {
	batch, height, width, channels := b.image(x)
	return b.Apply(blockName("flatten", number), tensor.Shape{batch, channels * height * width},
		&flatten[float32]{batch, height, width, channels}, &flatten[float64]{batch, height, width, channels}, x)
}

type flatten[T Float] struct{ batch, height, width, channels int }

func (f *flatten[T]) Forward(y []T, x ...[]T) {
	kernel.ChannelsFirst(y, x[0], f.batch, f.height, f.width, f.channels)
}

func (f *flatten[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ChannelsLast(dx[0], dy, f.batch, f.height, f.width, f.channels)
}

// Reshape gives a node another shape of the same size, by a copy.
func (b *Builder) Reshape(x *Node, shape ...int) *Node {
	if tensor.Shape(shape).TotalSize() != x.Shape().TotalSize() {
		b.Fail("reshape: found shape %v, which has not the size of %v", x.Shape(), tensor.Shape(shape))
	}
	return b.Apply("reshape", shape, &copying[float32]{}, &copying[float64]{}, x)
}

type copying[T Float] struct{}

func (*copying[T]) Forward(y []T, x ...[]T)         { copy(y, x[0]) }
func (*copying[T]) Backward(dx, x [][]T, y, dy []T) { copy(dx[0], dy) }
