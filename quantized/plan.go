package quantized

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/integer"
	"github.com/pkg/errors"
)

// ErrUnsupported is the error for a network with a block that has no integer form.
var ErrUnsupported = errors.New("the block has no integer form")

// kind is the type of the elements of a value.
type kind int

const (
	bytes kind = iota // uint8, the activations of images
	words             // uint16, those of vectors
	sums              // int64, sums of products before they are requantized
)

// value is what a step reads or writes for one image, (height, width, channels). A number q of
// bytes or words stands for scale·(q − zero); numbers of sums have a scale for each channel.
// The scales are known while a network is quantized only: the integers do not need them.
type value struct {
	name                    string // unique; that of the block
	height, width, channels int
	kind                    kind
	most                    int32 // the largest number of words
	zero                    int32

	// draw adds the value to the graph in float32 that calibrates it, given the values before; nil
	// if it is never calibrated or derived.
	draw drawing
	// derive computes the value in float64 from that of another one, (channels) of one image.
	derive     func(weights *source, x []float64) []float64
	derivedOf  int
	calibrated bool // its range is needed
}

func (v *value) len() int       { return v.height * v.width * v.channels }
func (v *value) isVector() bool { return v.height == 1 && v.width == 1 }

func (v *value) shape() integer.Shape {
	return integer.Shape{Height: v.height, Width: v.width, Channels: v.channels}
}

// plan is the steps that compute a network. It follows from the blocks of the network alone:
// the lengths of all parameters are known before a file is read.
type plan struct {
	size   imaging.Size
	values []*value
	steps  []step
	names  map[string]bool
}

// newPlan makes the plan of a network. It returns an error for a block that has no integer form.
func newPlan(network backbone.Network) (*plan, error) {
	if err := network.Size.Validate(); err != nil {
		return nil, err
	}
	p := &plan{size: network.Size, names: map[string]bool{}}
	size := network.Size
	in := p.add(&value{name: "input", height: size.Height, width: size.Width, channels: size.Channels, kind: bytes})
	p.append(&inputStep{base: base{"input", nil, in}})
	last, err := p.sequence(network.Blocks, nil, in)
	if err != nil {
		return nil, err
	}
	v := p.values[last]
	if !v.isVector() {
		return nil, errors.Errorf("the last block has the shape %d×%d×%d, expected a vector: end with flatten, globalaveragepool or linear", v.height, v.width, v.channels)
	}
	p.append(&outputStep{base: base{"output", []int{last}, -1}})
	return p, nil
}

// add appends a value.
func (p *plan) add(v *value) int {
	for name, n := v.name, 2; p.names[v.name]; n++ {
		v.name = fmt.Sprintf("%s_%d", name, n)
	}
	p.names[v.name] = true
	p.values = append(p.values, v)
	return len(p.values) - 1
}

// append appends a step and returns its result.
func (p *plan) append(s step) int {
	p.steps = append(p.steps, s)
	return s.at().out
}

// scope is the names of the residual blocks around a block.
type scope []string

func (s scope) name(block string) string {
	return strings.Join(append(append(scope{}, s...), block), ".")
}

// draw calls a function in the scope of a builder.
func (s scope) draw(b *graph.Builder, f func() *graph.Node) *graph.Node {
	if len(s) == 0 {
		return f()
	}
	return b.Scope(s[0], func() *graph.Node { return s[1:].draw(b, f) })
}

// apply draws a block on the value of an index.
func (s scope) apply(block graph.Block, number, x int) drawing {
	return func(b *graph.Builder, nodes []*graph.Node) *graph.Node {
		return s.draw(b, func() *graph.Node { return block.Apply(b, number, nodes[x]) })
	}
}

// sequence plans blocks, one after the other, and returns the value of the last.
func (p *plan) sequence(blocks []graph.Block, within scope, x int) (int, error) {
	numbers := map[string]int{}
	for i := 0; i < len(blocks); i++ {
		block := blocks[i]
		if block == nil {
			return 0, errors.Errorf("block %d is nil", i+1)
		}
		number := func(block graph.Block) int {
			numbers[block.Kind()]++
			return numbers[block.Kind()]
		}
		l := layer{within: within, first: i == 0, number: number(block)}
		l.name = within.name(fmt.Sprint(block.Kind(), l.number))
		// A batch norm after a convolution or a fully connected layer is part of it, and so is an
		// activation.
		bare := false
		switch b := block.(type) {
		case graph.Conv:
			bare = b.Activation == "" && b.Pool == 0
		case graph.Linear:
			bare = b.Activation == ""
		}
		if bare && i+1 < len(blocks) {
			if norm, ok := blocks[i+1].(graph.BatchNorm); ok {
				l.norm, l.normNumber = &norm, number(norm)
				i++
			}
		}
		if bare && i+1 < len(blocks) {
			if activate, ok := blocks[i+1].(graph.Activate); ok && activate.Function != "" {
				l.activate, l.activateNumber = &activate, number(activate)
				i++
			}
		}
		var err error
		if x, err = p.block(block, l, x); err != nil {
			return 0, errors.WithMessagef(err, "block %s", l.name)
		}
	}
	return x, nil
}

// layer is where a block is in a network.
type layer struct {
	name   string // with its scope
	within scope
	first  bool // of its sequence
	number int  // among the blocks of its kind

	norm           *graph.BatchNorm // that follows the block and is computed with it; nil for none
	normNumber     int
	activate       *graph.Activate // likewise
	activateNumber int
}

// block plans one block.
func (p *plan) block(block graph.Block, l layer, x int) (int, error) {
	switch b := block.(type) {
	case graph.Conv:
		return p.conv(b, l, x)
	case graph.Linear:
		return p.linear(b, l, x)
	case graph.Residual:
		return p.residual(b, l, x)
	case graph.Activate:
		if b.Function == "" {
			return x, nil
		}
		return p.activation(b.Function, l.name, within(l, b.Kind())+".weight", p.quantity(x), l.within.apply(b, l.number, x))
	case graph.MaxPool:
		return p.maxPool(b, l.name, l, x, !l.first)
	case graph.AveragePool:
		return p.average(averageStep{window: b.Size, stride: orDefault(b.Stride, b.Size), factor: optional(b.Trainable, l.name+".weight"), addend: optional(b.Trainable, l.name+".bias")}, block, l, x)
	case graph.BatchNorm:
		return p.average(averageStep{window: 1, stride: 1, norm: l.name, epsilon: orDefault(b.Epsilon, 1e-5)}, block, l, x)
	case graph.Scale:
		return p.average(averageStep{window: 1, stride: 1, factor: l.name + ".weight"}, block, l, x)
	case graph.GlobalAveragePool:
		if err := p.needs(x, bytes, "an image"); err != nil {
			return 0, err
		}
		out := p.add(&value{name: l.name, height: 1, width: 1, channels: p.values[x].channels, kind: sums, draw: l.within.apply(b, l.number, x)})
		return p.append(&sumStep{base: base{l.name, []int{x}, out}}), nil
	case graph.GeM:
		return p.gem(b, l, x)
	case graph.SqueezeExcite:
		return p.squeezeExcite(b, l, x)
	case graph.Flatten:
		v := *p.values[x]
		v.name, v.channels, v.height, v.width = l.name, v.len(), 1, 1
		v.draw, v.calibrated = l.within.apply(b, l.number, x), false
		if v.kind != bytes {
			return 0, errors.New("found a vector, expected an image to flatten")
		}
		return p.append(&flattenStep{base{l.name, []int{x}, p.add(&v)}}), nil
	case graph.Normalize:
		x = p.quantity(x)
		v := p.values[x]
		if !v.isVector() {
			return 0, errors.New("found an image, expected a vector to normalize")
		}
		out := p.add(&value{name: l.name, height: 1, width: 1, channels: v.channels, kind: sums, draw: l.within.apply(b, l.number, x)})
		return p.append(&normalizeStep{base{l.name, []int{x}, out}}), nil
	case graph.Dropout:
		return x, nil
	case graph.LayerNorm:
		return 0, errors.Wrap(ErrUnsupported, "a layer norm divides by a statistic of each image, which needs more than integers of 8 bits: give a network with batch norm, such as resnet18, mobilenet-v2 or efficientnet-lite0")
	}
	return 0, errors.Wrapf(ErrUnsupported, "found a block of type %T, expected one of package graph", block)
}

// within is the name of a kind of block with the number of a layer.
func within(l layer, kind string) string { return l.within.name(fmt.Sprint(kind, l.number)) }

// orDefault is a number, or another one if it is 0.
func orDefault[T int | float64](x, otherwise T) T {
	if x == 0 {
		return otherwise
	}
	return x
}

// optional is a name where it is given.
func optional(given bool, name string) string {
	if given {
		return name
	}
	return ""
}

// needs refuses a value of another kind.
func (p *plan) needs(x int, k kind, what string) error {
	if v := p.values[x]; v.kind != k {
		return errors.Errorf("found a vector, expected %s", what)
	}
	return nil
}

// quantity is the value of an index with one scale for all channels: sums are requantized to
// words.
func (p *plan) quantity(x int) int {
	if p.values[x].kind != sums {
		return x
	}
	return p.requantize(x, p.values[x].name+".words", mostWord, bounds{}, sameAs(x))
}

// requantize plans words of sums.
func (p *plan) requantize(x int, name string, most int32, b bounds, draw drawing) int {
	out := p.add(&value{name: name, height: 1, width: 1, channels: p.values[x].channels, kind: words, most: most, draw: draw, calibrated: true})
	return p.append(&requantizeStep{base: base{name, []int{x}, out}, bounds: b})
}
