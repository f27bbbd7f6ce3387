package onnx

import (
	"math"
	"slices"

	"github.com/pkg/errors"
)

// newSource makes a graph of the nodes that the output depends on. An output of "" is that
// of the file; another is a tensor or a node of its.
func newSource(c *content, output string) (*source, error) {
	s := &source{
		by: map[string]*operator{}, operators: c.operators, arrays: map[string]*array{}, constants: map[string]*constant{}, trials: map[string]*constant{},
		static: map[string]bool{}, shapes: map[string][]int64{}, budget: 1 << 16,
	}
	for _, a := range c.initializers {
		if a.name == "" || s.arrays[a.name] != nil {
			return nil, errors.Errorf("tensor %q: found a missing or duplicate name", a.name)
		}
		s.arrays[a.name] = a
		s.static[a.name] = true
		s.budget += 4 * (len(a.raw)/sizes[a.elementType] + len(a.integers))
	}
	nodes := map[string]*operator{}
	for _, o := range c.nodes {
		if len(o.outputs) == 0 || o.outputs[0] == "" {
			return nil, o.errorf("found no output")
		}
		if nodes[o.name] == nil {
			nodes[o.name] = o
		}
		for _, name := range o.outputs {
			if name == "" {
				continue
			}
			if s.by[name] != nil || s.arrays[name] != nil {
				return nil, o.errorf("%q is computed twice", name)
			}
			s.by[name] = o
		}
		for _, a := range o.attributes {
			if a.tensor != nil {
				s.budget += 4 * (len(a.tensor.raw) + len(a.tensor.integers))
			}
		}
	}
	for _, in := range c.inputs {
		if s.by[in.name] != nil {
			return nil, s.by[in.name].errorf("%q is computed, and an input of the graph", in.name)
		}
	}
	if output == "" {
		if len(c.outputs) != 1 {
			return nil, errors.Errorf("found the outputs %q, expected one: name the tensor where the network ends (--cut)", c.outputs)
		}
		output = c.outputs[0]
	}
	if s.by[output] == nil && nodes[output] != nil && output != "" {
		output = nodes[output].outputs[0]
	}
	if s.by[output] == nil {
		return nil, errors.Errorf("found no tensor and no node of the name %q, at which the network ends", output)
	}
	s.output = output
	return s, nil
}

// arrange sorts the nodes that the output depends on, and finds the static tensors. The
// inputs are the tensors that are given from outside.
func (s *source) arrange(inputs map[string]bool) error {
	type visit struct {
		node *operator
		next int // input
	}
	const begun, done = 1, 2
	state := map[*operator]int{}
	s.nodes = nil
	stack := []visit{{node: s.by[s.output]}}
	state[stack[0].node] = begun
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == len(top.node.inputs) {
			state[top.node] = done
			s.nodes = append(s.nodes, top.node)
			stack = stack[:len(stack)-1]
			continue
		}
		name := top.node.inputs[top.next]
		top.next++
		if name == "" || s.arrays[name] != nil || inputs[name] {
			continue
		}
		node := s.by[name]
		switch {
		case node == nil:
			return top.node.errorf("its input %q is missing: no node computes it, and it is neither a constant nor an input of the graph", name)
		case state[node] == begun:
			return node.errorf("found a cycle: it depends on its own output")
		case state[node] == 0:
			state[node] = begun
			stack = append(stack, visit{node: node})
		}
	}
	for _, o := range s.nodes {
		static := o.kind == "Constant" || o.kind == "Shape"
		if !static && o.fused == nil {
			static = len(o.inputs) > 0
			for _, name := range o.inputs {
				static = static && (name == "" || s.static[name])
			}
		}
		if static {
			for _, name := range o.outputs {
				s.static[name] = true
			}
		}
	}
	return nil
}

// dropIdentities makes the users of nodes that change nothing in evaluation use their
// inputs.
func (s *source) dropIdentities() error {
	same := map[string]string{}
	rename := func(name string) string {
		if other, found := same[name]; found {
			return other
		}
		return name
	}
	for _, o := range s.nodes {
		for i, name := range o.inputs {
			o.inputs[i] = rename(name)
		}
		if s.static[o.outputs[0]] {
			continue
		}
		switch {
		case o.domain != "":
			continue
		case o.kind == "Dropout":
			// In evaluation it is the identity, unless the file says that this is training.
			if mode := o.operand(2); mode != "" {
				c, err := s.value(mode)
				if err != nil {
					return errors.Wrap(err, o.String())
				}
				if c.isFloat || len(c.integers) != 1 || c.integers[0] != 0 {
					return o.errorf("found a dropout of training, expected a network that was exported in evaluation mode")
				}
			}
		case o.kind == "Cast":
			a := o.settings()
			to := int64(a.integer("to", 0))
			a.integer("saturate", 1)
			if err := a.done(); err != nil {
				return err
			}
			if to != typeFloat32 && to != typeFloat64 && to != typeFloat16 {
				return o.errorf("found a conversion of images to %s, expected a floating-point type", typeName(to))
			}
		case o.kind != "Identity":
			continue
		}
		if x := o.operand(0); x != "" {
			same[o.outputs[0]] = x
		}
	}
	s.output = rename(s.output)
	return nil
}

// fusion is what a group of nodes computes together: the last of them gets it, and the first
// operand of the group as its only input.
type fusion struct {
	kind     string  // "activation", "normalize", "layernorm" or "gem"
	function string  // of an activation
	epsilon  float64 // of layernorm and gem
	exponent float64 // of gem
	axes     []int   // over which it computes means or a length
	keep     bool    // the axes remain, as 1
	shape    string  // the shape that a length is expanded to, or ""
}

// fuse finds the groups of nodes that exporters write for one layer.
func (s *source) fuse() {
	for _, o := range s.nodes {
		if s.static[o.outputs[0]] || o.domain != "" {
			continue
		}
		var f *fusion
		var x string
		switch o.kind {
		case "Mul":
			f, x = s.product(o)
		case "Div":
			if f, x = s.product(o); f == nil {
				f, x = s.layerNorm(o)
			}
			if f == nil {
				f, x = s.unitLength(o)
			}
		case "Pow":
			f, x = s.generalizedMean(o)
		}
		if f != nil {
			o.fused, o.inputs, o.outputs = f, []string{x}, o.outputs[:1]
		}
	}
}

// node returns the node of an operator that computes a tensor, or nil.
func (s *source) node(name, kind string) *operator {
	if o := s.by[name]; o != nil && o.kind == kind && o.domain == "" && o.fused == nil && !s.static[name] {
		return o
	}
	return nil
}

// scalar returns the value of a constant of one element.
func (s *source) scalar(name string) (float64, bool) {
	if name == "" || !s.static[name] {
		return 0, false
	}
	c, err := s.value(name)
	if err != nil {
		return 0, false
	}
	return c.scalar()
}

// near compares constants, which exporters round to float32 or less.
func near(x, y float64) bool { return math.Abs(x-y) <= 1e-5*math.Abs(y) }

// term is a product of tensors and a constant factor.
type term struct {
	factor  float64
	tensors []string
}

// terms are the ways to write a tensor as a product, by up to depth nodes.
func (s *source) terms(name string, depth int) []term {
	all := []term{{1, []string{name}}}
	if depth == 0 {
		return all
	}
	if o := s.node(name, "Div"); o != nil && len(o.inputs) == 2 {
		if v, found := s.scalar(o.inputs[1]); found && v != 0 {
			for _, t := range s.terms(o.inputs[0], depth-1) {
				all = append(all, term{t.factor / v, t.tensors})
			}
		}
	}
	o := s.node(name, "Mul")
	if o == nil || len(o.inputs) != 2 {
		return all
	}
	for i, operand := range o.inputs {
		if v, found := s.scalar(operand); found {
			for _, t := range s.terms(o.inputs[1-i], depth-1) {
				all = append(all, term{t.factor * v, t.tensors})
			}
			return all
		}
	}
	for _, x := range s.terms(o.inputs[0], depth-1) {
		for _, y := range s.terms(o.inputs[1], depth-1) {
			if len(x.tensors)+len(y.tensors) <= 2 {
				all = append(all, term{x.factor * y.factor, slices.Concat(x.tensors, y.tensors)})
			}
		}
	}
	return all
}

// product recognizes the activations that are products.
func (s *source) product(o *operator) (*fusion, string) {
	for _, t := range s.terms(o.outputs[0], 3) {
		if len(t.tensors) == 1 {
			// relu6(x + 3)/6
			if x, found := s.shiftedClip(t.tensors[0]); found && near(t.factor, 1./6) {
				return &fusion{kind: "activation", function: "hardsigmoid"}, x
			}
			continue
		}
		for i, x := range t.tensors {
			if function := s.factorOf(x, t.tensors[1-i], t.factor); function != "" {
				return &fusion{kind: "activation", function: function}, x
			}
		}
	}
	return nil, ""
}

// factorOf recognizes the function x·y·factor of x, where y is computed from x, too.
func (s *source) factorOf(x, y string, factor float64) string {
	if o := s.node(y, "Sigmoid"); o != nil && o.operand(0) == x && near(factor, 1) {
		return "silu"
	}
	if o := s.node(y, "HardSigmoid"); o != nil && o.operand(0) == x && near(factor, 1) {
		if a := o.settings(); near(a.float("alpha", 0.2), 1./6) && near(a.float("beta", 0.5), 0.5) {
			return "hardswish"
		}
	}
	if o := s.by[y]; o != nil && o.fused != nil && o.fused.function == "hardsigmoid" && o.inputs[0] == x && near(factor, 1) {
		return "hardswish"
	}
	if of, found := s.shiftedClip(y); found && of == x && near(factor, 1./6) {
		return "hardswish"
	}
	// (1 + erf(x/√2))·x/2
	if o := s.node(y, "Add"); o != nil && near(factor, 0.5) && len(o.inputs) == 2 {
		for i, operand := range o.inputs {
			erf := s.node(o.inputs[1-i], "Erf")
			if v, found := s.scalar(operand); !found || !near(v, 1) || erf == nil {
				continue
			}
			for _, t := range s.terms(erf.operand(0), 2) {
				if len(t.tensors) == 1 && t.tensors[0] == x && near(t.factor, math.Sqrt2/2) {
					return "gelu"
				}
			}
		}
	}
	return ""
}

// shiftedClip recognizes relu6(x + 3) and returns x.
func (s *source) shiftedClip(name string) (string, bool) {
	clip := s.node(name, "Clip")
	if clip == nil {
		return "", false
	}
	if function, err := s.clipped(clip); err != nil || function != "relu6" {
		return "", false
	}
	sum := s.node(clip.operand(0), "Add")
	if sum == nil || len(sum.inputs) != 2 {
		return "", false
	}
	for i, operand := range sum.inputs {
		if v, found := s.scalar(operand); found && near(v, 3) {
			return sum.inputs[1-i], true
		}
	}
	return "", false
}

// limits are those of a Clip; infinite where it has none.
func (s *source) limits(o *operator) (low, high float64, err error) {
	a := o.settings()
	low, high = a.float("min", math.Inf(-1)), a.float("max", math.Inf(1))
	if err := a.done(); err != nil {
		return 0, 0, err
	}
	for i, limit := range []*float64{&low, &high} {
		if name := o.operand(i + 1); name != "" {
			v, found := s.scalar(name)
			if !found {
				return 0, 0, o.errorf("%q is no constant of one floating-point number", name)
			}
			*limit = v
		}
	}
	return low, high, nil
}

// clipped is the function that a Clip is.
func (s *source) clipped(o *operator) (string, error) {
	low, high, err := s.limits(o)
	if err != nil {
		return "", err
	}
	switch {
	case low == 0 && high == 6:
		return "relu6", nil
	case low == 0 && high >= math.MaxFloat32:
		return "relu", nil
	}
	return "", o.errorf("found limits of %v and %v, expected 0 and 6, or 0 alone", low, high)
}

// mean returns the operand of a ReduceMean with the axes.
func (s *source) mean(name string) (x string, axes []int, keep, found bool) {
	o := s.node(name, "ReduceMean")
	if o == nil {
		return "", nil, false, false
	}
	x, axes, keep, err := s.reduction(o)
	return x, axes, keep, err == nil
}

// reduction reads the axes of a reduction.
func (s *source) reduction(o *operator) (x string, axes []int, keep bool, err error) {
	a := o.settings()
	var from *constant
	if name := o.operand(1); name != "" {
		if from, err = s.value(name); err != nil {
			return "", nil, false, errors.Wrap(err, o.String())
		}
	}
	axes, _, err = o.axes(a, from)
	keep = a.integer("keepdims", 1) != 0
	a.integer("noop_with_empty_axes", 0)
	if err == nil {
		err = a.done()
	}
	if err == nil && len(axes) == 0 {
		err = o.errorf("found no axes, expected those of the pixels")
	}
	return o.operand(0), axes, keep, err
}

// layerNorm recognizes (x − mean)/√(variance + ε).
func (s *source) layerNorm(o *operator) (*fusion, string) {
	if len(o.inputs) != 2 {
		return nil, ""
	}
	centered, root := s.node(o.inputs[0], "Sub"), s.node(o.inputs[1], "Sqrt")
	if centered == nil || root == nil || len(centered.inputs) != 2 {
		return nil, ""
	}
	x, axes, keep, found := s.mean(centered.inputs[1])
	sum := s.node(root.operand(0), "Add")
	if !found || !keep || x != centered.inputs[0] || sum == nil || len(sum.inputs) != 2 {
		return nil, ""
	}
	for i, operand := range sum.inputs {
		epsilon, isConstant := s.scalar(operand)
		of, again, keep, found := s.mean(sum.inputs[1-i])
		if !isConstant || !found || !keep || !slices.Equal(axes, again) || !s.isSquare(of, centered) {
			continue
		}
		return &fusion{kind: "layernorm", epsilon: decimal(float32(epsilon)), axes: axes, keep: true}, x
	}
	return nil, ""
}

// isSquare tells whether a tensor is the square of a difference, which some exporters
// compute twice.
func (s *source) isSquare(name string, difference *operator) bool {
	base := ""
	if o := s.node(name, "Pow"); o != nil {
		if v, found := s.scalar(o.operand(1)); found && v == 2 {
			base = o.operand(0)
		} else if c := s.static[o.operand(1)]; c {
			if c, err := s.value(o.operand(1)); err == nil && len(c.integers) == 1 && c.integers[0] == 2 {
				base = o.operand(0)
			}
		}
	}
	if o := s.node(name, "Mul"); o != nil && o.operand(0) == o.operand(1) {
		base = o.operand(0)
	}
	o := s.node(base, "Sub")
	return o != nil && (o == difference || slices.Equal(o.inputs, difference.inputs))
}

// unitLength recognizes x/|x|, in the forms of PyTorch and of Network.
func (s *source) unitLength(o *operator) (*fusion, string) {
	if len(o.inputs) != 2 {
		return nil, ""
	}
	x, by := o.inputs[0], o.inputs[1]
	shape := ""
	if e := s.node(by, "Expand"); e != nil {
		by, shape = e.operand(0), e.operand(1)
	}
	// A length of almost 0 is replaced, which matters to zero vectors alone.
	smallest := 0.0
	for _, kind := range []string{"Clip", "Max"} {
		e := s.node(by, kind)
		if e == nil {
			continue
		}
		if kind == "Clip" {
			low, high, err := s.limits(e)
			if err != nil || high < math.MaxFloat32 {
				return nil, ""
			}
			smallest, by = low, e.operand(0)
			break
		}
		v, found := s.scalar(e.operand(1))
		if !found || len(e.inputs) != 2 {
			return nil, ""
		}
		smallest, by = v, e.operand(0)
		break
	}
	length := s.node(by, "ReduceL2")
	if length == nil {
		return nil, ""
	}
	of, axes, keep, err := s.reduction(length)
	if err != nil || of != x || !keep && shape == "" {
		return nil, ""
	}
	f := &fusion{kind: "normalize", axes: axes, keep: true, shape: shape}
	if smallest < 1e-3 {
		return f, x
	}
	// Network divides by the largest element before, and then by a length of 1 or more.
	scaled := s.node(x, "Div")
	if scaled == nil || len(scaled.inputs) != 2 || smallest != 1 {
		return nil, ""
	}
	scale := s.node(scaled.inputs[1], "Max")
	if scale == nil || len(scale.inputs) != 2 {
		return nil, ""
	}
	largest := s.node(scale.inputs[0], "ReduceMax")
	if v, found := s.scalar(scale.inputs[1]); !found || v > 1e-3 || largest == nil {
		return nil, ""
	}
	of, again, keep, err := s.reduction(largest)
	magnitude := s.node(of, "Abs")
	if err != nil || !keep || !slices.Equal(axes, again) || magnitude == nil || magnitude.operand(0) != scaled.inputs[0] {
		return nil, ""
	}
	return f, scaled.inputs[0]
}

// generalizedMean recognizes GeM pooling, (mean of max(x, ε)ᵖ)^(1/p).
func (s *source) generalizedMean(o *operator) (*fusion, string) {
	inverse, found := s.scalar(o.operand(1))
	if !found {
		return nil, ""
	}
	f := &fusion{kind: "gem", keep: true}
	pooled := ""
	if mean := s.node(o.operand(0), "GlobalAveragePool"); mean != nil {
		pooled = mean.operand(0)
	} else if pooled, f.axes, f.keep, found = s.mean(o.operand(0)); !found {
		return nil, ""
	}
	power := s.node(pooled, "Pow")
	if power == nil {
		return nil, ""
	}
	clip := s.node(power.operand(0), "Clip")
	exponent, found := s.scalar(power.operand(1))
	if !found || clip == nil || !near(inverse*exponent, 1) {
		return nil, ""
	}
	low, high, err := s.limits(clip)
	if err != nil || high < math.MaxFloat32 || !(low > 0) {
		return nil, ""
	}
	f.exponent, f.epsilon = exponent, decimal(float32(low))
	return f, clip.operand(0)
}
