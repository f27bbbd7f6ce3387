package works

import (
	"context"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Stream is a training of the trainer's on real digits, each distorted at
// random as it is drawn: the step that a user gets.
type Stream struct {
	proceed chan struct{}
	costs   chan float64
	ended   chan error
	cancel  context.CancelFunc
}

// Stream makes a work on MNIST's size ready, with pairs of MNIST in place of
// its inputs.
func (w Work) Stream() (*Stream, error) {
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
