package graph

import (
	"fmt"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Program is a compiled graph: set the inputs, run, read outputs and
// gradients. One program must not be used by two goroutines at once; build a
// second one on the same weights instead.
type Program struct {
	weights    *Weights
	mode       Mode
	runs       *runState
	machine    gorgonia.VM
	inputs     map[string]*Node
	outputs    map[string]*gorgonia.Value
	parameters []*Parameter
	gradients  []gorgonia.ValueGrad // the parameters, for solvers
	structure  string
	release    func() // of the kernels' workers
}

// errNotBuilt is that of a nil Program and of a zero one.
var errNotBuilt = errors.New("the program is nil or zero, expected one of Build")

// built says whether Build made the program.
func (p *Program) built() bool { return p != nil && p.machine != nil }

// Input gives the shape of an input; it is nil when there is none of the name.
func (p *Program) Input(name string) tensor.Shape {
	if p == nil {
		return nil
	}
	if node := p.inputs[name]; node != nil {
		return node.Shape()
	}
	return nil
}

// Set copies values, in row-major order, into an input. They are []float32 or
// []float64 and are converted where the graph's arithmetic differs.
func (p *Program) Set(name string, values interface{}) error {
	if !p.built() {
		return errors.Wrapf(errNotBuilt, "set input %q", name)
	}
	node := p.inputs[name]
	if node == nil {
		return errors.Errorf("set input %q: there is no such input; there are %q", name, sortedKeys(p.inputs))
	}
	dst := node.Value().(*tensor.Dense)
	switch src := values.(type) {
	case []float32:
		return setInput(dst, name, src)
	case []float64:
		return setInput(dst, name, src)
	}
	return errors.Errorf("set input %q: found %T, expected []float32 or []float64", name, values)
}

func setInput[T Float](dst *tensor.Dense, name string, src []T) error {
	if len(src) != dst.Size() {
		return errors.Errorf("set input %q: found %d values, expected %d for shape %v", name, len(src), dst.Size(), dst.Shape())
	}
	store(dst, src)
	return nil
}

// Run computes every output and, in a Training program, every gradient. After
// an error the program may be run again; nothing of the aborted run is kept.
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
	p.machine.Reset()
	if err := p.machine.RunAll(); err != nil {
		return err
	}
	for _, parameter := range p.parameters {
		if err := parameter.add(); err != nil {
			return errors.Wrapf(err, "gradient of %q", parameter.Name())
		}
	}
	if p.mode == Training {
		for _, commit := range p.runs.commit {
			commit()
		}
	}
	p.runs.step++
	p.runs.done = true
	return nil
}

// Step is the number of the next run, from which dropout draws its masks.
func (p *Program) Step() uint64 {
	if !p.built() {
		return 0
	}
	return p.runs.step
}

// SetStep makes the next run the one of that number.
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

// Scalar is the value of an output with one element, such as the cost.
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
		return nil, errors.Errorf("output %q: there is no finished run to read it from", name)
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

// Gradients lists the same Parameters in the form that a solver takes, one of
// package solver or one of Gorgonia's own:
//
//	err := solver.Step(program.Gradients())
func (p *Program) Gradients() []gorgonia.ValueGrad {
	if p == nil {
		return nil
	}
	return p.gradients
}

// Weights are the weights that the graph is built on.
func (p *Program) Weights() *Weights {
	if p == nil {
		return nil
	}
	return p.weights
}

// Reset lets go of the values of the last run.
func (p *Program) Reset() {
	if !p.built() {
		return
	}
	p.runs.done = false
	p.runs.attempt++
	p.machine.Reset()
	for _, value := range p.outputs {
		*value = nil
	}
}

// Close releases the machine, and with the last program of the process the
// goroutines and the scratch memory that programs share. A program that is dropped
// without Close does so when it is collected. The weights stay.
func (p *Program) Close() error {
	if !p.built() {
		return nil
	}
	p.release()
	return p.machine.Close()
}
