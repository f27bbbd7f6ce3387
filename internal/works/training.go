package works

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"gorgonia.org/gorgonia"
)

// Training is a work with a loss. A step of it sets the inputs, runs the graph,
// forward and backward, and moves the weights.
type Training struct {
	work       Work
	model      *likeness.Model
	program    *graph.Program
	solver     solver.Solver
	parameters []gorgonia.ValueGrad
	batches    []batch
	steps      int // done
}

// Training makes the work ready, with so many different batches.
func (w Work) Training(batches int) (*Training, error) {
	objective, head, err := objectives.Named(w.Loss.Objective, w.Loss.Head, objectives.Options{Margin: w.Loss.Margin, Scale: w.Loss.Scale})
	if err != nil {
		return nil, err
	}
	model, err := w.model(head)
	if err != nil {
		return nil, err
	}
	t := &Training{work: w, model: model, batches: w.batches(batches)}
	t.program, err = graph.Build(model.Weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{graph.Cost: w.cost(b, objective, head)}
	})
	if err != nil {
		return nil, err
	}
	for _, parameter := range t.program.Gradients() {
		t.parameters = append(t.parameters, parameter)
	}
	t.solver, _, err = solver.New(w.Solver, solver.Length{Epochs: 1, EpochSteps: 1})
	return t, err
}

// cost draws the towers, the head and the objective.
func (w Work) cost(b *graph.Builder, objective objectives.Objective, head heads.Head) *graph.Node {
	size := w.Network.Size
	var embeddings []*graph.Node
	for tower := range w.Loss.Towers {
		images := b.Input(imagesName(tower), w.Count, size.Height, size.Width, size.Channels)
		embeddings = append(embeddings, w.Network.Embed(b, images))
	}
	switch o := objective.(type) {
	case objectives.PairObjective:
		return o.PairCost(b, head.Between(b, embeddings[0], embeddings[1]), b.Input(labelsName, w.Count))
	case objectives.TripletObjective:
		return o.TripletCost(b, head.Between(b, embeddings[0], embeddings[1]), head.Between(b, embeddings[0], embeddings[2]))
	}
	return objective.(objectives.BatchObjective).BatchCost(b, head.Matrix(b, embeddings[0]), b.Input(labelsName, w.Count))
}

// Do is one step on the next batch.
func (t *Training) Do() (cost float64, err error) {
	for name, values := range t.batches[t.steps%len(t.batches)] {
		if err := t.program.Set(name, values); err != nil {
			return 0, err
		}
	}
	t.steps++
	if err := t.program.Run(); err != nil {
		return 0, err
	}
	if cost, err = t.program.Scalar(graph.Cost); err != nil {
		return 0, err
	}
	return cost, t.solver.Step(t.parameters)
}

// Close lets go of the graph.
func (t *Training) Close() error { return t.program.Close() }

// model is an untrained one of the network.
func (w Work) model(head heads.Head) (*likeness.Model, error) {
	return likeness.New(w.Network, head, imaging.Preprocessing{Size: w.Network.Size}, 1)
}
