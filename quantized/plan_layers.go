package quantized

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/integer"
	"github.com/pkg/errors"
)

// conv plans a convolution.
func (p *plan) conv(c graph.Conv, l layer, x int) (int, error) {
	if err := p.needs(x, bytes, "an image"); err != nil {
		return 0, err
	}
	s := &convStep{shape: p.values[x].convShape(c), weights: weightsOf(l, c.NoBias)}
	if c.BatchNorm {
		own := normWeights{within(l, "norm"), orDefault(c.Epsilon, 1e-5)}
		s.weights.norms = append([]normWeights{own}, s.weights.norms...)
	}
	if err := s.shape.Validate(); err != nil {
		return 0, err
	}
	bare, full := c, c
	bare.Activation, bare.Pool, full.Pool = "", 0, 0
	f := p.function(c.Activation, l, l.within.apply(bare, l.number, x), l.within.apply(full, l.number, x))
	s.bounds = f.bounds
	result, v := s.shape.Output(), &value{name: l.name, kind: bytes, calibrated: true, draw: f.after}
	if f.isTable() {
		v.name, v.draw = l.name+".linear", f.before
	}
	v.height, v.width, v.channels = result.Height, result.Width, result.Channels
	s.base = base{v.name, []int{x}, p.add(v)}
	x = p.append(s)
	if f.isTable() {
		var err error
		if x, err = p.activation(f.name, l.name, f.slope, x, f.after); err != nil {
			return 0, err
		}
	}
	if c.Pool > 0 {
		return p.maxPool(graph.MaxPool{Size: c.Pool}, l.name+".pool", l, x, true)
	}
	return x, nil
}

// drawing adds a value to a graph, given the nodes of the values before.
type drawing = func(b *graph.Builder, nodes []*graph.Node) *graph.Node

// sameAs draws the value of an index.
func sameAs(x int) drawing {
	return func(_ *graph.Builder, nodes []*graph.Node) *graph.Node { return nodes[x] }
}

// function is the activation of a layer.
type function struct {
	name          string
	bounds        bounds
	slope         string // weight of a PReLU
	before, after drawing
}

// bounds are an activation that a layer computes as it rounds its sums.
type bounds struct {
	rectified bool    // the result is at least 0
	upper     float64 // and at most this; 0 for no limit
	slope     string  // factors of negative sums; "" for none
}

// isTable reports whether the activation is a step of its own.
func (f function) isTable() bool { return f.name != "" && f.bounds == (bounds{}) }

// function is the activation of a layer of the given one, or that which follows it. before draws
// the layer without its activation, and after with it.
func (p *plan) function(name string, l layer, before, after drawing) function {
	f := function{name: name, slope: l.name + "_prelu.weight", before: l.normed(before), after: after}
	if l.activate != nil {
		f.name, f.slope = l.activate.Function, l.within.name(fmt.Sprint(l.activate.Kind(), l.activateNumber))+".weight"
	}
	if l.norm != nil || l.activate != nil {
		f.after = l.activated(f.before)
	}
	f.bounds = boundsOf(f.name)
	if f.name == "prelu" {
		f.bounds.slope = f.slope
	}
	return f
}

// boundsOf are those of an activation without weights.
func boundsOf(name string) bounds {
	switch name {
	case "relu":
		return bounds{rectified: true}
	case "relu6":
		return bounds{rectified: true, upper: 6}
	}
	return bounds{}
}

// convShape is the shape of a convolution of the value.
func (v *value) convShape(c graph.Conv) integer.ConvShape {
	s := integer.ConvShape{
		Input: v.shape(), Filters: c.Filters, KernelHeight: c.Kernel, KernelWidth: c.Kernel, Stride: max(c.Stride, 1), Groups: c.Groups,
		Padding: integer.Padding{Top: c.Padding, Left: c.Padding, Bottom: c.Padding, Right: c.Padding},
	}
	if c.SamePadding { // as graph.Conv pads
		total := func(extent int) int { return max(((extent+s.Stride-1)/s.Stride-1)*s.Stride+c.Kernel-extent, 0) }
		rows, columns := total(v.height), total(v.width)
		s.Padding = integer.Padding{Top: rows / 2, Left: columns / 2, Bottom: rows - rows/2, Right: columns - columns/2}
	}
	return s
}

// normed adds the batch norm of a layer.
func (l layer) normed(linear drawing) drawing {
	if l.norm == nil {
		return linear
	}
	return func(b *graph.Builder, nodes []*graph.Node) *graph.Node {
		x := linear(b, nodes)
		return l.within.draw(b, func() *graph.Node { return l.norm.Apply(b, l.normNumber, x) })
	}
}

// activated adds the activation of a layer.
func (l layer) activated(linear drawing) drawing {
	if l.activate == nil {
		return linear
	}
	return func(b *graph.Builder, nodes []*graph.Node) *graph.Node {
		x := linear(b, nodes)
		return l.within.draw(b, func() *graph.Node { return l.activate.Apply(b, l.activateNumber, x) })
	}
}

// weightsOf names the weights of a convolution or a fully connected layer.
func weightsOf(l layer, noBias bool) (w linearWeights) {
	w.weight, w.bias = l.name+".weight", optional(!noBias, l.name+".bias")
	if l.norm != nil {
		w.norms = []normWeights{{l.within.name(fmt.Sprint("batchnorm", l.normNumber)), orDefault(l.norm.Epsilon, 1e-5)}}
	}
	return w
}

// linear plans a fully connected layer.
func (p *plan) linear(c graph.Linear, l layer, x int) (int, error) {
	x = p.quantity(x)
	v := p.values[x]
	if !v.isVector() {
		return 0, errors.New("found an image, expected a vector: put a flatten block before it")
	}
	if c.Units < 1 {
		return 0, errors.Errorf("found %d units, expected at least 1", c.Units)
	}
	bare := c
	bare.Activation = ""
	f := p.function(c.Activation, l, l.within.apply(bare, l.number, x), l.within.apply(c, l.number, x))
	name := l.name
	if f.name != "" {
		name += ".sums"
	}
	out := p.add(&value{name: name, height: 1, width: 1, channels: c.Units, kind: sums, draw: f.before})
	x = p.append(&linearStep{base: base{name, []int{x}, out}, inputs: v.channels, units: c.Units, weights: weightsOf(l, c.NoBias)})
	switch {
	case f.name == "":
		return x, nil
	case f.isTable():
		return p.activation(f.name, l.name, f.slope, p.requantize(x, l.name+".linear", mostIndex, bounds{}, f.before), f.after)
	}
	return p.requantize(x, l.name, mostWord, f.bounds, f.after), nil
}

// activation plans an activation as a table.
func (p *plan) activation(function, name, slope string, x int, draw drawing) (int, error) {
	f, known := functions[function]
	if !known && function != "prelu" {
		return 0, errors.Wrapf(ErrUnsupported, "found the activation %q", function)
	}
	if known {
		slope = ""
	}
	if p.values[x].kind == words && p.values[x].most > mostIndex {
		v := *p.values[x] // with fewer levels
		v.name, v.most, v.calibrated = name+".index", mostIndex, true
		v.draw = sameAs(x)
		x = p.append(&averageStep{base: base{v.name, []int{x}, p.add(&v)}, window: 1, stride: 1})
	}
	v := *p.values[x]
	v.name, v.draw, v.derive, v.calibrated = name, draw, nil, true
	if v.kind == words {
		v.most = mostWord
	}
	return p.append(&tableStep{base: base{name, []int{x}, p.add(&v)}, function: f, slope: slope}), nil
}

// residual plans a residual block.
func (p *plan) residual(r graph.Residual, l layer, x int) (int, error) {
	x = p.quantity(x)
	inner := append(append(scope{}, l.within...), fmt.Sprint("residual", l.number))
	shortcut, err := p.sequence(r.Shortcut, append(append(scope{}, inner...), "shortcut"), x)
	if err != nil {
		return 0, errors.WithMessage(err, "shortcut")
	}
	shortcut = p.quantity(shortcut)
	body, err := p.sequence(r.Body, inner, x)
	if err != nil {
		return 0, err
	}
	body = p.quantity(body)
	v, w := p.values[body], p.values[shortcut]
	if v.kind != w.kind || v.height != w.height || v.width != w.width || v.channels != w.channels {
		return 0, errors.Errorf("the body has the shape %d×%d×%d and the shortcut %d×%d×%d, expected equal shapes", v.height, v.width, v.channels, w.height, w.width, w.channels)
	}
	whole := func(activation string) drawing {
		return func(b *graph.Builder, nodes []*graph.Node) *graph.Node {
			block := graph.Residual{Body: []graph.Block{given{nodes[body]}}, Shortcut: []graph.Block{given{nodes[shortcut]}}, Activation: activation}
			return l.within.draw(b, func() *graph.Node { return block.Apply(b, l.number, nodes[x]) })
		}
	}
	f := function{name: r.Activation, bounds: boundsOf(r.Activation), slope: l.within.name(fmt.Sprint("residual", l.number, "_prelu.weight")), before: whole(""), after: whole(r.Activation)}
	sum := value{name: l.name, height: v.height, width: v.width, channels: v.channels, kind: v.kind, draw: f.after, calibrated: true}
	if f.isTable() {
		sum.name, sum.draw = l.name+".linear", f.before
	}
	if v.kind == words {
		sum.most = mostWord
		if f.isTable() {
			sum.most = mostIndex
		}
	}
	out := p.add(&sum)
	y := out
	if s, ok := p.steps[len(p.steps)-1].(*convStep); ok && s.out == body && body != x && body != shortcut && s.bounds == (bounds{}) && s.shape.Pool.Size == 0 {
		// The last convolution of the body adds the shortcut to its sums. What it computes without
		// remains for the calibration only.
		v.calibrated = false
		s.in, s.out, s.bounds = append(s.in, shortcut), out, f.bounds
	} else {
		p.append(&addStep{base: base{sum.name, []int{body, shortcut}, out}, bounds: f.bounds})
	}
	if f.isTable() {
		if y, err = p.activation(f.name, l.name, f.slope, y, f.after); err != nil {
			return 0, err
		}
	}
	if r.Pool > 0 {
		return p.maxPool(graph.MaxPool{Size: r.Pool}, l.name+".pool", l, y, false)
	}
	return y, nil
}

// given is a block whose result is a node that has been drawn.
type given struct{ node *graph.Node }

func (given) Kind() string                                         { return "given" }
func (g given) Apply(*graph.Builder, int, *graph.Node) *graph.Node { return g.node }

// maxPool plans a max pool. own is set if nothing else reads its input; the pool is then part of a
// convolution before it.
func (p *plan) maxPool(m graph.MaxPool, name string, l layer, x int, own bool) (int, error) {
	if err := p.needs(x, bytes, "an image"); err != nil {
		return 0, err
	}
	v := *p.values[x]
	s := &maxPoolStep{pool: integer.Pool{Size: m.Size, Stride: orDefault(m.Stride, m.Size), Padding: m.Padding}}
	kernel, err := integer.NewMaxPool(v.shape(), s.pool)
	if err != nil {
		return 0, err
	}
	result := kernel.Output()
	v.name, v.height, v.width = name, result.Height, result.Width
	v.draw, v.calibrated = l.within.apply(m, l.number, x), false
	if c, ok := p.steps[len(p.steps)-1].(*convStep); ok && own && c.out == x && len(c.in) == 1 && c.shape.Pool.Size == 0 {
		p.values[x].calibrated, v.calibrated = false, true
		c.shape.Pool, c.out = s.pool, p.add(&v)
		return c.out, nil
	}
	s.base = base{name, []int{x}, p.add(&v)}
	return p.append(s), nil
}

// average plans the mean of windows, with a factor and a shift for each channel.
func (p *plan) average(s averageStep, block graph.Block, l layer, x int) (int, error) {
	x = p.quantity(x)
	v := *p.values[x]
	if s.window < 1 || s.stride < 1 || s.window > v.height || s.window > v.width {
		return 0, errors.Errorf("found a window of %d with stride %d on an image of %d×%d, expected one within the image", s.window, s.stride, v.height, v.width)
	}
	if s.window*s.window > 1<<15 {
		return 0, errors.Errorf("found a window of %d, expected at most 181", s.window)
	}
	v.name, v.height, v.width = l.name, (v.height-s.window)/s.stride+1, (v.width-s.window)/s.stride+1
	v.draw, v.derive, v.calibrated = l.within.apply(block, l.number, x), nil, true
	s.base = base{l.name, []int{x}, p.add(&v)}
	return p.append(&s), nil
}

// gem plans generalized-mean pooling.
func (p *plan) gem(g graph.GeM, l layer, x int) (int, error) {
	if err := p.needs(x, bytes, "an image"); err != nil {
		return 0, err
	}
	v := p.values[x]
	out := p.add(&value{name: l.name, height: 1, width: 1, channels: v.channels, kind: words, most: mostWord, draw: l.within.apply(g, l.number, x), calibrated: true})
	return p.append(&gemStep{base: base{l.name, []int{x}, out}, epsilon: orDefault(g.Epsilon, 1e-6), exponent: l.name + ".weight"}), nil
}

// squeezeExcite plans a squeeze-and-excite layer: the steps of its factors and of their
// product with the image. The graph has it as one operation, so the values between are derived from
// the means of the channels.
func (p *plan) squeezeExcite(g graph.SqueezeExcite, l layer, x int) (int, error) {
	if err := p.needs(x, bytes, "an image"); err != nil {
		return 0, err
	}
	activation, gate := g.Activation, g.Gate
	if activation == "" {
		activation = "relu"
	}
	if gate == "" {
		gate = "sigmoid"
	}
	if functions[activation] == nil || functions[gate] == nil {
		return 0, errors.Wrapf(ErrUnsupported, "found the activations %q and %q", activation, gate)
	}
	if g.Channels < 1 {
		return 0, errors.Errorf("found %d channels between the two layers, expected at least 1", g.Channels)
	}
	v := p.values[x]
	mean := p.add(&value{name: l.name + ".mean", height: 1, width: 1, channels: v.channels, kind: sums, draw: l.within.apply(graph.GlobalAveragePool{}, 1, x)})
	p.append(&sumStep{base: base{l.name + ".mean", []int{x}, mean}})
	y := p.quantity(mean)
	layerOf := func(x int, name, function string, units int, to kind, before func(*source, []float64) []float64) (int, func(*source, []float64) []float64) {
		weights := linearWeights{weight: name + ".weight", bias: name + ".bias"}
		inputs := p.values[x].channels
		linear := func(s *source, x []float64) []float64 { return weights.apply(s, before(s, x), units) }
		after := func(s *source, x []float64) []float64 {
			y := linear(s, x)
			for i := range y {
				y[i] = functions[function](y[i])
			}
			return y
		}
		out := p.add(&value{name: name + ".sums", height: 1, width: 1, channels: units, kind: sums})
		x = p.append(&linearStep{base: base{name + ".sums", []int{x}, out}, inputs: inputs, units: units, weights: weights})
		x = p.requantize(x, name+".linear", mostIndex, bounds{}, nil)
		p.values[x].derive, p.values[x].derivedOf = linear, mean
		t := &value{name: name, height: 1, width: 1, channels: units, kind: to, derive: after, derivedOf: mean, calibrated: true}
		if to == words {
			t.most = mostWord
		}
		return p.append(&tableStep{base: base{name, []int{x}, p.add(t)}, function: functions[function]}), after
	}
	y, reduced := layerOf(y, l.name+".reduce", activation, g.Channels, words, func(_ *source, x []float64) []float64 { return x })
	y, _ = layerOf(y, l.name+".expand", gate, v.channels, bytes, reduced)
	out := p.add(&value{name: l.name, height: v.height, width: v.width, channels: v.channels, kind: bytes, draw: l.within.apply(g, l.number, x), calibrated: true})
	return p.append(&gateStep{base: base{l.name, []int{x, y}, out}}), nil
}

// largest is the largest number of bytes or words.
func (v *value) largest() int32 {
	if v.kind == words {
		return v.most
	}
	return mostByte
}
