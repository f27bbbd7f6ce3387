package graph

import (
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/random"
	"gorgonia.org/tensor"
)

// Block is a layer or a group of layers of a network. A block holds no state: the same
// value may be applied in many graphs, and applied twice in one graph it uses the same
// weights.
type Block interface {
	// Kind is the name of the kind of block, from which the names of weights are
	// made: the second Linear of a sequence has the weight "linear2.weight".
	Kind() string
	// Apply adds the block, the number-th of its kind in its sequence (from 1),
	// to the graph.
	Apply(b *Builder, number int, x *Node) *Node
}

// Sequence applies the blocks one after the other. In the names of weights the blocks of
// each kind are numbered from 1, so two sequences of the same blocks in the same scope
// share their weights, as the towers of a siamese network do.
func (b *Builder) Sequence(blocks []Block, x *Node) *Node { return b.SequenceFrom(0, blocks, x) }

// SequenceFrom applies the blocks from index first on to x, the result of those before. The
// blocks are numbered as by Sequence, so they have the same weights.
func (b *Builder) SequenceFrom(first int, blocks []Block, x *Node) *Node {
	return b.sequence(first, blocks, x, nil)
}

// sequence is SequenceFrom. With a sum, unless that is nil, it leaves out the last convolution, or adds x, as the
// fields of the sum say.
func (b *Builder) sequence(first int, blocks []Block, x *Node, sum *bodySum) *Node {
	if first < 0 || first > len(blocks) {
		b.Fail("found %d as the first of %d blocks", first, len(blocks))
	}
	numbers := map[string]int{}
	for i := 0; i < len(blocks); i++ {
		block := blocks[i]
		if block == nil {
			b.Fail("block %d of the sequence is nil", i+1)
		}
		kind := block.Kind()
		numbers[kind]++
		if i < first {
			continue
		}
		if layers := b.invertedBlocks(blocks[i:], x); layers != nil {
			add := sum != nil && sum.alone && len(layers) == len(blocks)
			if x, add = b.invertedTraining(layers, numbers[kind], x, add); add {
				sum.added = true
			}
			numbers[kind] += len(layers) - 1
			i += len(layers) - 1
			continue
		}
		if c, pool, ok := b.pooledBlocks(blocks[i:], x); ok {
			numbers[pool.Kind()]++
			x = b.convolveAndPool(c, numbers[kind], pool, numbers[pool.Kind()], x)
			i++
			continue
		}
		x = b.Named(blockName(kind, numbers[kind]), func() *Node {
			if x == nil {
				b.Fail("its input is nil, expected a node")
			}
			if c, ok := block.(Conv); ok && sum != nil && i == len(blocks)-1 {
				return b.convolveOrHold(c, numbers[kind], x, sum)
			}
			y := block.Apply(b, numbers[kind], x)
			if y == nil {
				b.Fail("a block of type %T returned a nil node, expected one", block)
			}
			return y
		})
	}
	return x
}

func blockName(kind string, number int) string { return kind + strconv.Itoa(number) }

// image returns the extents of a batch of images (batch, height, width,
// channels), or fails.
func (b *Builder) image(x *Node) (batch, height, width, channels int) { return b.imageShape(x.Shape()) }

func (b *Builder) imageShape(shape tensor.Shape) (batch, height, width, channels int) {
	if shape.Dims() != 4 {
		b.Fail("found an input of shape %v, expected (batch, height, width, channels)", shape)
	}
	return shape[0], shape[1], shape[2], shape[3]
}

// rows returns the extents of a batch of vectors (batch, features), or fails.
func (b *Builder) rows(x *Node) (batch, features int) {
	shape := x.Shape()
	if shape.Dims() != 2 {
		b.Fail("found an input of shape %v, expected (batch, features): put a flatten block before it", shape)
	}
	return shape[0], shape[1]
}

// Residual is a residual block (He et al. 2016): y = activation(body(x) +
// shortcut(x)), then an optional max pool. An empty shortcut is the identity; then the
// body must not change the shape.
type Residual struct {
	Body       []Block
	Shortcut   []Block
	Activation string
	Pool       int // size and stride of a max pool; 0 for none

	// Drop is the probability that training leaves out the body for an image (stochastic
	// depth, Huang et al. 2016); the body is divided by 1 − Drop for the others.
	Drop float64 `json:",omitempty"`
}

// Kind is "residual".
func (Residual) Kind() string { return "residual" }

// Apply adds the block to the graph.
func (r Residual) Apply(b *Builder, number int, x *Node) *Node {
	name := blockName("residual", number)
	b.Describe(name, r.Activation)
	if r.Drop != 0 {
		b.Describe(name+"_drop", r.Drop)
	}
	var body, shortcut *Node
	var part *bodySum // the part of the body in the sum
	if r.Drop == 0 {
		part = &bodySum{alone: r.Activation == "" && len(r.Shortcut) == 0, function: b.activation(r.Activation)}
	}
	b.Scope(name, func() *Node {
		body = b.sequence(0, r.Body, x, part)
		if part != nil && part.added {
			return nil
		}
		shortcut = b.Scope("shortcut", func() *Node { return b.Sequence(r.Shortcut, x) })
		shape := body.Shape()
		if part != nil && part.last != nil {
			shape = part.last.output
		}
		if !shape.Eq(shortcut.Shape()) {
			b.Fail("the body has the shape %v and the shortcut %v, expected equal shapes", shape, shortcut.Shape())
		}
		body = b.drop(r.Drop, body)
		return nil
	})
	operation := name
	if r.Activation != "" {
		operation += "_" + r.Activation
	}
	sum := body
	switch {
	case part != nil && part.last != nil:
		sum = b.convolveAndAdd(operation, part, body, shortcut)
	case part == nil || !part.added:
		sum = b.addActivated(operation, r.Activation, body, shortcut)
	}
	if r.Pool > 0 {
		sum = MaxPool{Size: r.Pool}.Apply(b, number, sum)
	}
	return sum
}

// drop leaves out images with a probability in training, see Residual.Drop. Each tower and
// each run has its own, as Dropout has.
func (b *Builder) drop(rate float64, x *Node) *Node {
	if !(rate >= 0 && rate < 1) {
		b.Fail("found a drop probability of %v, expected 0 ≤ probability < 1", rate)
	}
	if b.mode == Evaluation || rate == 0 {
		return x
	}
	name := b.path("drop")
	mask := dropoutMask{rate: rate, runs: b.runs, seed: random.Seed(b.weights.seed, "drop", name, b.place())}
	batch := x.Shape()[0]
	return b.Apply("drop", x.Shape().Clone(),
		&stochasticDepth[float32]{mask, make([]float32, batch)}, &stochasticDepth[float64]{mask, make([]float64, batch)}, x)
}

type stochasticDepth[T Float] struct {
	dropoutMask
	factors []T // of the images in the last forward pass
}

func (d *stochasticDepth[T]) Forward(y []T, x ...[]T) {
	r := random.New(d.seed, d.runs.step)
	for i := range d.factors {
		d.factors[i] = 0
		if r.Float64() >= d.rate {
			d.factors[i] = T(1 / (1 - d.rate))
		}
	}
	kernel.ScaleImages(y, x[0], d.factors, len(d.factors), len(y)/len(d.factors))
}

func (d *stochasticDepth[T]) backwardReads(int) bool { return false }

func (d *stochasticDepth[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ScaleImages(dx[0], dy, d.factors, len(d.factors), len(dy)/len(d.factors))
}

// addActivated adds two nodes and applies the named function, as one operation. In the
// structure of the graph it is two, as which earlier versions built it.
func (b *Builder) addActivated(name, functionName string, x, y *Node) *Node {
	function, shape := b.activation(functionName), x.Shape()
	channels := shape[shape.Dims()-1]
	operands := []*Node{x, y}
	if function == kernel.PReLU {
		operands = append(operands, b.slope(name, channels))
	}
	sum := b.Apply(name, shape.Clone(),
		&residualSum[float32]{function: function, channels: channels, training: b.mode == Training},
		&residualSum[float64]{function: function, channels: channels, training: b.mode == Training}, operands...)
	b.adds(sum, function)
	return sum
}

// adds records that the operation of a node begins with a sum, after which it applies the function.
func (b *Builder) adds(node *Node, function kernel.Activation) {
	op := node.Op().(*operation)
	if op.adds = true; function == kernel.Identity {
		op.only = true
		b.sums++
	}
}

type residualSum[T Float] struct {
	function kernel.Activation
	channels int
	training bool
	sum      []T // the argument of the function in the last forward pass, if its gradient needs that
}

func (f *residualSum[T]) Forward(y []T, x ...[]T) {
	if f.training && f.function.NeedsArgument() && f.sum == nil {
		f.sum = make([]T, len(y))
	}
	kernel.AddActivate(f.function, y, f.sum, x[0], x[1], third(x), f.channels)
}

// backwardReads: functions other than the identity have their gradient from the sum or the result.
func (f *residualSum[T]) backwardReads(operand int) bool {
	return operand == 2 || operand == result && f.function != kernel.Identity // 2 is the slope
}

func (f *residualSum[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.AddActivateBackward(f.function, dx[0], dx[1], third(dx), f.sum, y, dy, third(x), f.channels)
}

// Activate applies a function to every element. The empty name is the identity.
//
//	relu         max(x, 0)
//	relu6        min(max(x, 0), 6)
//	prelu        x above zero and slope·x below; each channel has a trainable slope,
//	             "preluN.weight", which is initially 0.25 (He et al. 2015)
//	sigmoid      1/(1 + e⁻ˣ)
//	tanh         tanh x
//	silu         x·sigmoid(x), also called swish
//	gelu         x·Φ(x), Φ being the distribution function of the standard normal
//	             distribution (Hendrycks & Gimpel 2016): the exact form
//	hardsigmoid  relu6(x + 3)/6
//	hardswish    x·relu6(x + 3)/6 (Howard et al. 2019)
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

// activate applies the named function. The operation and the scope of the slope have
// the given name.
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
	if name == "" {
		return kernel.Identity
	}
	names := kernel.ActivationNames()
	function, ok := kernel.ActivationNamed(name)
	if !ok {
		b.Fail("found activation %q, expected %s or %s", name, strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
	}
	return function
}

// slope adds the weight of a PReLU.
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

// second returns the second operand, or nil if there is none.
func second[T Float](operands [][]T) []T {
	if len(operands) < 2 {
		return nil
	}
	return operands[1]
}

// Dropout sets each element to zero with probability Rate in training and divides the
// others by 1 − Rate, so that evaluation needs no change (Srivastava et al. 2014, in the
// inverted form). Each tower has its own mask, which depends on the random seed of the
// weights and the number of the run.
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
	mask := dropoutMask{rate: d.Rate, runs: b.runs, seed: random.Seed(b.weights.seed, "dropout", name, b.place())}
	return b.Apply(blockName("dropout", number), x.Shape().Clone(),
		&dropout[float32]{dropoutMask: mask}, &dropout[float64]{dropoutMask: mask}, x)
}

// dropoutMask is the distribution of a mask.
type dropoutMask struct {
	rate float64
	seed uint64
	runs *runState
}

type dropout[T Float] struct {
	dropoutMask
	kept []bool // the mask of the last forward pass
}

func (d *dropout[T]) Forward(y []T, x ...[]T) {
	d.kept = append(d.kept[:0], make([]bool, len(y))...)
	r := random.New(d.seed, d.runs.step)
	for i, v := range x[0] {
		d.kept[i] = r.Float64() >= d.rate
		y[i] = d.pass(i, v)
	}
}

func (d *dropout[T]) backwardReads(int) bool { return false }

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

// Uniform returns independent random numbers, uniform in [0, 1), of the shape of x, whose
// values it does not depend on: for operations that sample, such as losses that sample
// examples. They depend on the random seed of the weights, the name, and the number of the
// run (Program.SetStep), and have no gradient. In float32 and float64 they are the same
// multiples of 2⁻²⁴.
func (b *Builder) Uniform(name string, x *Node) *Node {
	if x == nil {
		b.Fail("%s: operand 0 is nil, expected a node", name)
	}
	seed := random.Seed(b.weights.seed, "uniform", b.path(name), b.place())
	return b.Apply(name, x.Shape().Clone(), uniform[float32]{seed, b.runs}, uniform[float64]{seed, b.runs}, x)
}

type uniform[T Float] struct {
	seed uint64
	runs *runState
}

func (u uniform[T]) Forward(y []T, _ ...[]T) {
	r := random.New(u.seed, u.runs.step)
	for i := range y {
		y[i] = T(r.Float32())
	}
}

func (u uniform[T]) Backward(dx, _ [][]T, _, _ []T) { clear(dx[0]) }

// Flatten makes a vector of each image: (batch, height, width, channels) to (batch,
// channels·height·width), in PyTorch's channel-height-width order, so that the weights of
// fully connected layers are the same as in PyTorch. It copies the elements, unlike
// Gorgonia's Reshape, which shares memory with its source.
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

func (f *flatten[T]) backwardReads(int) bool { return false }

func (f *flatten[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ChannelsLast(dx[0], dy, f.batch, f.height, f.width, f.channels)
}

// Reshape copies the elements of a node into another shape of the same size. Without
// extents the result is a scalar.
func (b *Builder) Reshape(x *Node, shape ...int) *Node {
	if tensor.Shape(shape).TotalSize() != x.Shape().TotalSize() {
		b.Fail("reshape: found shape %v, expected the same number of elements as the new shape %v", x.Shape(), tensor.Shape(shape))
	}
	return b.Apply("reshape", shape, &copying[float32]{}, &copying[float64]{}, x)
}

type copying[T Float] struct{}

func (*copying[T]) Forward(y []T, x ...[]T) { copy(y, x[0]) }
func (*copying[T]) backwardReads(int) bool  { return false }

func (*copying[T]) Backward(dx, x [][]T, y, dy []T) { copy(dx[0], dy) }
