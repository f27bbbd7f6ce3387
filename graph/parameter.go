package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// Parameter is a learned weight with its gradient: a gorgonia.ValueGrad with a
// name, so that Gorgonia's solvers take it as well as ours.
type Parameter struct {
	weight *Weight
	runs   *runState
	node   *Node           // of the gradient, where its memory can be used as it is
	copied *gorgonia.Value // of the gradient, where it had to be copied
}

// keep makes the gradient readable after a run. One that is another weight's
// too, or that other nodes use and may share the memory of, is copied when it is
// computed: solvers change gradients in place.
func (p *Parameter) keep(g *gorgonia.ExprGraph, gradient *Node, alone bool) {
	if alone && g.To(gradient.ID()).Len() == 0 {
		p.node = gradient
		return
	}
	p.copied = new(gorgonia.Value)
	gorgonia.Read(gradient, p.copied)
}

// Name is the weight's name.
func (p *Parameter) Name() string { return p.weight.Name }

// Role is the weight's role.
func (p *Parameter) Role() Role { return p.weight.Role }

// Decays says whether weight decay applies: to kernels only.
func (p *Parameter) Decays() bool { return p.weight.Role == Kernel }

// Value is the weight itself; a solver changes it in place.
func (p *Parameter) Value() gorgonia.Value { return p.weight.Value }

// Grad is the gradient of the last run; it is valid until the next.
func (p *Parameter) Grad() (gorgonia.Value, error) {
	if !p.runs.done {
		return nil, errors.Errorf("gradient of %q: there is no finished run to read it from", p.weight.Name)
	}
	if p.node != nil {
		return p.node.Value(), nil
	}
	return *p.copied, nil
}

// Elements copies the gradient of the last run in row-major order.
func (p *Parameter) Elements() ([]float64, error) {
	value, err := p.Grad()
	if err != nil {
		return nil, err
	}
	return float64s(value)
}
