package workload

import (
	"context"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Step is a workload that is ready. It is not safe for two goroutines at once.
type Step interface {
	// Do does the workload once. For training that is one step on the next of its
	// batches, whose cost it returns.
	Do() (cost float64, err error)
	Close() error
}

// Prepare makes the workload ready. Training has so many different batches, which it
// goes through in turn.
func (w Workload) Prepare(batches int) (Step, error) {
	if w.Loss == nil {
		return w.Embedding()
	}
	return w.Training(batches)
}

// Time does the workload n times and gives the milliseconds of each.
func Time(step Step, n int) ([]float64, error) {
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		if _, err := step.Do(); err != nil {
			return nil, err
		}
		times[i] = float64(time.Since(start)) / float64(time.Millisecond)
	}
	return times, nil
}

// Training is a workload with a loss. A step of it sets the inputs, runs the graph,
// forward and backward, and moves the weights.
type Training struct {
	work    Workload
	model   *likeness.Model
	program *graph.Program
	solver  solver.Solver
	batches []batch
	steps   int // done
}

// Training makes the workload ready, with so many different batches.
func (w Workload) Training(batches int) (*Training, error) {
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
	t.solver, _, err = solver.New(w.Solver, solver.Length{Epochs: 1, EpochSteps: 1})
	return t, err
}

// cost draws the towers, the head and the objective.
func (w Workload) cost(b *graph.Builder, objective objectives.Objective, head heads.Head) *graph.Node {
	size := w.Network.Size
	var embeddings []*graph.Node
	for tower := range w.Loss.Towers {
		images := b.Input(imagesName(tower), w.Count, size.Height, size.Width, size.Channels)
		embeddings = append(embeddings, w.Network.Embed(b, images))
	}
	switch o := objective.(type) {
	case objectives.PairObjective:
		return o.PairCost(b, head.Paired(b, embeddings[0], embeddings[1]), b.Input(labelsName, w.Count))
	case objectives.TripletObjective:
		return o.TripletCost(b, head.Paired(b, embeddings[0], embeddings[1]), head.Paired(b, embeddings[0], embeddings[2]))
	}
	return objective.(objectives.BatchObjective).BatchCost(b, head.Pairwise(b, embeddings[0], embeddings[0]), b.Input(labelsName, w.Count))
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
	return cost, t.solver.Step(t.program.Gradients())
}

// Close lets go of the graph.
func (t *Training) Close() error { return t.program.Close() }

// model is an untrained one of the network.
func (w Workload) model(head heads.Head) (*likeness.Model, error) {
	return likeness.New(w.Network, head, imaging.Preprocessing{Size: w.Network.Size}, 1)
}

// Embedding is a workload without a loss: the embeddings of images, from bytes, in
// evaluation mode.
type Embedding struct {
	work   Workload
	model  *likeness.Model
	pixels [][]uint8
}

// Embedding makes the workload ready.
func (w Workload) Embedding() (*Embedding, error) {
	model, err := w.model(heads.L2{}) // any would do
	return &Embedding{w, model, w.pixels()}, err
}

// Do embeds all images. The cost is zero.
func (e *Embedding) Do() (cost float64, err error) {
	_, err = e.model.EmbedPixels(e.pixels)
	return 0, err
}

// Close does nothing.
func (e *Embedding) Close() error { return nil }

// Stream is a training of the trainer's on real digits, each distorted at
// random as it is drawn: the step that a user gets.
type Stream struct {
	proceed chan struct{}
	costs   chan float64
	ended   chan error
	cancel  context.CancelFunc
}

// Stream makes a workload on MNIST's size ready, with pairs of MNIST in place of
// its inputs.
func (w Workload) Stream() (*Stream, error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, err
	}
	objective, head, err := objectives.Named(w.Loss.Objective, w.Loss.Head, objectives.Options{Margin: w.Loss.Margin})
	if err != nil {
		return nil, err
	}
	model, err := w.model(head)
	if err != nil {
		return nil, err
	}
	examples, err := trainer.For(objective, splits.Train, w.Count, 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stream{make(chan struct{}), make(chan float64), make(chan error, 1), cancel}
	training := trainer.Trainer{
		Model: model, Objective: objective, Examples: examples, Solver: w.Solver, Augment: datasets.EachImage(datasets.KochAffine()),
		Epochs: 1, EpochSteps: 1 << 30, Seed: 1, OnStep: s.onStep(ctx),
	}
	go func() {
		select { // the trainer waits before its first step as after each
		case <-s.proceed:
			_, err := training.Run(ctx)
			s.ended <- err
		case <-ctx.Done():
			s.ended <- nil
		}
	}()
	return s, nil
}

// onStep tells of a step and waits for leave to take the next one.
func (s *Stream) onStep(ctx context.Context) func(trainer.Step) {
	return func(step trainer.Step) {
		s.costs <- step.Cost
		select {
		case <-s.proceed:
		case <-ctx.Done():
		}
	}
}

// Do takes one step. While nobody calls it the trainer prepares two batches
// ahead and rests.
func (s *Stream) Do() (cost float64, err error) {
	s.proceed <- struct{}{}
	select {
	case cost := <-s.costs:
		return cost, nil
	case err := <-s.ended:
		s.ended <- err
		return 0, errors.Wrap(err, "the training has ended")
	}
}

// Close ends the training.
func (s *Stream) Close() error {
	s.cancel()
	return <-s.ended
}
