package trainer

import (
	"context"
	"math"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ErrNotFinite marks a training that stopped because the cost or a gradient
// was no finite number. The weights are those of the step before.
var ErrNotFinite = errors.New("training diverged")

// Trainer is a training that is set up but not yet run. Model, Objective,
// Examples, Solver and Epochs are needed; everything else may be left zero.
type Trainer struct {
	Model     *likeness.Model
	Objective objectives.Objective
	Examples  *Examples
	Solver    solver.Config
	Penalties []objectives.L2 // on the size of weights, as a term of the cost

	Epochs     int
	EpochSteps int // 0: as many as look at as many images as there are
	Seed       uint64
	Augment    *datasets.Affine // random distortion of every image

	Validate Validation // measures the model after every epoch
	Patience int        // stop after so many epochs without gain; 0 never

	OnStep  func(Step)
	OnEpoch func(Epoch)
}

// Step is what a step came to.
type Step struct {
	Number, Steps int     // from 1; in all
	Epoch         int     // from 1
	Cost          float64 // of this step's batch, before the step
	Images        int     // looked at in this step
}

// Epoch is what an epoch came to.
type Epoch struct {
	Epoch           int      `json:"epoch"`                // from 1
	Cost            float64  `json:"loss"`                 // mean over the steps
	Validation      *float64 `json:"validation,omitempty"` // the higher the better
	Best            bool     `json:"best"`                 // no earlier epoch was better
	Rate            float64  `json:"rate"`                 // of the last step
	GradientNorm    float64  `json:"gradient_norm"`        // of the last step, before clipping
	Seconds         float64  `json:"seconds"`              // of training alone
	ImagesPerSecond float64  `json:"images_per_second"`
}

// Result is what a training came to.
type Result struct {
	Epochs          []Epoch
	BestEpoch       int // whose weights the model has; the last without validation
	Seconds         float64
	ImagesPerSecond float64 // mean over the training, validation left out
	Stopped         string  // why it ended before its last epoch; empty if it did not
}

// Run trains the model in place. When the context ends it stops after the step
// at hand, with what was learned so far and no error. On an error the model
// keeps its last finite weights.
func (t *Trainer) Run(ctx context.Context) (Result, error) {
	r, err := t.start()
	if err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	defer r.program.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := pipeline(ctx, 0, t.Epochs*r.epochSteps, func(step int) (inputs, error) {
		return t.Examples.step(step, t.Seed, t.Model.Preprocessing, t.Augment)
	})
	for epoch := 1; epoch <= t.Epochs && r.result.Stopped == ""; epoch++ {
		if err := r.epoch(ctx, epoch, ready); err != nil {
			return r.result, errors.Wrap(err, "train")
		}
	}
	return r.result, errors.Wrap(r.finish(), "train")
}

// run is the state of a training.
type run struct {
	*Trainer
	program    *graph.Program
	solver     solver.Solver
	schedule   solver.Schedule
	parameters []gorgonia.ValueGrad
	average    *solver.Average
	epochSteps int
	steps      int // done
	best       *graph.Weights
	bestValue  float64
	result     Result
}

func (t *Trainer) start() (*run, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	r := &run{Trainer: t, epochSteps: t.EpochSteps, bestValue: math.Inf(-1)}
	if r.epochSteps == 0 {
		r.epochSteps = max(1, (t.Examples.images.Len()+t.Examples.perStep()-1)/t.Examples.perStep())
	}
	var err error
	r.program, err = graph.Build(t.Model.Weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		embed := func(images *graph.Node) *graph.Node { return t.Model.Backbone.Embed(b, images) }
		cost := t.Examples.draw(b, embed, t.Model.Head, t.Objective)
		if len(t.Penalties) > 0 {
			cost = b.Node(gorgonia.Add(cost, objectives.Penalty(b, t.Penalties)))
		}
		return graph.Outputs{graph.Cost: cost}
	})
	if err != nil {
		return nil, err
	}
	r.solver, r.schedule, err = solver.New(t.Solver, solver.Length{Epochs: t.Epochs, EpochSteps: r.epochSteps})
	if err != nil {
		return nil, err
	}
	for _, parameter := range r.program.Gradients() {
		r.parameters = append(r.parameters, parameter)
	}
	if t.Solver.Average > 0 {
		r.average = &solver.Average{Decay: t.Solver.Average}
	}
	return r, nil
}

func (t *Trainer) check() error {
	switch {
	case t.Model == nil:
		return errors.New("field Model is missing")
	case t.Objective == nil:
		return errors.New("field Objective is missing")
	case t.Examples == nil:
		return errors.New("field Examples is missing")
	case t.Epochs < 1:
		return errors.Errorf("field Epochs: found %d, expected at least 1", t.Epochs)
	case t.EpochSteps < 0 || t.Patience < 0:
		return errors.Errorf("fields EpochSteps and Patience: found %d and %d, expected none below 0", t.EpochSteps, t.Patience)
	case t.Patience > 0 && t.Validate == nil:
		return errors.New("field Patience: to stop early there must be a Validation to go by")
	}
	return t.Objective.Check(t.Model.Head)
}

// epoch runs one epoch and validates.
func (r *run) epoch(ctx context.Context, number int, ready <-chan prepared) error {
	start := time.Now()
	var sum float64
	done := 0
	for ; done < r.epochSteps; done++ {
		if ctx.Err() != nil {
			r.result.Stopped = "interrupted"
			break
		}
		cost, err := r.step(number, ready)
		if err != nil {
			return errors.Wrapf(err, "epoch %d, step %d", number, r.steps+1)
		}
		sum += cost
	}
	if done == 0 {
		return nil
	}
	seconds := time.Since(start).Seconds()
	progress := r.solver.Progress()
	epoch := Epoch{
		Epoch: number, Cost: sum / float64(done), Rate: progress.Rate, GradientNorm: progress.GradientNorm,
		Seconds: seconds, ImagesPerSecond: float64(done*r.Examples.perStep()) / seconds,
	}
	r.result.Seconds += seconds
	r.result.ImagesPerSecond = float64(r.steps*r.Examples.perStep()) / r.result.Seconds
	if err := r.validate(&epoch); err != nil {
		return errors.Wrapf(err, "validate epoch %d", number)
	}
	r.result.Epochs = append(r.result.Epochs, epoch)
	if r.OnEpoch != nil {
		r.OnEpoch(epoch)
	}
	return nil
}

// step draws, runs and steps once, and returns the cost.
func (r *run) step(epoch int, ready <-chan prepared) (float64, error) {
	next := <-ready
	if next.err != nil {
		return 0, next.err
	}
	for name, values := range next.inputs {
		if err := r.program.Set(name, values); err != nil {
			return 0, err
		}
	}
	r.program.SetStep(uint64(r.steps))
	if err := r.program.Run(); err != nil {
		return 0, err
	}
	cost, err := r.program.Scalar(graph.Cost)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(cost) || math.IsInf(cost, 0) {
		return 0, errors.Wrapf(ErrNotFinite, "the cost is %v: take a lower rate than %v, clip the gradient (clip = 1) or look for extreme values in the data", cost, r.schedule.Rate(r.steps, r.Epochs*r.epochSteps))
	}
	r.solver.SetRate(r.schedule.Rate(r.steps, r.Epochs*r.epochSteps))
	if err := r.solver.Step(r.parameters); err != nil {
		if errors.Is(err, solver.ErrNotFinite) {
			return 0, errors.Wrapf(ErrNotFinite, "%v: take a lower rate or look for extreme values in the data", err)
		}
		return 0, err
	}
	if r.average != nil {
		if err := r.average.Update(r.tensors()); err != nil {
			return 0, err
		}
	}
	r.steps++
	if r.OnStep != nil {
		r.OnStep(Step{Number: r.steps, Steps: r.Epochs * r.epochSteps, Epoch: epoch, Cost: cost, Images: r.Examples.perStep()})
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
