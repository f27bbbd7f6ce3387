package run

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Result is the result of a training.
type Result struct {
	Folder   Folder
	Settings Settings // with all defaults replaced by their values, as in config.toml
	Model    *likeness.Model
	Training trainer.Result
	Report   report.Report // as in result.json
	// Refit reports the training on all images after the measurement; nil if there was none. If
	// it was interrupted, Model is the model that was measured.
	Refit *trainer.Result
}

// Train trains a network according to the settings, evaluates it and writes the run
// folder. With Settings.Refit it then trains again on all images. It returns when the
// training is finished, or when the context ends: then the weights so far are evaluated and
// saved, Training.Stopped or Refit.Stopped is trainer.Interrupted, and Resume can continue.
// If the settings or the data are invalid, or if the context ends
// before the first step, nothing is written. On an error during the training the run
// folder has the last weights that are finite, and a checkpoint if an epoch was finished.
// The observer may be nil.
//
// With a context of collective.NewContext the process is one rank of a job that trains one model.
// All ranks need the same settings and the data and the model of Settings.From at the same paths; only rank 0
// writes the run folder, measures the model and calls the observer, and only its Result has a Report.
// After an error the communicator is to be closed with it.
func Train(ctx context.Context, settings Settings, observer *Observer) (result *Result, err error) {
	defer recoverTo(&err)
	if ctx == nil {
		return nil, errors.New("train: found no context")
	}
	complete, err := settings.completed()
	if err != nil {
		return nil, err
	}
	if ranks := collective.FromContext(ctx); ranks.Root() {
		if err := Folder(complete.Out).checkEmpty(); err != nil {
			return nil, err
		}
	}
	return complete.train(ctx, "", observer)
}

// Resume continues the training of a run folder, which was interrupted or killed, with
// its settings, and gives the same model, bit for bit, as without the interruption. With
// tensorBoard it also writes event files. If the training cannot be resumed, nothing in
// the folder is changed. Several processes can resume it as they train, see Train, in another number than
// before, too; only rank 0 needs the folder.
func Resume(ctx context.Context, folder Folder, tensorBoard bool, observer *Observer) (result *Result, err error) {
	defer recoverTo(&err)
	if ctx == nil {
		return nil, errors.New("resume: found no context")
	}
	result, err = resume(ctx, folder, tensorBoard, observer)
	return result, errors.WithMessage(err, "--resume")
}

// errInterrupted is the error of a training whose context ends before its first step.
var errInterrupted = errors.New("interrupted before the training began: nothing is saved")

// recoverTo makes an error of a panic, which only a function of the observer raises.
func recoverTo(err *error) {
	if cause := recover(); cause != nil {
		*err = errors.Errorf("a function of the observer panics: %v", cause)
	}
}

func resume(ctx context.Context, folder Folder, tensorBoard bool, observer *Observer) (*Result, error) {
	ranks := collective.FromContext(ctx)
	unlock := func() {}
	defer func() { unlock() }()
	settings, err := sharedSettings(ranks, func() (settings Settings, err error) {
		if !exists(folder.Config()) {
			return settings, errors.Errorf("%s has no config.toml: it is not a run folder", folder)
		}
		if unlock, err = folder.lock(observer); err != nil {
			unlock = func() {}
			return settings, err
		}
		if exists(folder.Report()) && !exists(folder.Checkpoint()) {
			return settings, errors.Errorf("the run in %s is finished, there is nothing to resume: see likeness eval --run %s", folder, folder)
		}
		if epochs, err := folder.Epochs(); err == nil && len(epochs) > 0 && !exists(folder.Checkpoint()) {
			return settings, errors.Errorf("%s has %d epochs in metrics.jsonl, but no checkpoint.safetensors to resume from: begin again with likeness train --config %s", folder, len(epochs), folder.Config())
		}
		return Load(folder.Config())
	})
	if err != nil {
		return nil, err
	}
	settings.Out, settings.TensorBoard = string(folder), tensorBoard
	return settings.train(ctx, folder, observer)
}

// train trains as complete settings say; resumed is the run folder to resume, which
// this process has locked, or empty.
func (s Settings) train(ctx context.Context, resumed Folder, observer *Observer) (*Result, error) {
	ranks := collective.FromContext(ctx)
	if !ranks.Root() {
		observer = nil
	}
	switch {
	case ranks == nil || s.BatchParts != 0:
	case resumed == "":
		s.BatchParts = jobParts
	case ranks.Size() > 1: // its checkpoint is that of one part
		return nil, errors.Errorf("the training in %s computes each batch in one part: continue it with one process, or begin again with --config %s", resumed, resumed.Config())
	}
	setup, start, training, err := s.begin(ctx, ranks, resumed, observer)
	stop, err := ranks.Agree("preparation", ctx.Err() != nil, err)
	if err != nil {
		return nil, err
	}
	if stop {
		return nil, errInterrupted
	}
	unlock := func() {}
	defer func() { unlock() }()
	path, err := ranks.FromRoot("run folder", func() (path []byte, err error) {
		folder := resumed
		if resumed == "" {
			if folder, unlock, err = setup.newFolder(s.Out, observer); err != nil {
				return nil, err
			}
		}
		return []byte(folder), folder.sweep()
	})
	if err != nil {
		return nil, err
	}
	folder := Folder(path)
	training.Checkpoint = folder.Checkpoint()
	observer.folder(folder)
	var before *graph.Weights // of the training
	if s.interpolates() {
		before = training.Model.Weights.Clone()
	}
	result, err := learn(ctx, training, folder, s.TensorBoard, observer)
	if err != nil {
		return nil, err
	}
	interpolation, err := setup.interpolate(training, before, folder, observer)
	if err != nil {
		return nil, err
	}
	concluded := &Result{Folder: folder, Settings: setup.settings, Model: training.Model, Training: result}
	if concluded.Report.Interpolation = interpolation; ranks.Root() {
		if s.TensorBoard {
			if err := folder.writeProjection(training.Model, setup.data.projected(), s.Seed); err != nil {
				return nil, errors.WithMessage(err, "tensorboard")
			}
		}
		if concluded.Report, err = setup.conclude(training.Model, result, interpolation, folder, observer); err != nil {
			return nil, err
		}
	}
	if result.Stopped != trainer.Interrupted {
		if err := setup.finish(ctx, start, concluded, observer); err != nil {
			return nil, err
		}
	}
	return concluded, nil
}

// begin does all that comes before anything is written.
func (s Settings) begin(ctx context.Context, ranks *collective.Communicator, resumed Folder, observer *Observer) (*setup, *likeness.Model, *trainer.Trainer, error) {
	pretrained, start, err := s.start()
	if err != nil {
		return nil, nil, nil, err
	}
	setup, err := s.prepare(observer.read())
	if err != nil {
		return nil, nil, nil, err
	}
	setup.plan.Pretrained, setup.ranks = pretrained, ranks
	if s.FastReduce && ranks.Size() == 1 {
		setup.notes = append(setup.notes, "warning: --fast-reduce has no effect on one process")
	}
	if s.SyncBatchNorm && s.BatchParts <= 1 {
		setup.notes = append(setup.notes, "warning: --sync-batch-norm has no effect on batches in one part (--batch-parts)")
	}
	if start != nil && (s.Adapt || setup.all != nil || s.WeightInterpolation == autoInterpolation) {
		if start, err = setup.begin(ctx, start, observer); err != nil {
			return nil, nil, nil, err
		}
	}
	training, err := setup.trainer(start, resumed.Checkpoint())
	if err != nil {
		return nil, nil, nil, err
	}
	if err := setup.notePrecision(training); err != nil {
		return nil, nil, nil, err
	}
	observer.prepared(setup.preparation(s))
	return setup, start, training, nil
}

// notePrecision says how many products the precision concerns, and warns if it is no faster.
func (s *setup) notePrecision(t *trainer.Trainer) error {
	if t.Precision == graph.SinglePrecision {
		return nil
	}
	work, err := t.Work()
	if err != nil {
		return err
	}
	share := 100 * work.Rounded / work.Fastest
	switch {
	case work.Rounded == 0:
		s.notes = append(s.notes, fmt.Sprintf("warning: --precision %v has no effect on the layers of this network: for each of them an algorithm for float32 is as fast", t.Precision))
	case !t.Precision.Faster():
		s.notes = append(s.notes, fmt.Sprintf("warning: --precision %v rounds the factors of %.0f %% of the products, but this processor does not multiply such numbers faster, so the training takes as long or longer", t.Precision, share))
	default:
		s.notes = append(s.notes, fmt.Sprintf("--precision %v rounds the factors of %.0f %% of the products", t.Precision, share))
	}
	return nil
}

// newFolder creates and locks the run folder and writes the settings.
func (s *setup) newFolder(out string, observer *Observer) (folder Folder, unlock func(), err error) {
	unlock = func() {}
	if folder, err = createFolder(out, s.data.name(), s.settings.Objective, time.Now()); err != nil {
		return "", unlock, err
	}
	release, err := folder.lock(observer)
	if err != nil {
		return "", unlock, err
	}
	if err := Folder(out).checkEmpty(); err != nil { // by a process that has ended since
		return "", release, err
	}
	return folder, release, s.settings.Save(folder.Config())
}

// learn runs the training and saves the model, also after an error. A training whose
// progress cannot be written to the run folder ends there.
func learn(ctx context.Context, training *trainer.Trainer, folder Folder, tensorBoard bool, observer *Observer) (result trainer.Result, err error) {
	if !training.Communicator.Root() {
		return training.Run(ctx)
	}
	metrics := &metrics{path: folder.Metrics()}
	if !exists(training.Checkpoint) {
		if err := metrics.write(nil); err != nil {
			return trainer.Result{}, err
		}
	}
	var events *eventWriter
	if tensorBoard {
		if events, err = folder.writeEvents(); err != nil {
			return trainer.Result{}, err
		}
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var unwritten error // the first failure to write progress
	keep := func(err error) {
		if err != nil && unwritten == nil {
			unwritten = err
			end()
		}
	}
	training.OnStep = func(step trainer.Step) {
		observer.step(step)
		keep(events.step(step))
	}
	training.OnCollapse = func(found trainer.Collapse) { observer.warning("%s", found) }
	training.OnWarning = func(message string) { observer.warning("%s", message) }
	training.OnResume = func(done []trainer.Epoch) {
		observer.resumed(len(done), training.Epochs)
		keep(metrics.write(done)) // a process that was killed may have written one more
	}
	training.OnEpoch = func(epoch trainer.Epoch) {
		observer.epoch(epoch)
		keep(metrics.append(epoch))
		keep(events.epoch(epoch))
	}
	result, err = training.Run(ctx)
	keep(events.close())
	if unwritten != nil {
		err = unwritten // which came first
	}
	return result, save(training, folder, result, err, observer)
}

// save saves the weights that a training ended with, and reports why it ended if that
// was before its last epoch. It returns the error of the training. What the folder has
// stays if the training was to be resumed and did not begin.
func save(training *trainer.Trainer, folder Folder, result trainer.Result, failure error, observer *Observer) error {
	if failure != nil && result.Steps == 0 && training.Resume {
		return failure
	}
	saving := training.Model.Save(folder.Model())
	unfinished := failure != nil || result.Stopped == trainer.Interrupted
	switch {
	case failure != nil && saving != nil:
		observer.note("not saved    %v", saving)
		failure = errors.WithMessage(failure, "stopped") // why is what matters
	case failure != nil:
		failure = errors.WithMessagef(failure, "stopped, with the last weights in %s", folder.Model())
	case saving != nil:
		failure = saving
	case result.Stopped != "":
		observer.note("stopped after %d of %d epochs: %s", len(result.Epochs), training.Epochs, result.Stopped)
	}
	if unfinished && exists(training.Checkpoint) {
		observer.note("to continue: likeness train --resume %s", folder)
	}
	return failure
}

// conclude measures the model and writes the rest of the run folder. If a training on all
// images has begun, the model was measured before that.
func (s *setup) conclude(model *likeness.Model, result trainer.Result, interpolation *trainer.Interpolation, folder Folder, observer *Observer) (report.Report, error) {
	if recorded, begun := s.begunRefit(folder); begun {
		model.Threshold = recorded.Threshold
		observer.report(recorded)
		return recorded, model.Save(folder.Model())
	}
	measured, evidence, err := s.measure(model, observer)
	if err != nil {
		return measured, err
	}
	measured.Seconds, measured.ImagesPerSecond, measured.Stopped = result.Seconds, result.ImagesPerSecond, result.Stopped
	measured.Interpolation, measured.MadeWith = interpolation, report.NewProvenance(time.Now())
	model.Threshold = measured.Threshold
	if err := model.Save(folder.Model()); err != nil {
		return measured, err
	}
	if s.all != nil && result.Stopped != trainer.Interrupted {
		if err := model.Save(folder.Measured()); err != nil {
			return measured, err
		}
	}
	if err := measured.Save(folder.Report()); err != nil {
		return measured, err
	}
	observer.report(measured)
	return measured, s.writePage(folder, measured, evidence)
}

// measure tests the model beside the same network untrained and, if it is fine-tuned,
// before that.
func (s *setup) measure(model *likeness.Model, observer *Observer) (report.Report, *report.Evidence, error) {
	untrained, err := likeness.New(s.network, s.head, model.Preprocessing, s.settings.Seed)
	if err != nil {
		return report.Report{}, nil, err
	}
	s.plan.Progress = observer.measured()
	measured, evidence, err := s.plan.MeasureWithEvidence(model, untrained)
	measured.Dataset, measured.Seed = s.data.name(), s.settings.Seed
	return measured, evidence, err
}

// Untrained returns the model of a training before its first step: with the same head and
// preprocessing, and with the weights initialized from its seed.
func Untrained(t *trainer.Trainer) (*likeness.Model, error) {
	if t == nil || t.Model == nil {
		return nil, errors.New("untrained network: found no training with a model")
	}
	return likeness.New(t.Model.Backbone, t.Model.Head, t.Model.Preprocessing, t.Seed)
}

// Measure evaluates the model of a training that was run without Train, beside the same
// network untrained and raw pixels. The caller sets the name of the data set.
func Measure(plan *report.Plan, t *trainer.Trainer, result trainer.Result) (report.Report, error) {
	untrained, err := Untrained(t)
	if err != nil {
		return report.Report{}, err
	}
	if plan == nil {
		return report.Report{}, errors.New("measure: found no plan")
	}
	measured, err := plan.Measure(t.Model, untrained)
	measured.Seed, measured.Seconds, measured.ImagesPerSecond, measured.Stopped = t.Seed, result.Seconds, result.ImagesPerSecond, result.Stopped
	return measured, err
}

// preparation describes the training that is about to begin; given are the settings
// before anything was chosen.
func (s *setup) preparation(given Settings) Preparation {
	objective := s.settings.Objective
	if s.settings.Margin != 0 {
		objective += fmt.Sprintf(" (margin %v)", s.settings.Margin)
	}
	if s.settings.Scale != 0 {
		objective += fmt.Sprintf(" (scale %v)", s.settings.Scale)
	}
	if s.settings.Temperature != 0 {
		objective += fmt.Sprintf(" (temperature %v)", s.settings.Temperature)
	}
	if s.settings.Mining != "" {
		objective += fmt.Sprintf(" (mining %s)", s.settings.Mining)
	}
	if len(s.settings.Projection) > 0 {
		objective += fmt.Sprintf(" (projection %s)", strings.Join(s.settings.Projection, ","))
	}
	return Preparation{
		Settings: s.settings, Changes: given.changes(), Notes: s.notes,
		Data: s.data.summary(), Protocol: s.plan.Protocol,
		Network:   fmt.Sprintf("%s, %d parameters, %d features", s.network.Name, s.shape.Parameters, s.shape.Features),
		Objective: fmt.Sprintf("%s with %s", objective, s.settings.Head), Validation: s.validated,
	}
}
