package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// Parameter is a learned weight with its gradient: a gorgonia.ValueGrad with a
// name, so that Gorgonia's solvers take it as well as ours.
type Parameter struct {
	weight    *Weight
	runs      *runState
	gradients []gradient // one for each use of the weight
}

// gradient is that of one use.
type gradient struct {
	node   *Node           // where its memory can be used as it is
	copied *gorgonia.Value // where it had to be copied
}

func (g gradient) value() gorgonia.Value {
	if g.node != nil {
		return g.node.Value()
	}
	return *g.copied
}

// keep makes a gradient readable after a run. One that is another weight's
// too, or that other nodes use and may share the memory of, is copied when it is
// computed: solvers change gradients in place.
func (p *Parameter) keep(g *gorgonia.ExprGraph, node *Node, alone bool) {
	if alone && g.To(node.ID()).Len() == 0 {
		p.gradients = append(p.gradients, gradient{node: node})
		return
	}
	copied := new(gorgonia.Value)
	gorgonia.Read(node, copied)
	p.gradients = append(p.gradients, gradient{copied: copied})
}

// add makes the first gradient the sum of all.
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

// Name is the weight's name.
func (p *Parameter) Name() string { return p.of().Name }

// Role is the weight's role.
func (p *Parameter) Role() Role { return p.of().Role }

// Decays says whether weight decay applies: to kernels only.
func (p *Parameter) Decays() bool { return p.of().Role == Kernel }

// Value is the weight itself; a solver changes it in place.
func (p *Parameter) Value() gorgonia.Value { return p.of().Value }

// of is the weight; a zero one where the Parameter is nil or zero, which no
// Program has.
func (p *Parameter) of() *Weight {
	if p == nil || p.weight == nil {
		return &Weight{}
	}
	return p.weight
}

// Grad is the gradient of the last run; it is valid until the next.
func (p *Parameter) Grad() (gorgonia.Value, error) {
	if p == nil || p.runs == nil || !p.runs.done {
		return nil, errors.Errorf("gradient of %q: there is no finished run to read it from", p.Name())
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
