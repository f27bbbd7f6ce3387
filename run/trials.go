package run

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Trials trains several settings in parts, as a search for the best of them does. It keeps the
// opened images, and what frozen layers compute of them, for the trials that have these in common:
// of the four kinds of trials that were used last. Trials that draw other images of the same data,
// such as those of another seed, share what frozen layers compute of each image. The zero value is ready to use. Sharing
// changes no bit of a training.
type Trials struct {
	mutex  sync.Mutex
	files  []openedFiles
	opened []openedData
	frozen []frozenResults
	shared []sharedResults
}

// Trial is a part of a training, from its first step.
type Trial struct {
	Settings Settings // with all defaults replaced by their values, as in config.toml
	// Training has the epochs so far. Its BestEpoch is that with the largest validation.
	Training trainer.Result
	// Model has the weights of the best epoch, and Start those before the first step.
	Model, Start *likeness.Model
	Measure      string // what the validation measures
	// Collapsed says that the embeddings of the held-out classes do not differ; empty if they do.
	Collapsed string
}

// Errors of Trials.Train that concern the trial and not the data or the machine, beside
// trainer.ErrNotFinite.
var (
	// ErrRefused is the error for settings that cannot be trained together, such as a loss with
	// a head that it does not support.
	ErrRefused = errors.New("the settings cannot be trained")
	// ErrNoValidationClasses is the error for data of which no classes are held out for
	// validation, so that trials cannot be compared.
	ErrNoValidationClasses = errors.New("no classes are held out for validation")
)

// Check opens the data and returns the error with which Train would refuse to train a trial of it,
// such as ErrRefused or ErrNoValidationClasses. It writes nothing.
func (t *Trials) Check(settings Settings, observer *Observer) (err error) {
	defer recoverTo(&err)
	if t == nil {
		return errors.New("check a trial: found nil Trials")
	}
	complete, err := settings.completed()
	if err != nil {
		return err
	}
	_, _, _, err = t.setUp(complete, observer)
	return err
}

// setUp opens the data and the model to begin with.
func (t *Trials) setUp(complete Settings, observer *Observer) (setup *setup, pretrained, start *likeness.Model, err error) {
	if pretrained, start, err = complete.start(); err != nil {
		return nil, nil, nil, err
	}
	setup, err = complete.prepareWith(t, observer.read())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, datasets.ErrBroken) || errors.Is(err, datasets.ErrNoMNIST) {
		return nil, nil, nil, err
	}
	if err != nil {
		return nil, nil, nil, refused(err)
	}
	if !setup.data.unseenValidation(complete.Seed) {
		return nil, nil, nil, errors.WithStack(ErrNoValidationClasses)
	}
	return setup, pretrained, start, nil
}

// Train trains until the end of the given epoch, with the learning rate schedule of all epochs,
// beginning with the checkpoint of the folder if there is one. The weights, and the epochs in
// metrics.jsonl, are those of Train with the same settings, bit for bit, however the epochs are
// divided among calls; Resume continues the folder to its end and measures the model. Nothing is
// measured here but the validation, which must be on classes that are held out of training. When
// the context ends, the error is that of the context, and the next call continues.
func (t *Trials) Train(ctx context.Context, settings Settings, folder Folder, epochs int, observer *Observer) (trial *Trial, err error) {
	defer recoverTo(&err)
	switch {
	case ctx == nil:
		return nil, errors.New("train a trial: found no context")
	case t == nil:
		return nil, errors.New("train a trial: found nil Trials")
	case folder == "":
		return nil, errors.New("train a trial: found no folder")
	}
	complete, err := settings.completed()
	if err != nil {
		return nil, err
	}
	if epochs < 1 || epochs > complete.Epochs {
		return nil, errors.Errorf("train a trial: found %d epochs, expected 1 to %d, those of --epochs", epochs, complete.Epochs)
	}
	setup, training, err := t.prepare(ctx, complete, folder, observer)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	observer.prepared(setup.preparation(complete))
	if err := os.MkdirAll(string(folder), 0o777); err != nil {
		return nil, errors.Wrap(err, "train a trial")
	}
	unlock, err := folder.lock(observer)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := folder.sweep(); err != nil {
		return nil, err
	}
	if !exists(folder.Config()) {
		if err := setup.settings.Save(folder.Config()); err != nil {
			return nil, err
		}
	}
	observer.folder(folder)
	before := training.Model.Weights.Clone()
	result, err := advance(ctx, training, folder, epochs, observer)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	trial = &Trial{Settings: setup.settings, Training: result, Model: training.Model, Measure: setup.validated}
	start, err := likeness.New(training.Model.Backbone, training.Model.Head, training.Model.Preprocessing, setup.settings.Seed)
	if err != nil {
		return nil, err
	}
	for _, weight := range start.Weights.All() { // the training may have weights of the loss, too
		copy(weight.Value.Float32s(), before.Get(weight.Name).Value.Float32s())
	}
	trial.Start = start
	trial.Collapsed, err = setup.collapsed(ctx, start, trial.Model)
	return trial, err
}

// prepare sets a trial up, from its checkpoint if it has one.
func (t *Trials) prepare(ctx context.Context, complete Settings, folder Folder, observer *Observer) (*setup, *trainer.Trainer, error) {
	setup, pretrained, start, err := t.setUp(complete, observer)
	if err != nil {
		return nil, nil, err
	}
	setup.plan.Pretrained = pretrained
	if start != nil {
		if start, err = setup.begin(ctx, start, observer); err != nil {
			return nil, nil, err
		}
	}
	begun := exists(folder.Checkpoint())
	training, err := setup.trainer(start, folder.Checkpoint())
	if err != nil && !begun {
		err = refused(err)
	}
	return setup, training, err
}

// refusal is an ErrRefused with its reason.
type refusal struct{ error }

func refused(err error) error { return errors.WithStack(refusal{err}) }

func (r refusal) Is(target error) bool { return target == ErrRefused }
func (r refusal) Unwrap() error        { return r.error }

// advance trains until the end of an epoch. The checkpoint of that epoch is what an interruption
// after it would leave.
func advance(ctx context.Context, training *trainer.Trainer, folder Folder, epochs int, observer *Observer) (trainer.Result, error) {
	metrics := &metrics{path: folder.Metrics()}
	if !exists(training.Checkpoint) {
		if err := metrics.write(nil); err != nil {
			return trainer.Result{}, err
		}
	}
	ctx, pause := context.WithCancel(ctx)
	defer pause()
	var unwritten error
	keep := func(err error) {
		if err != nil && unwritten == nil {
			unwritten = err
			pause()
		}
	}
	training.OnStep = observer.step
	training.OnWarning = func(message string) { observer.warning("%s", message) }
	training.OnResume = func(done []trainer.Epoch) {
		observer.resumed(len(done), epochs)
		keep(metrics.write(done))
		if len(done) >= epochs {
			pause()
		}
	}
	training.OnEpoch = func(epoch trainer.Epoch) {
		observer.epoch(epoch)
		keep(metrics.append(epoch))
		if epoch.Epoch >= epochs {
			pause()
		}
	}
	result, err := training.Run(ctx)
	if unwritten != nil {
		err = unwritten
	}
	if result.Stopped == trainer.Interrupted {
		result.Stopped = "" // here, which is no interruption
	}
	return result, err
}

// What counts as a collapse: the spread of the embeddings relative to their size, as a part of
// that before the training (see trainer.Collapse).
const (
	collapseImages = 64
	collapseSpread = 1e-2
)

// collapsed compares the embeddings of validation images before and after the training.
func (s *setup) collapsed(ctx context.Context, before, after *likeness.Model) (string, error) {
	l, ok := s.data.(interface{ validationClasses() *datasets.Dataset })
	if !ok || l.validationClasses() == nil {
		return "", nil
	}
	images := l.validationClasses().Limit(collapseImages, random.Seed(s.settings.Seed, "collapse"))
	var spreads [2]float64
	for i, model := range []*likeness.Model{before, after} {
		embeddings, computed, err := s.shared.prefix.Embed(ctx, model, images)
		if err == nil && !computed {
			embeddings, err = model.EmbedAll(images, nil)
		}
		if err != nil {
			return "", err
		}
		spreads[i] = relativeSpread(embeddings)
	}
	if spreads[1] < collapseSpread*spreads[0] {
		return fmt.Sprintf("collapsed: the embeddings of %d images of held-out classes differ by %.2g of their size, before the training by %.2g", images.Len(), spreads[1], spreads[0]), nil
	}
	return "", nil
}

// relativeSpread is the root mean square of the distance of embeddings from their mean, as a part
// of their own root mean square; 0 if all are zero.
func relativeSpread(e evaluate.Embeddings) float64 {
	mean := make([]float64, e.Columns)
	for i, v := range e.Data {
		mean[i%e.Columns] += float64(v) / float64(e.Rows)
	}
	var spread, size float64
	for i, v := range e.Data {
		d := float64(v) - mean[i%e.Columns]
		spread, size = spread+d*d, size+float64(v)*float64(v)
	}
	if size == 0 {
		return 0
	}
	return math.Sqrt(spread / size)
}

func (l labeled) validationClasses() *datasets.Dataset { return l.experiment.ValidationClasses }

func (l listed) validationClasses() *datasets.Dataset { return l.pairs.Validation.Dataset }

// maxKept is how many opened data and shared results are kept.
const maxKept = 4

// openedFiles is data as it was read, before it is divided.
type openedFiles struct {
	key    string
	splits datasets.Splits
	notes  []string
}

// frozenResults is what the frozen layers of a model compute of images.
type frozenResults struct {
	images *datasets.Dataset
	prefix *trainer.Prefix
}

// openedData is data that was opened.
type openedData struct {
	key   string
	data  data
	notes []string
}

// sharedResults is what was computed once of the images of a training.
type sharedResults struct {
	key        string
	shared     shared
	adaptation *adapt.Adaptation // nil before it was computed
}

// dataKey has all that the opened data depend on.
func (s Settings) dataKey(input imaging.Size) string {
	parts := []any{input, s.Seed, s.Adapt, s.Grouped, comparesViews(s.Objective)}
	for field := range fields() {
		if field.Tag.Get("group") == "Data" {
			parts = append(parts, fmt.Sprintf("%s=%v", keyOf(field), s.Value(keyOf(field))))
		}
	}
	return fmt.Sprintf("%q", fmt.Sprint(parts...))
}

// open is Settings.open, but data that were opened are used again.
func (t *Trials) open(s Settings, input imaging.Size, onRead func(read, total int)) (data, []string, error) {
	if t == nil {
		return s.open(input, onRead)
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	key := s.dataKey(input)
	if i := slices.IndexFunc(t.opened, func(o openedData) bool { return o.key == key }); i >= 0 {
		found := t.opened[i]
		t.opened = append(slices.Delete(t.opened, i, i+1), found)
		return found.data, slices.Clone(found.notes), nil
	}
	found, notes, err := s.openWith(input, func(path string) (datasets.Splits, []string, error) { return t.read(s, path, input, onRead) })
	if err != nil {
		return nil, nil, err
	}
	t.opened = append(t.opened[max(0, len(t.opened)-maxKept+1):], openedData{key, found, slices.Clone(notes)})
	return found, notes, nil
}

// read is Settings.read, but data that were read are used again. The mutex must be locked.
func (t *Trials) read(s Settings, path string, input imaging.Size, onRead func(read, total int)) (datasets.Splits, []string, error) {
	alone := s // without what only divides the data
	alone.Data, alone.Seed, alone.Adapt, alone.Grouped, alone.Symmetries = path, 0, false, false, false
	alone.Unseen, alone.ValidationClasses, alone.Validation, alone.Limit, alone.TestLimit = nil, 0, "", 0, 0
	key := alone.dataKey(input)
	if i := slices.IndexFunc(t.files, func(o openedFiles) bool { return o.key == key }); i >= 0 {
		found := t.files[i]
		t.files = append(slices.Delete(t.files, i, i+1), found)
		return found.splits, slices.Clone(found.notes), nil
	}
	splits, notes, err := s.read(path, input, onRead)
	if err != nil {
		return splits, notes, err
	}
	t.files = append(t.files[max(0, len(t.files)-maxKept+1):], openedFiles{key, splits, slices.Clone(notes)})
	return splits, notes, nil
}

// prefix computes the results of the frozen layers of a model for images that derive from base,
// except for those that were computed for other trials. It returns nil as trainer.NewPrefix does.
func (t *Trials) prefix(ctx context.Context, model *likeness.Model, base, images *datasets.Dataset) (*trainer.Prefix, error) {
	if t == nil || base == nil {
		return trainer.NewPrefix(ctx, model, images)
	}
	t.mutex.Lock()
	kept := slices.Clone(t.frozen)
	t.mutex.Unlock()
	for _, known := range slices.Backward(kept) {
		all, ok := union(base, known.images, images)
		if !ok || !known.prefix.Fits(model) {
			continue
		}
		extended, err := known.prefix.Extend(ctx, model, all)
		if err == nil && extended == nil { // too large
			all = images
			extended, err = known.prefix.Extend(ctx, model, images)
		}
		if err == nil {
			t.keepPrefix(known.prefix, all, extended)
		}
		return extended, err
	}
	computed, err := trainer.NewPrefix(ctx, model, images)
	if err == nil {
		t.keepPrefix(nil, images, computed)
	}
	return computed, err
}

// keepPrefix keeps a prefix in the place of another one.
func (t *Trials) keepPrefix(before *trainer.Prefix, images *datasets.Dataset, prefix *trainer.Prefix) {
	if prefix == nil {
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.frozen = slices.DeleteFunc(t.frozen, func(r frozenResults) bool { return r.prefix == before })
	t.frozen = append(t.frozen[max(0, len(t.frozen)-maxKept+1):], frozenResults{images, prefix})
}

// sharedKey has all that the shared results of a training depend on. The head and the loss do not
// change the model that the training begins with.
func (s *setup) sharedKey() string {
	spec, err := json.Marshal(s.settings.Network)
	if err != nil {
		spec = []byte(err.Error())
	}
	size, _ := ParseSize(s.settings.Size)
	return strings.Join([]string{
		s.settings.dataKey(size), s.settings.From, string(spec), fmt.Sprint(s.settings.Freeze, s.settings.FreezeNorm, s.settings.Features, s.settings.Adapt),
		fmt.Sprint(s.all != nil, s.settings.augmentation() == nil),
	}, "\n")
}

// sharedBy gives a training what others have computed, if they have.
func (t *Trials) sharedBy(s *setup) (key string, known bool) {
	if t == nil {
		return "", false
	}
	key = s.sharedKey()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	i := slices.IndexFunc(t.shared, func(r sharedResults) bool { return r.key == key })
	if i < 0 {
		return key, false
	}
	found := t.shared[i]
	t.shared = append(slices.Delete(t.shared, i, i+1), found)
	s.shared = found.shared
	return key, true
}

// keepShared keeps what was computed for later trainings.
func (t *Trials) keepShared(key string, computed shared) {
	if t == nil {
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.shared = append(t.shared[max(0, len(t.shared)-maxKept+1):], sharedResults{key: key, shared: computed})
}

// adaptation returns the adaptation of a training, which fit computes if no other training has.
func (t *Trials) adaptation(s *setup, fit func() (*adapt.Adaptation, error)) (*adapt.Adaptation, error) {
	if t == nil {
		return fit()
	}
	key := s.sharedKey()
	find := func() int {
		return slices.IndexFunc(t.shared, func(r sharedResults) bool { return r.key == key })
	}
	t.mutex.Lock()
	if i := find(); i >= 0 && t.shared[i].adaptation != nil {
		defer t.mutex.Unlock()
		return t.shared[i].adaptation, nil
	}
	t.mutex.Unlock()
	fitted, err := fit()
	if err != nil {
		return nil, err
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i := find(); i >= 0 {
		t.shared[i].adaptation = fitted
	}
	return fitted, nil
}
