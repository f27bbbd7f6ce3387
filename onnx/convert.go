package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// maxNesting is how deep residual blocks may be nested, so that the network can be written
// as TOML.
const maxNesting = 8

// layout is the order of the axes of a tensor in the file. In this module images are always
// channels last.
type layout int

const (
	channelsFirst layout = iota // (batch, channels, height, width)
	channelsLast                // (batch, height, width, channels)
	flat                        // (batch, features)
	planes                      // (batch, channels, height·width)
	list                        // (batch·features)
)

// position is a tensor of the file on the way through it.
type position struct {
	tensor                  string
	channels, height, width int
	layout                  layout
	// rows tells whether the network of this module has vectors here, (batch, features). A
	// tensor of the file may still have axes of one pixel then.
	rows bool
	pads [4]int // zeros of a Pad before the convolution: top, left, bottom, right
}

// shape is that of the file's tensor.
func (p position) shape(batch int64) []int64 {
	c, h, w := int64(p.channels), int64(p.height), int64(p.width)
	switch p.layout {
	case channelsFirst:
		return []int64{batch, c, h, w}
	case channelsLast:
		return []int64{batch, h, w, c}
	case planes:
		return []int64{batch, c, h * w}
	case list:
		return nil
	}
	return []int64{batch, c}
}

// features is the number of elements of one image.
func (p position) features() int { return p.channels * p.height * p.width }

// String describes the position in errors.
func (p position) String() string {
	if p.layout == list {
		return fmt.Sprintf("%q of shape (batch·%d)", p.tensor, p.channels)
	}
	texts := []string{"batch"}
	for _, extent := range p.shape(0)[1:] {
		texts = append(texts, fmt.Sprint(extent))
	}
	return fmt.Sprintf("%q of shape (%s)", p.tensor, strings.Join(texts, ", "))
}

// layer is a block with its weights.
type layer struct {
	block          graph.Block
	weights        []layerWeight
	body, shortcut []layer  // of a residual block
	input          position // of a fully connected layer
}

// layerWeight is a weight whose name in the network is stem, the number of the block among
// those of its kind, and tail.
type layerWeight struct {
	stem, tail string
	shape      []int
	values     []float32
}

func (l *layer) add(stem, tail string, shape []int, values []float32) {
	l.weights = append(l.weights, layerWeight{stem, tail, shape, values})
}

// weight returns a weight of the layer, or nil.
func (l *layer) weight(stem, tail string) *layerWeight {
	for i := range l.weights {
		if l.weights[i].stem == stem && l.weights[i].tail == tail {
			return &l.weights[i]
		}
	}
	return nil
}

// converter makes blocks of a graph.
type converter struct {
	*source
	batch int64 // number of images that the file is made for, or batchSize
	users map[string][]*operator
	// values is the number of elements of all results so far, for one image.
	values int
}

// maxValues is the largest number of elements of all results for one image: a graph allocates
// memory for them. ResNet-50 has as many at 1,000×1,000 pixels.
const maxValues = 1 << 28

// branch is a part of the network that begins where another begins, too, and ends before a
// node that joins two branches; or at the output, where join is nil.
type branch struct {
	at     position
	layers []layer
	join   *operator
}

// connect finds the users of each tensor among the nodes that compute on images.
func (c *converter) connect() {
	c.users = map[string][]*operator{}
	for _, o := range c.nodes {
		if c.static[o.outputs[0]] {
			continue
		}
		for i, name := range o.inputs {
			if name != "" && !c.static[name] && !slices.Contains(o.inputs[:i], name) {
				c.users[name] = append(c.users[name], o)
			}
		}
	}
}

// joins tells whether a node has the results of two branches as operands.
func (c *converter) joins(o *operator) bool {
	return o.domain == "" && o.fused == nil && (o.kind == "Add" || o.kind == "Mul" || o.kind == "Sum") && len(o.inputs) == 2 &&
		o.inputs[0] != "" && o.inputs[1] != "" && !c.static[o.inputs[0]] && !c.static[o.inputs[1]]
}

// follow converts nodes from a position on.
func (c *converter) follow(b branch, depth int) (branch, error) {
	for {
		c.shapes[b.at.tensor] = b.at.shape(c.batch)
		if b.at.tensor == c.output {
			b.join = nil
			return b, nil
		}
		users := c.users[b.at.tensor]
		switch len(users) {
		case 0:
			return b, errors.Errorf("%v is not used, although the output depends on it: only the first output of a node may be used", b.at)
		case 1:
			o := users[0]
			if !c.joins(o) {
				if err := c.operator(o, &b); err != nil {
					return b, err
				}
				continue
			}
			if o.inputs[0] != o.inputs[1] {
				b.join = o
				return b, nil
			}
			side := branch{at: b.at, join: o}
			joined, err := c.join(side, side)
			if err != nil {
				return b, err
			}
			b.at, b.layers = joined.at, append(b.layers, joined.layers...)
		default:
			joined, err := c.fork(b.at, users, depth)
			if err != nil {
				return b, err
			}
			b.at, b.layers = joined.at, append(b.layers, joined.layers...)
		}
	}
}

// fork converts the branches that begin at a position until they are one again.
func (c *converter) fork(at position, users []*operator, depth int) (branch, error) {
	if depth == maxNesting {
		return branch{}, errors.Errorf("at %v: residual blocks are nested more than %d deep", at, maxNesting)
	}
	if at.pads != ([4]int{}) {
		return branch{}, errors.Errorf("at %v: a Pad has several users, expected a convolution", at)
	}
	waiting := map[*operator]branch{}
	var order []*operator // of the joins, for errors
	var begun []branch
	for _, o := range users {
		b := branch{at: at}
		if c.joins(o) {
			b.join = o
		} else {
			if err := c.operator(o, &b); err != nil {
				return b, err
			}
			var err error
			if b, err = c.follow(b, depth+1); err != nil {
				return b, err
			}
		}
		begun = append(begun, b)
	}
	for len(begun) > 0 {
		b := begun[0]
		begun = begun[1:]
		if b.join == nil {
			return b, errors.Errorf("%v is used more than once, but the output comes of one branch alone, expected branches that are added again", at)
		}
		other, found := waiting[b.join]
		if !found {
			waiting[b.join] = b
			order = append(order, b.join)
			continue
		}
		delete(waiting, b.join)
		joined, err := c.join(other, b)
		if err != nil {
			return joined, err
		}
		if len(begun)+len(waiting) == 0 {
			return joined, nil
		}
		if joined, err = c.follow(joined, depth+1); err != nil {
			return joined, err
		}
		begun = append(begun, joined)
	}
	for _, o := range order {
		if _, found := waiting[o]; found {
			return branch{}, o.errorf("it joins branches that do not begin at one tensor: only sequences with residual blocks and squeeze-and-excite can be read")
		}
	}
	return branch{}, errors.Errorf("%v is used in a way that cannot be read", at)
}

// join makes one layer of two branches.
func (c *converter) join(x, y branch) (branch, error) {
	o := x.join
	if x.at.pads != ([4]int{}) || y.at.pads != ([4]int{}) {
		return branch{}, o.errorf("found a Pad before it, expected a convolution after a Pad")
	}
	if x.at.layout == list || y.at.layout == list {
		return branch{}, o.errorf("found the operands %v and %v, expected (batch, features)", x.at, y.at)
	}
	if x.at.tensor != o.inputs[0] {
		x, y = y, x
	}
	if o.kind == "Mul" {
		return c.squeezeExcite(x, y)
	}
	a := o.settings()
	if err := a.done(); err != nil {
		return branch{}, err
	}
	at := x.at
	if at.tensor = y.at.tensor; at != y.at {
		return branch{}, o.errorf("it adds %v and %v, expected equal shapes", x.at, y.at)
	}
	// The longer branch is the body, because only a short one can be the shortcut.
	body, shortcut := x.layers, y.layers
	if len(shortcut) > len(body) {
		body, shortcut = shortcut, body
	}
	at.tensor = o.outputs[0]
	return branch{at: at, layers: []layer{{block: graph.Residual{}, body: body, shortcut: shortcut}}}, nil
}

// squeezeExcite makes a block of x, or of y, and the factors of its channels.
func (c *converter) squeezeExcite(x, y branch) (branch, error) {
	o := x.join
	if len(x.layers) > 0 {
		x, y = y, x
	}
	fail := func(format string, arguments ...any) (branch, error) {
		return branch{}, o.errorf("it multiplies two tensors that are computed from the images, expected squeeze-and-excite, a global average pool and two 1×1 convolutions, or an activation; %s", fmt.Sprintf(format, arguments...))
	}
	var names []string
	for _, l := range y.layers {
		names = append(names, l.block.Kind())
	}
	if len(x.layers) > 0 || !slices.Equal(names, []string{"globalaveragepool", "linear", "linear"}) {
		return fail("found the layers %v", names)
	}
	if x.at.layout == flat || x.at.layout != y.at.layout || x.at.rows || !y.at.rows || x.at.channels != y.at.channels {
		return fail("found factors %v for %v", y.at, x.at)
	}
	reduce, expand := y.layers[1], y.layers[2]
	first, second := reduce.block.(graph.Linear), expand.block.(graph.Linear)
	for _, function := range []string{first.Activation, second.Activation} {
		if function == "" || function == "prelu" {
			return fail("found a convolution with the activation %q", function)
		}
	}
	block := graph.SqueezeExcite{Channels: first.Units}
	if first.Activation != "relu" {
		block.Activation = first.Activation
	}
	if second.Activation != "sigmoid" {
		block.Gate = second.Activation
	}
	result := layer{block: block}
	for i, part := range []layer{reduce, expand} {
		name := []string{".reduce", ".expand"}[i]
		weight := part.weight("linear", ".weight")
		result.add("squeezeexcite", name+".weight", weight.shape, weight.values)
		bias := make([]float32, weight.shape[0])
		if given := part.weight("linear", ".bias"); given != nil {
			bias = given.values
		}
		result.add("squeezeexcite", name+".bias", []int{len(bias)}, bias)
	}
	at := x.at
	at.tensor = o.outputs[0]
	return branch{at: at, layers: []layer{result}}, nil
}

// assemble returns the blocks of layers and their weights by the names that
// graph.Builder.Sequence gives them.
func assemble(layers []layer, scope string, weights map[string]layerWeight) []graph.Block {
	var blocks []graph.Block
	numbers := map[string]int{}
	for _, l := range layers {
		kind := l.block.Kind()
		numbers[kind]++
		number := fmt.Sprint(numbers[kind])
		if r, ok := l.block.(graph.Residual); ok {
			within := scope + kind + number + "."
			r.Body = assemble(l.body, within, weights)
			r.Shortcut = assemble(l.shortcut, within+"shortcut.", weights)
			l.block = r
		}
		for _, w := range l.weights {
			weights[scope+w.stem+number+w.tail] = w
		}
		blocks = append(blocks, l.block)
	}
	return blocks
}
