package trainer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Trainer has the settings of a training. Model, Loss, Images, Batch, Solver and Epochs
// are required; the other fields are optional.
type Trainer struct {
	Model *likeness.Model
	// Loss is the loss. The embeddings of an objectives.CrossBatchMemory are kept here, and
	// in the checkpoint.
	Loss objectives.Loss
	// Images are the training images, in memory or read lazily. While a step runs, the
	// images of the next steps are read, in parallel.
	Images datasets.Images
	// Sampler samples the examples of each step, of the kind that the loss needs; nil
	// means datasets.DefaultSampler.
	Sampler datasets.Sampler
	Batch   int // pairs, triplets, labeled images or images with two views of a step
	// Parts is the number of equal parts in which a batch is computed; 0 means 1. The loss is that
	// of the whole batch in any case, but batch norm uses the statistics of all images of a part, those of both images of its pairs together, and its
	// running statistics move to the mean of those of the parts. Each part of 8 has every eighth example.
	// With several parts the sums of gradients are rounded otherwise than with one.
	Parts int
	// Communicator connects the processes of a job that train one model together; nil for
	// one process. Each computes the same number of parts, which must be a power of two, and all must have
	// the same settings and images. The weights are equal, bit for bit, for any number of
	// processes that divides Parts in this way, and a checkpoint of one number is resumed with another. Rank 0
	// validates and writes the checkpoint; callbacks are called on each rank that has them.
	// After an error the communicator is to be closed with it.
	Communicator *collective.Communicator
	// FastReduce adds gradients up in the order that the MPI library chooses. The weights then
	// depend on the number of processes and on the library.
	FastReduce bool
	// SyncBatchNorm makes batch norm use the statistics of all images of the whole batch, and not those of a part (synchronized
	// batch norm). The parts then wait for one another at each norm, in the forward and in the backward pass. In one part it has
	// no effect: there each image of pairs, triplets and views has the statistics of its own tower.
	SyncBatchNorm bool
	// Precision is that of the factors of products in training. The model, its validation and
	// frozen blocks that are computed once are in float32 in any case. The losses, heads and class
	// vectors are, too.
	Precision graph.Precision
	// Solver is the solver and the learning rate schedule. The class vectors of an
	// objectives.ClassVectorLoss have that rate times the LearningRateScale of the loss,
	// unless one of Solver.Layers matches them, as by the name "loss.*".
	Solver solver.Config
	// Schedule, unless it is nil, is the learning rate in place of the schedule of Solver, whose
	// fields for schedules must be zero. A checkpoint identifies it by its learning rates of
	// all steps.
	Schedule  solver.Schedule
	Penalties []objectives.WeightPenalty // L2 penalties, added to the loss

	Epochs     int
	EpochSteps int // 0 means enough steps to process as many images as there are
	// StopAfter ends the training after so many epochs, with the learning rate schedule of
	// all Epochs, so that it repeats the beginning of a longer one; 0 means Epochs.
	StopAfter int
	Seed      uint64
	// Augment is the random distortion of images; nil for none. Without it, the first blocks
	// of a backbone.Network whose weights and running statistics are all frozen are computed
	// once for each image, if their results take at most 1 GiB. A loss of views needs one that
	// transforms each image independently (Image or Photo).
	Augment *datasets.Augmentation
	// Prefix, unless it is nil, has results of these blocks that were computed before. They
	// are used in training, and for the images of a Validation of this package, if the blocks,
	// the weights and the preprocessing are the same and all images are among those of
	// the prefix; otherwise they are computed here.
	Prefix *Prefix

	Validate Validation // measures the model after every epoch; nil for none
	Patience int        // stop after so many epochs without improvement; 0 never stops

	// Checkpoint is the path of the file to which the whole state of the training is
	// saved after each epoch and when the context ends; empty for none. With Resume the
	// training continues from this file, if it exists, and gives the same weights, bit
	// for bit, as without the interruption. If the checkpoint has other settings or
	// images, the error is ErrOtherTraining; it names the first of datasets.Files that has
	// changed.
	Checkpoint string
	Resume     bool

	OnStep  func(Step)
	OnEpoch func(Epoch)
	// OnCollapse is called at most once, when the embeddings do not distinguish images.
	OnCollapse func(Collapse)
	OnResume   func(done []Epoch) // before the first step of a training that resumes
	// OnWarning is called for problems that do not stop a training: gradients that are all
	// zero, a model that cannot be saved, a checkpoint that does not record all of its training, or one that was
	// computed with other arithmetic or by a program of another version of Go.
	OnWarning func(message string)
}

// Step reports one step.
type Step struct {
	Number, Steps int     // the step, from 1, and the number of steps of the training
	Epoch         int     // from 1
	Loss          float64 // loss of the batch, including penalties, before the step
	Images        int     // number of images of the step
}

// Epoch reports one epoch.
type Epoch struct {
	Epoch           int      `json:"epoch"`                // from 1
	Loss            float64  `json:"loss"`                 // mean over the steps
	Validation      *float64 `json:"validation,omitempty"` // higher is better
	Best            bool     `json:"best"`                 // no earlier epoch was better
	LearningRate    float64  `json:"rate"`                 // learning rate of the last step
	GradientNorm    float64  `json:"gradient_norm"`        // of the last step, before clipping
	Seconds         float64  `json:"seconds"`              // of training, without validation
	ImagesPerSecond float64  `json:"images_per_second"`
}

// Result reports a training.
type Result struct {
	Epochs          []Epoch
	Steps           int // number of steps after which the model's weights were taken, including those before a resumption; 0 if the weights did not change
	BestEpoch       int // epoch of the model's weights; the last epoch without validation
	Seconds         float64
	ImagesPerSecond float64 // mean over the training, without validation
	Stopped         string  // reason why the training ended early; empty if it did not
}

// Interrupted is the value of Result.Stopped when the context ended.
const Interrupted = "interrupted"

// Run trains the model in place and removes its threshold, which belongs to the old
// weights. When the context ends, Run stops after the current step, with the weights so
// far and without an error. If there is an error, the model has the weights of the last
// step that succeeded. A panic of a callback, the Validation or other user-defined code
// is returned as an error.
func (t *Trainer) Run(ctx context.Context) (result Result, err error) {
	if t == nil || ctx == nil {
		return Result{}, errors.New("train: found a nil Trainer or a nil context")
	}
	var r *run
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("train: a part of the training that is not this package's own panics: %v", cause)
			if r != nil {
				result = r.soFar()
			}
		}
	}()
	if r, err = t.start(); err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	defer r.close()
	return r.train(ctx)
}

// train is the loop.
func (r *run) train(ctx context.Context) (Result, error) {
	if err := r.resume(); err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	err := r.prefix.compute(ctx, r.Communicator, r.Model, r.Images)
	if ctx.Err() != nil { // before the first step, so that there is nothing to save
		r.result.Stopped = Interrupted
		return r.soFar(), nil
	}
	if err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	if r.watch, err = r.newWatch(); err != nil {
		return Result{}, errors.Wrap(err, "train")
	}
	if err := r.Model.CheckSave(); err != nil && r.OnWarning != nil {
		r.OnWarning(fmt.Sprintf("the trained model cannot be saved: %v", err))
	}
	if r.OnResume != nil && r.place.Steps > 0 {
		if err := guarded("OnResume", func() error { r.OnResume(r.result.Epochs); return nil }); err != nil {
			return r.soFar(), errors.Wrap(err, "train")
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	prepared := prepare(ctx, r.place.Steps, r.epochs()*r.epochSteps, r.newExamples, r.fill)
	defer func() {
		cancel()
		prepared.drain()
	}()
	r.Model.Threshold = nil
	r.Model.HalfPrecision = false // the weights will not be half-precision numbers
	for number := len(r.result.Epochs) + 1; number <= r.epochs() && r.result.Stopped == ""; number++ {
		if err := r.epoch(ctx, number, prepared); err != nil {
			return r.soFar(), errors.Wrap(err, "train")
		}
	}
	return r.soFar(), errors.Wrap(r.keepBest(), "train")
}

// epoch runs the steps of one epoch, validates and saves. It ends early when the
// context does.
func (r *run) epoch(ctx context.Context, number int, prepared *pipeline) error {
	start, before := time.Now(), r.place.Seconds
	for r.place.Done < r.epochSteps {
		next := prepared.next() // nothing when the context has ended
		stop, err := ctx.Err() != nil, error(nil)
		if r.parts != nil {
			if stop, err = r.parts.begin(stop, next); err != nil {
				return errors.Wrapf(err, "epoch %d, step %d", number, r.place.Steps+1)
			}
		}
		if stop {
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
		prepared.recycle(next)
		r.place.Sum += cost
		r.place.Done++
		r.place.Seconds = before + time.Since(start).Seconds()
	}
	if r.place.Done == 0 {
		return nil
	}
	progress := r.solver.Progress()
	epoch := Epoch{
		Epoch: number, Loss: r.place.Sum / float64(r.place.Done), LearningRate: progress.LearningRate, GradientNorm: progress.GradientNorm,
		Seconds: r.place.Seconds, ImagesPerSecond: float64(r.place.Done*r.imagesPerStep()) / r.place.Seconds,
	}
	r.result.Seconds += r.place.Seconds
	r.result.ImagesPerSecond = float64(r.place.Steps*r.imagesPerStep()) / r.result.Seconds
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

// run is the state of a training.
type run struct {
	*Trainer
	kind       datasets.Kind
	prefix     *Prefix // nil if all blocks are computed in each step
	rows       []int   // of the training images in a shared prefix; nil if it is the training's own
	sampler    datasets.Sampler
	count      int            // examples of a step
	program    *graph.Program // nil if there are parts
	parts      *parts         // nil if the whole batch is one graph
	solver     solver.Solver
	schedule   solver.Schedule
	buffers    []buffer        // running statistics, which a run of the graph moves
	average    *solver.Average // nil where none is kept
	epochSteps int
	place      place             // how far the training has come
	settings   map[string]string // what a checkpoint must have been written with
	arithmetic []string          // of the checkpoint that was resumed
	goVersions []string          // of the checkpoint that was resumed
	digests    map[string][]int64
	thawed     []*graph.Weight // see thaw
	best       *graph.Weights  // nil before the first validation
	bestValue  float64
	watch      *watch             // nil without OnCollapse
	still      int                // steps since the start without a gradient; −1 after the first one
	memory     *objectives.Memory // nil unless the loss has one
	result     Result
}

// start checks the training and builds its graph and its solver.
func (t *Trainer) start() (started *run, err error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	r := &run{Trainer: t, epochSteps: t.EpochSteps}
	defer func() {
		if started != nil {
			return
		}
		r.refreeze()
		r.close() // after an error or a panic
	}()
	r.thaw()
	if err := r.chooseSampler(); err != nil {
		return nil, err
	}
	if r.memory, err = r.newMemory(); err != nil {
		return nil, errors.Wrap(err, "field Loss")
	}
	if r.epochSteps == 0 {
		r.epochSteps = (t.Images.Len() + r.imagesPerStep() - 1) / r.imagesPerStep()
	}
	config := t.Solver
	config.Layers = slices.Concat(t.Solver.Layers, layersOfLoss(t.Loss, t.Model.Head, objectives.WeightPrefix))
	r.solver, r.schedule, err = solver.New(config, solver.Length{Epochs: t.Epochs, EpochSteps: r.epochSteps})
	if err != nil {
		return nil, err
	}
	if t.Schedule != nil {
		r.schedule = t.Schedule
	}
	if t.Solver.Average > 0 {
		r.average = &solver.Average{Decay: t.Solver.Average}
	}
	if err = r.choosePrefix(); err != nil {
		return nil, err
	}
	if t.inParts() {
		r.parts, err = r.newParts()
	} else {
		r.program, err = graph.Build(t.Model.Weights, graph.Training, r.build)
	}
	if err != nil {
		return nil, err
	}
	if err := solver.MatchLayers(t.Solver.Layers, r.parameterNames()); err != nil {
		for _, weight := range t.Model.Weights.All() {
			if weight.Frozen && solver.MatchLayers(t.Solver.Layers, append(r.parameterNames(), weight.Name)) == nil {
				err = errors.Errorf("layer of %q: this weight is frozen, so it has no learning rate: leave out one of the two", weight.Name)
			}
		}
		return nil, errors.Wrap(err, "solver configuration")
	}
	r.buffers = buffersOf(t.Model.Weights)
	if t.Checkpoint != "" {
		if r.settings, err = r.identity(); err != nil {
			return nil, err
		}
		if r.digests, err = r.fileDigests(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Check prepares the training and returns the error with which Run would fail before the
// first step, for example for a Checkpoint that cannot be resumed, or with which saving
// the trained model would fail, see likeness.Model.CheckSave. It changes nothing.
func (t *Trainer) Check() (err error) {
	defer panics(&err, "check training: a part of the training that is not this package's own")
	r, err := t.start()
	if err != nil {
		return errors.Wrap(err, "check training")
	}
	defer r.close()
	defer r.refreeze()
	if _, err = r.readCheckpoint(); err != nil {
		return errors.Wrap(err, "check training")
	}
	return errors.Wrap(t.Model.CheckSave(), "check training: the trained model could not be saved")
}

// Work returns the products of the forward pass of a step, of the parts that this process computes: how
// many of them a Precision rounds. It prepares the training as Check does, without its checkpoint.
func (t *Trainer) Work() (work graph.Work, err error) {
	defer panics(&err, "count products: a part of the training that is not this package's own")
	if t == nil {
		return work, errors.New("count products: found no Trainer")
	}
	plain := *t
	plain.Checkpoint, plain.Resume = "", false
	r, err := plain.start()
	if err != nil {
		return work, errors.Wrap(err, "count products")
	}
	defer r.close()
	defer r.refreeze()
	if r.parts == nil {
		return r.program.Work(), nil
	}
	for _, one := range r.parts.own {
		w := one.program.Work()
		work.Direct, work.Fastest, work.Rounded = work.Direct+w.Direct, work.Fastest+w.Fastest, work.Rounded+w.Rounded
	}
	return work, nil
}

// check validates the fields, before anything is built of them.
func (t *Trainer) check() error {
	identity := ""
	if t != nil && t.Validate != nil {
		err := guarded("field Validate: its method Identity", func() error { identity = t.Validate.Identity(); return nil })
		if err != nil {
			return err
		}
	}
	switch {
	case t == nil:
		return errors.New("found no Trainer")
	case t.Model == nil:
		return errors.New("field Model is missing")
	case t.Model.Backbone == nil || t.Model.Head == nil || t.Model.Weights == nil:
		return errors.New("field Model: found one without a backbone, a head or weights: make it with likeness.New or likeness.Load")
	case t.Model.CheckFloat() != nil:
		return errors.Wrap(t.Model.CheckFloat(), "field Model")
	case t.Loss == nil:
		return errors.New("field Loss is missing")
	case t.Images == nil:
		return errors.New("field Images is missing")
	case t.Batch < 1:
		return errors.Errorf("field Batch: found %d, expected at least 1", t.Batch)
	case t.Epochs < 1:
		return errors.Errorf("field Epochs: found %d, expected at least 1", t.Epochs)
	case t.StopAfter < 0 || t.StopAfter > t.Epochs:
		return errors.Errorf("field StopAfter: found %d, expected 0 to %d, the Epochs", t.StopAfter, t.Epochs)
	case t.EpochSteps < 0:
		return errors.Errorf("field EpochSteps: found %d, expected at least 0", t.EpochSteps)
	case t.Precision != graph.SinglePrecision && t.Precision != graph.BFloat16:
		return errors.Errorf("field Precision: found %v, expected SinglePrecision or BFloat16", t.Precision)
	case t.Patience < 0:
		return errors.Errorf("field Patience: found %d, expected at least 0", t.Patience)
	case t.Patience > 0 && t.Validate == nil:
		return errors.New("field Patience: found no Validation, which early stopping needs")
	case t.Checkpoint != "" && t.Validate != nil && identity == "":
		return errors.New("field Validate: its Identity is empty, so a checkpoint could not tell it from others")
	}
	if err := guarded("field Images: one of its methods", func() error { return datasets.CheckImages(t.Images) }); err != nil {
		return errors.WithMessage(err, "field Images")
	}
	if err := t.Model.Preprocessing.Validate(); err != nil {
		return errors.Wrap(err, "field Model")
	}
	if d, ok := t.Images.(*datasets.Dataset); ok {
		if p := t.Model.Preprocessing; d.Inverted != p.Invert || !reflect.DeepEqual(d.Crop, p.Crop) || d.ShorterSide != p.ShorterSide {
			return errors.Errorf("field Images: the images were opened with Invert %v and %s, expected Invert %v and %s as in the model's Preprocessing", d.Inverted, cropText(d.Crop, d.ShorterSide), p.Invert, cropText(p.Crop, p.ShorterSide))
		}
	}
	if t.Augment != nil {
		if err := t.Augment.Validate(); err != nil {
			return errors.Wrap(err, "field Augment")
		}
	}
	if c := t.Solver; t.Schedule != nil && (c.Schedule != "" || c.Warmup != 0 || c.Decay != 0 || c.DecayEpochs != 0 || c.FinalLearningRate != 0) {
		return errors.Errorf("field Schedule: found a %T, expected none beside the schedule of the field Solver: set one of them", t.Schedule)
	}
	if err := t.checkParts(); err != nil {
		return err
	}
	return guarded("field Loss: the method Check of "+typeOf(t.Loss), func() error { return t.Loss.Check(t.Model.Head) })
}

// cropText describes how images are cropped.
func cropText(c *imaging.Crop, shorterSide int) string {
	if shorterSide != 0 {
		return fmt.Sprintf("ShorterSide %d", shorterSide)
	}
	if c == nil {
		return "no Crop"
	}
	return fmt.Sprintf("Crop %+v", *c)
}

// epochs is the number of epochs until the end of the training.
func (r *run) epochs() int { return cmp.Or(r.StopAfter, r.Epochs) }

// close ends the graphs.
func (r *run) close() {
	_ = r.program.Close()
	r.parts.close()
}

// soFar is the result up to the present step.
func (r *run) soFar() Result {
	r.result.Steps = r.place.Steps
	return r.result
}

// tensors are all weights by name, buffers included.
func (r *run) tensors() map[string]*tensor.Dense {
	tensors := map[string]*tensor.Dense{}
	for _, weight := range r.Model.Weights.All() {
		tensors[weight.Name] = weight.Value
	}
	return tensors
}

// guarded calls code that may be user-defined and turns a panic into an error.
func guarded(what string, call func() error) (err error) {
	defer panics(&err, what)
	return call()
}

// panics, where it is deferred, makes an error of a panic.
func panics(err *error, what string) {
	if cause := recover(); cause != nil {
		*err = errors.Errorf("%s panics: %v", what, cause)
	}
}

// typeOf names a type, and says of a pointer that it is nil.
func typeOf(value any) string {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T", value)
	}
	return fmt.Sprintf("%T", value)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
