package graph

import (
	"runtime"
	"strings"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// compile differentiates the cost, refuses what Gorgonia would get wrong in
// silence, and makes the program.
func (b *Builder) compile(outputs Outputs) (p *Program, err error) {
	p = &Program{
		weights: b.weights, runs: b.runs, mode: b.mode,
		inputs: b.inputs, outputs: map[string]*gorgonia.Value{},
	}
	if len(outputs) == 0 {
		return nil, errors.New("build graph: no output is given")
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

// machine is what runs the graph: Gorgonia's tape machine, or a sequence where
// that can do it.
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
	instructions, locations, err := gorgonia.Compile(b.graph)
	if err != nil {
		return nil, errors.Wrap(err, "compile graph")
	}
	return gorgonia.NewTapeMachine(b.graph, gorgonia.WithPrecompiled(instructions, locations)), nil
}

// differentiate adds the gradients of the cost by every learned weight.
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
		parameter := &Parameter{weight: weight, runs: b.runs}
		for _, leaf := range b.learned[name] {
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
	if len(lost) > 0 {
		return errors.Errorf("no gradient reaches %s: the cost does not depend on them; leave them out or freeze them", strings.Join(lost, ", "))
	}
	if len(nodes) == 0 {
		return errors.New("there is nothing to learn: every weight is frozen or there is none")
	}
	gradients, err := gorgonia.Grad(cost, nodes...)
	if err != nil {
		return errors.Wrap(err, "differentiate the cost")
	}
	weights := map[*Node]int{}
	for _, gradient := range gradients {
		weights[gradient]++
	}
	kept := map[string]bool{} // weights whose shared buffer is
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
