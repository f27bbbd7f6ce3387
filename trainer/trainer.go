package trainer

import (
	"context"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// Trainer is a training that is set up but not yet run. Model, Objective,
// Examples, Solver and Epochs are needed; everything else may be left zero.
type Trainer struct {
	Model     *likeness.Model
	Objective objectives.Loss
	Examples  *Examples
	Solver    solver.Config
	Penalties []objectives.WeightPenalty // on the size of weights, as a term of the cost

	Epochs     int
	EpochSteps int // 0: as many as look at as many images as there are
	Seed       uint64
	Augment    *datasets.Augmentation // random distortion of images

	Validate Validation // measures the model after every epoch
	Patience int        // stop after so many epochs without gain; 0 never

	// Checkpoint is a file that everything is saved to after each epoch, and when
	// the context ends; none where it is empty. With Resume the training goes on
	// from it, if it is there, and comes to the same weights, bit for bit, as if it
	// had never stopped; a checkpoint of other settings or images is an
	// ErrOtherTraining.
	Checkpoint string
	Resume     bool

	OnStep  func(Step)
	OnEpoch func(Epoch)
	// OnCollapse is told, once, of a training that does not tell images apart.
	OnCollapse func(Collapse)
	OnResume   func(done []Epoch) // before the first step of a training that resumes
	// OnWarning is told what does not keep a training from running, and may not be
	// meant: a checkpoint that says too little of the training that wrote it, or was
	// written with other arithmetic.
	OnWarning func(message string)
}

// Step is what a step came to.
type Step struct {
	Number, Steps int     // from 1; in all
	Epoch         int     // from 1
	Cost          float64 // of this step's batch with the penalties, before the step
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
	Steps           int // that led to the model's weights, before a resumption, too; 0: they are as they were before Run
	BestEpoch       int // whose weights the model has; the last without validation
	Seconds         float64
	ImagesPerSecond float64 // mean over the training, validation left out
	Stopped         string  // why it ended before its last epoch; empty if it did not
}

// Interrupted is what Result.Stopped says when the context ended.
const Interrupted = "interrupted"

// Run trains the model in place, which loses its threshold: that was one of
// other weights. When the context ends it stops after the step at hand, with
// what was learned so far and no error. On an error the model keeps the weights
// of the last step that went well. A panic of a callback, of the Validation or of
// another part that is not this package's own is such an error.
func (t *Trainer) Run(ctx context.Context) (result Result, err error) {
	if t == nil || ctx == nil {
		return Result{}, errors.New("train: there must be a Trainer and a context")
	}
	var r *run
	defer func() {
		if cause := recover(); cause != nil {
			if err = errors.Errorf("train: a part of the training that is not this package's own panics: %v", cause); r != nil {
				result = r.came()
			}
		}
	}()
	r, err = t.start()
	if err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	defer r.program.Close()
	if err := r.resume(); err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	if r.watch, err = r.newWatch(); err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	ctx, cancel := context.WithCancel(ctx)
	if t.OnResume != nil && r.place.Steps > 0 {
		if err := guarded("OnResume", func() error { t.OnResume(r.result.Epochs); return nil }); err != nil {
			cancel()
			return r.came(), errors.Wrap(err, "train")
		}
	}
	ready := pipeline(ctx, r.place.Steps, t.Epochs*r.epochSteps, func(step int) (inputs, error) {
		return t.Examples.step(step, t.Seed, t.Model.Preprocessing, t.Augment)
	})
	defer func() {
		cancel()
		for range ready { // until the pipeline has seen it
		}
	}()
	t.Model.Threshold = nil
	for epoch := len(r.result.Epochs) + 1; epoch <= t.Epochs && r.result.Stopped == ""; epoch++ {
		if err := r.epoch(ctx, epoch, ready); err != nil {
			return r.came(), errors.Wrap(err, "train")
		}
	}
	return r.came(), errors.Wrap(r.finish(), "train")
}

// came is the result so far.
func (r *run) came() Result {
	r.result.Steps = r.place.Steps
	return r.result
}
