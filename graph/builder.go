package graph

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Mode is the purpose of a graph. It is fixed when the graph is built.
type Mode int

const (
	Training   Mode = iota // batch statistics, dropout, gradients of the cost
	Evaluation             // running statistics, no dropout, no gradients
)

// Outputs are the nodes whose values a program returns, by name.
type Outputs map[string]*Node

// Cost is the output that training differentiates: a scalar.
const Cost = "cost"

// Builder adds nodes to a graph. Its methods return nodes only: an error ends
// Build, which returns it with the name of the layer.
type Builder struct {
	graph     *gorgonia.ExprGraph
	weights   *Weights
	mode      Mode
	scope     []string // prefix of weights' names
	layers    []string // the scopes and blocks being built, for errors
	inputs    map[string]*Node
	variables map[string]*Node   // the inputs whose gradients are computed
	uses      map[string][]*Node // leaves of each weight by name, trainable or frozen
	order     []string           // their names in the order of first use
	requires  map[*Node]bool     // memo of requiresGradient
	runs      *runState
	functions map[any]bool        // Functions that belong to a node
	leaves    map[*Node]string    // the weights of leaves
	shared    map[string]any      // buffers that gradients of a weight share, by its name
	gradients map[*Node]shareable // the memory of gradients, by their nodes
	sharers   map[*Node]bool      // leaves whose gradients are in a shared buffer
	count     uint64              // own operations so far: each has a hash of its own
	sums      uint64              // of them, those that were operations of Gorgonia in earlier versions

	part         bool           // see Part
	packed       *PackedWeights // see Part
	precision    Precision
	work         Work
	norms        sharedNorms // see ShareNorms
	apart        bool        // add each layer as an operation of its own, for tests
	descriptions []string    // that Describe adds to the structure

	calculations map[*Node]calculation // the nodes that are Functions
	calculated   []*Node               // these, in the order of building
}

// place distinguishes the random numbers of the operation that is added next from those of
// the same layer in other towers.
func (b *Builder) place() uint64 { return b.count - b.sums }

// runState is the state of runs that operations and parameters share with the
// program.
type runState struct {
	step     uint64
	attempt  uint64   // counts runs, also those that fail, from 1
	position int      // of the last operation of the present run that wrote gradients
	done     bool     // the last run succeeded, so its values can be read
	commit   []func() // updates after a successful run, in the order of building
}

// unwound is the panic that carries an error from a Builder's method to Build.
type unwound struct{ err error }

// Fail ends the building of the graph with an error.
func (b *Builder) Fail(format string, arguments ...interface{}) {
	panic(unwound{errors.Errorf(format, arguments...)})
}

// Part makes the blocks that are added from now on choose their algorithms for one of several parts of a
// batch, each of which has a graph of its own. Results differ from those without it by rounding. Graphs of equal parts with the same
// packed weights, unless that is nil, pack the weights of each convolution once for all of them; results do not depend on that.
func (b *Builder) Part(shared *PackedWeights) { b.part, b.packed = true, shared }

// PackedWeights are the weights of convolutions in the order in which kernels read them, which graphs of several parts of a
// batch have in common (Builder.Part). The zero value is empty. It takes one to eight times the memory of the weights.
type PackedWeights struct {
	mutex sync.Mutex
	all   map[string]interface{ Reset() }
}

// Reset must be called after weights have changed and before the next run. It does nothing on nil.
func (p *PackedWeights) Reset() {
	if p == nil {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, each := range p.all {
		each.Reset()
	}
}

// packedOf returns what graphs have in common of the convolutions with a name.
func packedOf[T Float](p *PackedWeights, name string) *kernel.SharedWeights[T] {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	name = fmt.Sprintf("%T %s", T(0), name)
	if p.all[name] == nil {
		if p.all == nil {
			p.all = map[string]interface{ Reset() }{}
		}
		p.all[name] = &kernel.SharedWeights[T]{}
	}
	return p.all[name].(*kernel.SharedWeights[T])
}

// ShareNorms makes the batch norms that are added from now on normalize by the statistics of a whole batch, of which
// this graph has one of several equal parts (synchronized batch norm). sum is called once for each norm in the forward pass
// and once in the backward pass, with its name and in the same order on all parts. It replaces the values by their sums
// over all parts, for which it may wait; if it panics, the run ends with an error.
func (b *Builder) ShareNorms(parts int, sum func(norm string, values []float64)) {
	if parts < 1 || sum == nil {
		b.Fail("shared batch norms: found %d parts, expected at least 1 and a function that adds up", parts)
	}
	b.norms = sharedNorms{parts, sum}
}

// sharedNorms is what ShareNorms has set.
type sharedNorms struct {
	parts int
	sum   func(norm string, values []float64)
}

// Node takes the results of Gorgonia's functions, as in b.Node(gorgonia.Sub(x, y)),
// and ends the building of the graph if there is an error.
func (b *Builder) Node(node *Node, err error) *Node {
	if err != nil {
		panic(unwound{err})
	}
	if node == nil {
		b.Fail("found a nil node, expected one or an error")
	}
	return node
}

// Mode returns the mode of the graph.
func (b *Builder) Mode() Mode { return b.mode }

// Dtype returns the element type of all nodes of the graph.
func (b *Builder) Dtype() tensor.Dtype { return b.weights.dtype }

// Scope calls build in a scope with a name: its weights get the prefix "name.", and
// errors contain the name.
func (b *Builder) Scope(name string, build func() *Node) *Node {
	b.scope = append(b.scope, name)
	node := b.Named(name, build)
	b.scope = b.scope[:len(b.scope)-1]
	return node
}

// Named calls build; its errors contain the name, as those of Scope do, but its weights
// do not get it: a convolution block has the weight "norm1.weight" beside "conv1.weight".
func (b *Builder) Named(name string, build func() *Node) *Node {
	b.layers = append(b.layers, name)
	// An error panics past the end of this method, so that recovered still finds the names.
	node := build()
	b.layers = b.layers[:len(b.layers)-1]
	return node
}

// Path returns the full name of the current scope, with dots.
func (b *Builder) Path() string { return strings.Join(b.scope, ".") }

func (b *Builder) path(name string) string {
	return strings.Join(append(append([]string(nil), b.scope...), name), ".")
}

// Input returns a node whose value is set before each run by Program.Set, such as a batch
// of images (batch, height, width, channels). Its name must be unique.
func (b *Builder) Input(name string, shape ...int) *Node {
	if b.inputs[name] != nil {
		b.Fail("input %q is declared twice", name)
	}
	b.bounded(fmt.Sprintf("input %q", name), shape, MaxElements)
	value := tensor.New(tensor.Of(b.Dtype()), tensor.WithShape(shape...))
	node := gorgonia.NewTensor(b.graph, b.Dtype(), len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName("input:"+name), gorgonia.WithValue(value))
	b.inputs[name] = node
	return node
}

// Variable returns an Input whose gradient a Training program computes, too, see
// Program.InputGradient. With it a graph can end, or begin, within a network that is computed by
// several programs: the gradient of the embeddings in the graph of a loss.
func (b *Builder) Variable(name string, shape ...int) *Node {
	node := b.Input(name, shape...)
	b.variables[name] = node
	b.requires[node] = true
	return node
}

// Constant returns a constant scalar.
func (b *Builder) Constant(value float64) *Node {
	if b.Dtype() == Float32 {
		return b.graph.AddNode(gorgonia.NewConstant(float32(value)))
	}
	return b.graph.AddNode(gorgonia.NewConstant(value))
}

// requiresGradient reports whether the node depends on a trainable weight.
func (b *Builder) requiresGradient(node *Node) bool {
	if b.mode != Training {
		return false
	}
	known, ok := b.requires[node]
	if ok {
		return known
	}
	operands := b.graph.From(node.ID())
	for operands.Next() && !known {
		known = b.requiresGradient(operands.Node().(*Node))
	}
	b.requires[node] = known
	return known
}

// Build makes a graph on the weights and compiles it. In Training mode the outputs
// must contain a scalar Cost, which is differentiated with respect to every
// trainable weight of the graph.
//
// Build returns an error for graphs that Gorgonia would compute wrongly: operations that
// are known to be wrong (see the package documentation), two nodes with the same hash,
// and slices that Gorgonia cannot distinguish. It also returns an error for a trainable
// weight without a gradient, one name with different shapes, an EnvironmentError, and a
// panic of the function build, for example in a user-defined block, backbone or head; the
// error names the layer. After an error the weights are unchanged.
func Build(weights *Weights, mode Mode, build func(b *Builder) Outputs) (program *Program, err error) {
	if err := weights.check(); err != nil {
		return nil, errors.Wrap(err, "build graph")
	}
	switch {
	case build == nil:
		return nil, errors.New("build graph: the function that builds it is nil")
	case mode != Training && mode != Evaluation:
		return nil, errors.Errorf("build graph: found mode %d, expected Training or Evaluation", mode)
	}
	if err := EnvironmentError(); err != nil {
		return nil, errors.Wrap(err, "build graph")
	}
	b := &Builder{
		graph: gorgonia.NewGraph(), weights: weights, mode: mode,
		inputs: map[string]*Node{}, variables: map[string]*Node{}, uses: map[string][]*Node{}, requires: map[*Node]bool{}, runs: &runState{},
		functions: map[any]bool{}, leaves: map[*Node]string{}, shared: map[string]any{}, sharers: map[*Node]bool{}, gradients: map[*Node]shareable{},
		calculations: map[*Node]calculation{},
	}
	known := len(weights.names)
	defer func() {
		if r := recover(); r != nil {
			program, err = nil, b.recovered(r, guard.Text(r))
		}
		if err != nil {
			weights.forget(known)
		}
	}()
	outputs := build(b)
	return b.compile(outputs)
}

// recovered turns a panic during building, with its text, into an error with the layer's name.
func (b *Builder) recovered(r interface{}, text string) error {
	err := errors.New(text)
	if cause, ok := r.(unwound); ok {
		err = cause.err
	}
	if len(b.layers) > 0 {
		// A block has a scope of the same name for its weights.
		err = errors.Wrap(err, strings.Join(slices.Compact(b.layers), "."))
	}
	return errors.Wrap(err, "build graph")
}

func sortedKeys(m map[string]*Node) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// compile checks the graph, differentiates the cost and makes the program.
func (b *Builder) compile(outputs Outputs) (p *Program, err error) {
	p = &Program{
		weights: b.weights, runs: b.runs, mode: b.mode, work: b.work,
		inputs: b.inputs, outputs: map[string]*gorgonia.Value{}, variables: map[string]*Parameter{},
	}
	if len(outputs) == 0 {
		return nil, errors.New("build graph: found no outputs, expected at least one")
	}
	for _, name := range sortedKeys(outputs) {
		if outputs[name] == nil {
			return nil, errors.Errorf("build graph: output %q is nil", name)
		}
	}
	if err := refuseOperations(b.graph); err != nil {
		return nil, errors.Wrap(err, "build graph")
	}
	p.structure = b.structureOf(outputs)
	if b.mode == Training {
		if err := b.differentiate(p, outputs[Cost]); err != nil {
			return nil, errors.Wrap(err, "build graph")
		}
	}
	for _, name := range sortedKeys(outputs) {
		p.outputs[name] = new(gorgonia.Value)
	}
	if p.machine, err = b.machine(outputs, p.outputs); err != nil {
		return nil, err
	}
	p.release = kernel.Retain()
	runtime.AddCleanup(p, func(release func()) { release() }, p.release)
	return p, nil
}

// machine returns what runs the graph: a sequence if all operations are Functions
// and none is differentiated, and Gorgonia's tape machine otherwise.
func (b *Builder) machine(outputs Outputs, values map[string]*gorgonia.Value) (gorgonia.VM, error) {
	var sequence *sequence
	if b.mode == Evaluation {
		var err error
		if sequence, err = b.newSequence(outputs, values); err != nil {
			return nil, errors.Wrap(err, "build graph")
		}
	}
	if sequence == nil {
		for _, name := range sortedKeys(outputs) {
			gorgonia.Read(outputs[name], values[name])
		}
	}
	if err := distinct(b.graph); err != nil {
		return nil, errors.Wrap(err, "build graph")
	}
	if sequence != nil {
		return sequence, nil
	}
	if b.mode == Training {
		if err := b.shareAll(); err != nil {
			return nil, errors.Wrap(err, "build graph")
		}
	}
	instructions, locations, err := gorgonia.Compile(b.graph)
	if err != nil {
		return nil, errors.Wrap(err, "compile graph")
	}
	return gorgonia.NewTapeMachine(b.graph, gorgonia.WithPrecompiled(instructions, locations), gorgonia.WithEngine(engine{})), nil
}

// differentiate adds the gradients of the cost with respect to every trainable
// weight.
func (b *Builder) differentiate(p *Program, cost *Node) error {
	if cost == nil {
		return errors.Errorf("a training graph needs the output %q", Cost)
	}
	if !cost.IsScalar() {
		return errors.Errorf("the cost has shape %v, expected a scalar: take its mean or sum", cost.Shape())
	}
	var nodes gorgonia.Nodes
	var owners []*Parameter // of the nodes
	reached := b.leadingTo(cost)
	var lost []string
	for _, name := range b.order {
		weight := b.weights.Get(name)
		if !weight.Trainable() {
			continue
		}
		parameter := &Parameter{weight: weight, weights: b.weights, runs: b.runs}
		for _, leaf := range b.uses[name] {
			if reached[leaf] {
				nodes = append(nodes, leaf)
				owners = append(owners, parameter)
			}
		}
		if len(owners) == 0 || owners[len(owners)-1] != parameter {
			lost = append(lost, name)
		}
		p.parameters = append(p.parameters, parameter)
		p.gradients = append(p.gradients, parameter)
	}
	for _, name := range sortedKeys(b.variables) {
		leaf := b.variables[name]
		variable := &Parameter{weight: &Weight{Name: "input:" + name, Role: Bias, Value: leaf.Value().(*tensor.Dense)}, weights: b.weights, runs: b.runs}
		p.variables[name] = variable
		if !reached[leaf] {
			lost = append(lost, fmt.Sprintf("input %q", name))
			continue
		}
		nodes = append(nodes, leaf)
		owners = append(owners, variable)
	}
	if len(lost) > 0 {
		return errors.Errorf("no gradient reaches %s: the cost does not depend on them; leave them out or freeze them", strings.Join(lost, ", "))
	}
	if len(nodes) == 0 {
		return errors.New("there are no trainable weights: all weights of the graph are frozen or buffers, or it has none")
	}
	gradients, err := gorgonia.Grad(cost, nodes...)
	if err != nil {
		return errors.Wrap(err, "differentiate the cost")
	}
	weights := map[*Node]int{}
	for _, gradient := range gradients {
		weights[gradient]++
	}
	kept := map[string]bool{} // weights whose shared buffer is kept already
	for i, gradient := range gradients {
		if name := b.sharing(nodes[i]); name != "" {
			if kept[name] {
				continue
			}
			kept[name] = true
		}
		owners[i].keep(b.graph, gradient, weights[gradient] == 1)
	}
	return nil
}

// leadingTo is the set of nodes that the node depends on, itself included.
func (b *Builder) leadingTo(node *Node) map[*Node]bool {
	reached := map[*Node]bool{}
	var visit func(*Node)
	visit = func(n *Node) {
		if reached[n] {
			return
		}
		reached[n] = true
		operands := b.graph.From(n.ID())
		for operands.Next() {
			visit(operands.Node().(*Node))
		}
	}
	visit(node)
	return reached
}

// Sizes are validated before memory is allocated, because a description of a few
// bytes may name a large network. Build returns an error beyond these limits.
const (
	// MaxParameters is the largest number of elements of all weights of a network:
	// 268 million, 1 GiB of float32.
	MaxParameters = 1 << 28
	// MaxElements is the largest number of elements of an input, or of the result
	// of a layer, for all images of a batch; kernels count them in 32 bits.
	MaxElements = math.MaxInt32
)

// bounded returns the number of elements of a shape. It fails if there are more
// than the limit, or if an extent is not positive.
func (b *Builder) bounded(what string, shape tensor.Shape, limit int) int {
	if !extents(shape) {
		b.Fail("%s: found shape %v, expected extents of at least 1", what, shape)
	}
	elements := 1
	for _, extent := range shape {
		if extent > limit/elements {
			b.Fail("%s: shape %v has too many elements, expected at most %d", what, shape, limit)
		}
		elements *= extent
	}
	return elements
}
