package graph

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Program is a compiled graph: set the inputs, run it, and read outputs and
// gradients. A program must not be used by two goroutines at once; build a second
// one on the same weights instead.
type Program struct {
	weights    *Weights
	mode       Mode
	runs       *runState
	machine    gorgonia.VM
	inputs     map[string]*Node
	outputs    map[string]*gorgonia.Value
	parameters []*Parameter
	variables  map[string]*Parameter // inputs with a gradient
	gradients  []gorgonia.ValueGrad  // the parameters, for solvers
	structure  string
	work       Work
	release    func() // releases the workers of the kernels
}

// errNotBuilt is the error of a nil Program and of the zero Program.
var errNotBuilt = errors.New("the program is nil or zero, expected one that Build returned")

// built reports whether Build made the program.
func (p *Program) built() bool { return p != nil && p.machine != nil }

// Input returns the shape of an input; nil if there is no input with that name.
func (p *Program) Input(name string) tensor.Shape {
	if p == nil {
		return nil
	}
	if node := p.inputs[name]; node != nil {
		return node.Shape()
	}
	return nil
}

// Set copies values, in row-major order, into an input. The values are []float32 or
// []float64, and are converted to the element type of the graph.
func (p *Program) Set(name string, values interface{}) error {
	dst, err := p.input(name)
	if err != nil {
		return err
	}
	switch src := values.(type) {
	case []float32:
		return setInput(dst, name, src)
	case []float64:
		return setInput(dst, name, src)
	}
	return errors.Errorf("set input %q: found %T, expected []float32 or []float64", name, values)
}

// Fill is Set for values that are computed: write sets the elements of the input, in row-major
// order, all of which it must write. In a float32 graph they are the memory of the input, so
// that nothing is copied. After an error of Run the values are still there.
func (p *Program) Fill(name string, write func(values []float32)) error {
	dst, err := p.input(name)
	if err != nil {
		return err
	}
	if write == nil {
		return errors.Errorf("set input %q: found a nil function, expected one that writes the values", name)
	}
	if dst.Dtype() == Float32 {
		write(dst.Float32s())
		return nil
	}
	values := make([]float32, dst.Size())
	write(values)
	store(dst, values)
	return nil
}

// input returns the values of an input.
func (p *Program) input(name string) (*tensor.Dense, error) {
	if !p.built() {
		return nil, errors.Wrapf(errNotBuilt, "set input %q", name)
	}
	node := p.inputs[name]
	if node == nil {
		return nil, errors.Errorf("set input %q: there is no such input; there are %q", name, sortedKeys(p.inputs))
	}
	return node.Value().(*tensor.Dense), nil
}

func setInput[T Float](dst *tensor.Dense, name string, src []T) error {
	if len(src) != dst.Size() {
		return errors.Errorf("set input %q: found %d values, expected %d for shape %v", name, len(src), dst.Size(), dst.Shape())
	}
	store(dst, src)
	return nil
}

// Run computes every output and, in a Training program, every gradient. After an error
// the program may be run again; the failed run has no effect.
func (p *Program) Run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New(fmt.Sprint(r))
		}
		err = errors.Wrap(err, "run graph")
	}()
	if !p.built() {
		return errNotBuilt
	}
	p.runs.done = false
	p.runs.attempt++
	p.runs.position = 0
	p.machine.Reset()
	if err := p.machine.RunAll(); err != nil {
		return err
	}
	for _, parameter := range p.parameters {
		if err := parameter.add(); err != nil {
			return errors.Wrapf(err, "gradient of %q", parameter.Name())
		}
	}
	for name, variable := range p.variables {
		if err := variable.add(); err != nil {
			return errors.Wrapf(err, "gradient of input %q", name)
		}
	}
	if p.mode == Training {
		for _, commit := range p.runs.commit {
			commit()
		}
		p.weights.Changed()
	}
	p.runs.step++
	p.runs.done = true
	return nil
}

// Step returns the number of the next run, on which the masks of dropout depend.
func (p *Program) Step() uint64 {
	if !p.built() {
		return 0
	}
	return p.runs.step
}

// SetStep sets the number of the next run.
func (p *Program) SetStep(step uint64) {
	if p.built() {
		p.runs.step = step
	}
}

// Float32s copies the elements of an output of the last run in row-major order.
func (p *Program) Float32s(name string) ([]float32, error) {
	value, err := p.output(name)
	if err != nil {
		return nil, err
	}
	return float32s(value)
}

// Get copies the elements of an output of the last run in row-major order.
func (p *Program) Get(name string) ([]float64, error) {
	value, err := p.output(name)
	if err != nil {
		return nil, err
	}
	return float64s(value)
}

// Scalar returns the value of an output with one element, such as the loss.
func (p *Program) Scalar(name string) (float64, error) {
	values, err := p.Get(name)
	if err != nil {
		return 0, err
	}
	if len(values) != 1 {
		return 0, errors.Errorf("output %q has %d elements, expected one", name, len(values))
	}
	return values[0], nil
}

func (p *Program) output(name string) (gorgonia.Value, error) {
	if !p.built() {
		return nil, errors.Wrapf(errNotBuilt, "output %q", name)
	}
	value := p.outputs[name]
	if value == nil {
		names := make(map[string]*Node, len(p.outputs))
		for known := range p.outputs {
			names[known] = nil
		}
		return nil, errors.Errorf("output %q: there is no such output; there are %q", name, sortedKeys(names))
	}
	if !p.runs.done {
		return nil, errors.Errorf("output %q: the last run has not succeeded, or there was none: call Run first", name)
	}
	return *value, nil
}

// Parameters lists the trainable weights with the gradients of the last run, in
// the order in which the graph first used them. An evaluation program has none.
func (p *Program) Parameters() []*Parameter {
	if p == nil {
		return nil
	}
	return p.parameters
}

// Gradients returns the Parameters as the argument of Step of a solver, of package solver
// or of Gorgonia:
//
//	err := solver.Step(program.Gradients())
func (p *Program) Gradients() []gorgonia.ValueGrad {
	if p == nil {
		return nil
	}
	return p.gradients
}

// InputGradient copies the gradient of a Builder.Variable in the last run, in row-major order.
func (p *Program) InputGradient(name string) ([]float32, error) {
	if !p.built() {
		return nil, errors.Wrapf(errNotBuilt, "gradient of input %q", name)
	}
	variable := p.variables[name]
	if variable == nil {
		return nil, errors.Errorf("gradient of input %q: there is no such variable of a training graph: make it with Builder.Variable", name)
	}
	value, err := variable.Grad()
	if err != nil {
		return nil, err
	}
	return float32s(value)
}

// Weights returns the weights on which the graph is built.
func (p *Program) Weights() *Weights {
	if p == nil {
		return nil
	}
	return p.weights
}

// Reset releases the values of the last run.
func (p *Program) Reset() {
	if !p.built() {
		return
	}
	p.runs.done = false
	p.runs.attempt++
	p.runs.position = 0
	p.machine.Reset()
	for _, value := range p.outputs {
		*value = nil
	}
}

// Close releases the memory of the program and, if it is the last program of the process,
// the goroutines and the scratch memory that programs share. A program that is not closed
// releases them when it is garbage collected. The weights remain.
func (p *Program) Close() error {
	if !p.built() {
		return nil
	}
	p.release()
	return p.machine.Close()
}

// Parameter is a trainable weight with its gradient. It is a gorgonia.ValueGrad with a
// name, for the solvers of package solver and of Gorgonia.
type Parameter struct {
	weight    *Weight
	weights   *Weights // of which it is one
	runs      *runState
	gradients []gradient // one for each use of the weight
}

// gradient is the gradient of one use of a weight.
type gradient struct {
	node   *Node           // if its memory can be read directly
	copied *gorgonia.Value // if it has to be copied
}

func (g gradient) value() gorgonia.Value {
	if g.node != nil {
		return g.node.Value()
	}
	return *g.copied
}

// keep makes a gradient readable after a run. If it is also the gradient of another
// weight, or other nodes use it, which may share its memory, it is copied when it is
// computed, because solvers may change gradients in place.
func (p *Parameter) keep(g *gorgonia.ExprGraph, node *Node, alone bool) {
	if alone && g.To(node.ID()).Len() == 0 {
		p.gradients = append(p.gradients, gradient{node: node})
		return
	}
	copied := new(gorgonia.Value)
	gorgonia.Read(node, copied)
	p.gradients = append(p.gradients, gradient{copied: copied})
}

// add adds all gradients to the first.
func (p *Parameter) add() error {
	if p.weight.Value.Dtype() == Float32 {
		return addGradients[float32](p.gradients)
	}
	return addGradients[float64](p.gradients)
}

func addGradients[T Float](gradients []gradient) error {
	if len(gradients) == 1 {
		return nil
	}
	sum, err := elements[T](gradients[0].value())
	if err != nil {
		return err
	}
	for _, g := range gradients[1:] {
		more, err := elements[T](g.value())
		if err != nil {
			return err
		}
		kernel.Add(sum, more)
	}
	return nil
}

// Name returns the name of the weight.
func (p *Parameter) Name() string { return p.of().Name }

// Role returns the role of the weight.
func (p *Parameter) Role() Role { return p.of().Role }

// Decays reports whether weight decay applies: true for kernels only.
func (p *Parameter) Decays() bool { return p.of().Role == Kernel }

// Value returns the weight itself; a solver changes it in place.
func (p *Parameter) Value() gorgonia.Value {
	if p != nil {
		p.weights.Changed()
	}
	return p.of().Value
}

// of returns the weight, or a zero one if the Parameter is nil or zero.
func (p *Parameter) of() *Weight {
	if p == nil || p.weight == nil {
		return &Weight{}
	}
	return p.weight
}

// Grad returns the gradient of the last run; it is valid until the next run.
func (p *Parameter) Grad() (gorgonia.Value, error) {
	if p == nil || p.runs == nil || !p.runs.done {
		return nil, errors.Errorf("gradient of %q: the last run has not succeeded, or there was none: call Run first", p.Name())
	}
	return p.gradients[0].value(), nil
}

// Elements copies the gradient of the last run in row-major order.
func (p *Parameter) Elements() ([]float64, error) {
	value, err := p.Grad()
	if err != nil {
		return nil, err
	}
	return float64s(value)
}

// sequence runs graphs that are not differentiated and consist of Functions alone,
// such as the embedding of images: it calls one Function after the other in the
// caller's goroutine. Gorgonia's tape machine does the same in a goroutine of its
// own, with overhead between Functions that takes longer than a small network takes
// for an image.
type sequence struct {
	calls   []call
	outputs []func()
}

// call is one Function with its memory.
type call struct {
	name string // for errors
	run  func()
}

// calculation is a node that is a Function of other nodes.
type calculation interface {
	// bind finds the memory of the operands; nodes contains those that are
	// Functions, too.
	bind(nodes map[*Node]calculation) (call, error)
	value() gorgonia.Value
	operands() []*Node
	memory() shareable // of the result
}

type functionCall[T Float] struct {
	name     string
	function Function[T]
	inputs   []*Node
	output   *buffer[T]
}

func (f *functionCall[T]) value() gorgonia.Value { return f.output.dense() }
func (f *functionCall[T]) operands() []*Node     { return f.inputs }

func (f *functionCall[T]) memory() shareable { return f.output }

func (f *functionCall[T]) bind(nodes map[*Node]calculation) (call, error) {
	y, x := f.output.data(), make([][]T, len(f.inputs))
	for i, input := range f.inputs {
		if from, ok := nodes[input].(*functionCall[T]); ok {
			x[i] = from.output.data()
			continue
		}
		var err error
		if x[i], err = elements[T](input.Value()); err != nil {
			return call{}, errors.Wrapf(err, "%s: operand %d", f.name, i)
		}
	}
	return call{f.name, func() { f.function.Forward(y, x...) }}, nil
}

// newSequence returns a sequence that computes the outputs; nil if they depend on a
// node that is neither a Function nor a leaf.
func (b *Builder) newSequence(outputs Outputs, values map[string]*gorgonia.Value) (*sequence, error) {
	needed := map[*Node]bool{}
	for _, node := range outputs {
		for each := range b.leadingTo(node) {
			needed[each] = true
		}
	}
	for node := range needed {
		if b.calculations[node] == nil && !node.IsVar() && node.Value() == nil {
			return nil, nil
		}
	}
	kept := map[*Node]bool{}
	for _, node := range outputs {
		kept[node] = true
	}
	// In b.calculated operands precede results.
	nodes := slices.DeleteFunc(slices.Clone(b.calculated), func(n *Node) bool { return !needed[n] })
	nodes = b.combineInverted(nodes, kept)
	nodes = b.combineSums(nodes, kept)
	b.shareResults(nodes, kept)
	s := &sequence{}
	for _, node := range nodes {
		call, err := b.calculations[node].bind(b.calculations)
		if err != nil {
			return nil, err
		}
		s.calls = append(s.calls, call)
	}
	for name, node := range outputs {
		value := node.Value()
		if from := b.calculations[node]; from != nil {
			value = from.value() // its memory is the same in every run
		}
		s.outputs = append(s.outputs, func() { *values[name] = value })
	}
	return s, nil
}

// RunAll calls all Functions. A panic of one is an error with its name.
func (s *sequence) RunAll() (err error) {
	name := ""
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("%s: %s", name, guard.Text(r))
		}
	}()
	for _, call := range s.calls {
		name = call.name
		call.run()
	}
	for _, output := range s.outputs {
		output()
	}
	return nil
}

// Reset does nothing: memory is kept for the next run.
func (*sequence) Reset() {}

// Close does nothing.
func (*sequence) Close() error { return nil }
