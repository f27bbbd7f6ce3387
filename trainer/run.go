package trainer

import (
	"context"
	"time"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// run is the state of a training.
type run struct {
	*Trainer
	program    *graph.Program
	solver     solver.Solver
	schedule   solver.Schedule
	before     *graph.Weights  // those before the step at hand
	average    *solver.Average // nil where none is kept
	epochSteps int
	place      place             // how far it has come
	settings   map[string]string // what a checkpoint must have been written with
	arithmetic []string          // of the checkpoint that was resumed
	best       *graph.Weights    // nil before the first validation
	bestValue  float64
	watch      *watch // nil where nobody wants to know
	result     Result
}

func (t *Trainer) start() (started *run, err error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	r := &run{Trainer: t, epochSteps: t.EpochSteps}
	defer func() {
		if started == nil && r.program != nil { // after an error or a panic
			r.program.Close()
		}
	}()
	if r.epochSteps == 0 {
		images, perStep := t.Examples.images.Len(), t.Examples.perStep()
		r.epochSteps = (images + perStep - 1) / perStep
	}
	r.solver, r.schedule, err = solver.New(t.Solver, solver.Length{Epochs: t.Epochs, EpochSteps: r.epochSteps})
	if err != nil {
		return nil, err
	}
	if t.Solver.Average > 0 {
		r.average = &solver.Average{Decay: t.Solver.Average}
	}
	r.program, err = graph.Build(t.Model.Weights, graph.Training, t.draw)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, parameter := range r.program.Parameters() {
		names = append(names, parameter.Name())
	}
	if err := solver.MatchLayers(t.Solver.Layers, names); err != nil {
		return nil, errors.Wrap(err, "solver configuration")
	}
	r.before = t.Model.Weights.Clone()
	if t.Checkpoint != "" {
		if r.settings, err = r.identity(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// draw is the whole of a step as a graph: towers, head, objective, penalties.
func (t *Trainer) draw(b *graph.Builder) graph.Outputs {
	embed := func(images *graph.Node) *graph.Node { return t.Model.Backbone.Embed(b, images) }
	cost := t.Examples.draw(b, embed, t.Model.Head, t.Objective)
	if len(t.Penalties) > 0 {
		cost = b.Node(gorgonia.Add(cost, objectives.Penalty(b, t.Penalties)))
	}
	return graph.Outputs{graph.Cost: cost}
}

// epoch runs one epoch and validates. It ends early when the context does.
func (r *run) epoch(ctx context.Context, number int, ready <-chan prepared) error {
	start, before := time.Now(), r.place.Seconds
	for r.place.Done < r.epochSteps {
		next := <-ready // nothing when the context has ended
		if ctx.Err() != nil {
			r.result.Stopped = Interrupted
			if err := r.save(); err != nil {
				return err
			}
			break
		}
		cost, err := r.step(number, next)
		if err != nil {
			return errors.Wrapf(err, "epoch %d, step %d", number, r.place.Steps+1)
		}
		r.place.Sum += cost
		r.place.Done++
		r.place.Seconds = before + time.Since(start).Seconds()
	}
	if r.place.Done == 0 {
		return nil
	}
	progress := r.solver.Progress()
	epoch := Epoch{
		Epoch: number, Cost: r.place.Sum / float64(r.place.Done), Rate: progress.LearningRate, GradientNorm: progress.GradientNorm,
		Seconds: r.place.Seconds, ImagesPerSecond: float64(r.place.Done*r.Examples.perStep()) / r.place.Seconds,
	}
	r.result.Seconds += r.place.Seconds
	r.result.ImagesPerSecond = float64(r.place.Steps*r.Examples.perStep()) / r.result.Seconds
	if err := r.validate(&epoch); err != nil {
		return errors.Wrapf(err, "validate epoch %d", number)
	}
	r.result.Epochs = append(r.result.Epochs, epoch)
	if r.result.Stopped != Interrupted {
		r.place.Sum, r.place.Done, r.place.Seconds = 0, 0, 0
		if err := r.save(); err != nil {
			return err
		}
	}
	if r.OnEpoch != nil {
		return guarded("OnEpoch", func() error { r.OnEpoch(epoch); return nil })
	}
	return nil
}

// step takes one step and tells of it.
func (r *run) step(epoch int, next prepared) (cost float64, err error) {
	if next.err != nil {
		return 0, next.err
	}
	if cost, err = r.learn(next.inputs); err != nil {
		return 0, err
	}
	if r.average != nil {
		if err := r.average.Update(r.tensors()); err != nil {
			return 0, err
		}
	}
	r.place.Steps++
	if err := r.watch.step(cost); err != nil {
		return 0, err
	}
	if r.OnStep != nil {
		told := Step{Number: r.place.Steps, Steps: r.Epochs * r.epochSteps, Epoch: epoch, Cost: cost, Images: r.Examples.perStep()}
		if err := guarded("OnStep", func() error { r.OnStep(told); return nil }); err != nil {
			return 0, err
		}
	}
	return cost, nil
}

// tensors are all weights by name, statistics included.
func (r *run) tensors() map[string]*tensor.Dense {
	tensors := map[string]*tensor.Dense{}
	for _, weight := range r.Model.Weights.All() {
		tensors[weight.Name] = weight.Value
	}
	return tensors
}
