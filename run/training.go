package run

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// This file is all that this package asks of package trainer before a training runs.

// start loads the model to fine-tune, if there is one, and also returns it with the
// embedding dimension of the settings, if they have one. Its network and its preprocessing
// become those of the settings, and so does its head if they have none and the objective
// allows it.
func (s *Settings) start() (pretrained, model *likeness.Model, err error) {
	if s.From == "" {
		return nil, nil, nil
	}
	pretrained, path, err := LoadModel(s.From)
	if err != nil {
		return nil, nil, errors.WithMessage(err, "--from")
	}
	if err := pretrained.CheckFloat(); err != nil {
		return nil, nil, errors.WithMessagef(err, "--from: %s", s.From)
	}
	if s.From = path; !isBundled(path) {
		if s.From, err = filepath.Abs(path); err != nil {
			return nil, nil, err
		}
	}
	model = pretrained
	if s.Features != 0 && !s.Adapt {
		if model, err = trainer.WithFeatures(model, s.Features, s.Seed); err != nil {
			return nil, nil, errors.WithMessage(err, "--features")
		}
	}
	if s.Head == "" && (model.Head.Name() != "weighted-l1" || strings.HasSuffix(s.Objective, "cross-entropy")) {
		if _, _, err := objectives.Named(s.Objective, model.Head.Name(), s.options(1)); err == nil {
			s.Head = model.Head.Name()
		}
	}
	network := model.Backbone.(backbone.Network) // the only type that Load returns
	spec, err := network.Spec()
	if err != nil {
		return nil, nil, err
	}
	if s.Backbone != "" || s.Network != nil && !s.Adapt && !reflect.DeepEqual(*s.Network, spec) {
		return nil, nil, errors.Errorf("--from: the network is that of %s (%s): leave out any other", s.From, network.Name)
	}
	s.Network, s.Invert = &spec, model.Preprocessing.Invert
	if s.Crop = 0; model.Preprocessing.Crop != nil {
		s.Crop, s.CropMin = model.Preprocessing.Crop.Margin, model.Preprocessing.Crop.MinSide
	}
	resize, shorter := stretch, model.Preprocessing.ShorterSide
	if shorter != 0 {
		resize = centerCrop
	}
	if s.Resize != "" && s.Resize != resize || s.ShorterSide != 0 && s.ShorterSide != shorter {
		return nil, nil, errors.Errorf("--resize: found %s with a shorter side of %d, but the model of --from has %s with %d (0 for none): leave out --resize and --shorter-side, which are part of the model", cmp.Or(s.Resize, stretch), s.ShorterSide, resize, shorter)
	}
	if shorter != 0 { // stretching stays unset, as in files of earlier versions
		s.Resize, s.ShorterSide = resize, shorter
	}
	return pretrained, model, nil
}

// begin computes once what is needed of the images several times, and adapts the model to begin
// with if the settings say so.
func (s *setup) begin(ctx context.Context, start *likeness.Model, observer *Observer) (*likeness.Model, error) {
	if s.settings.Adapt {
		images := s.data.images()
		if images.Labels == nil {
			return nil, errors.New("--adapt: found a list of pairs or triplets or images without classes, expected images of classes: leave out --adapt")
		}
		count := images.Len()
		if s.all != nil {
			count = s.all.images().Len()
		}
		observer.note("embedding %d training images to adapt the model %s to their classes", count, strings.TrimPrefix(s.settings.From, "zoo/"))
	}
	err := s.share(ctx, start)
	if err == nil && s.settings.Adapt {
		start, err = s.adapt(ctx, start)
	}
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil && s.settings.Adapt {
		err = errors.WithMessage(err, "--adapt")
	}
	return start, err
}

// adapt adapts the model to begin with to the training classes and makes its network that of
// the training. With too few classes or images it is not adapted.
func (s *setup) adapt(ctx context.Context, start *likeness.Model) (*likeness.Model, error) {
	set, err := s.set(s.data.images())
	if err != nil {
		return nil, err
	}
	metric, err := start.Metric()
	if err != nil {
		return nil, err
	}
	adaptation, err := s.opened.adaptation(s, func() (*adapt.Adaptation, error) {
		fitted, err := adapt.Fit(ctx, metric, set, adapt.Options{Features: s.settings.Features, NoHead: true, Seed: s.settings.Seed})
		if err != nil || fitted.Chosen.Method != adapt.Frozen {
			return fitted, err
		}
		if trainable, err := s.trainable(start); err != nil || trainable {
			return fitted, err
		}
		return whitened(ctx, fitted, set)
	})
	if errors.Is(err, adapt.ErrTooFew) {
		s.notes = append(s.notes, fmt.Sprintf("not adapted: %v", err))
		if s.settings.Features == 0 {
			return start, nil
		}
		model, err := trainer.WithFeatures(start, s.settings.Features, s.settings.Seed)
		if err != nil {
			return nil, errors.WithMessage(err, "--features")
		}
		return model, s.useNetworkOf(model)
	}
	if err != nil {
		return nil, err
	}
	adapted, err := adaptation.Model(start)
	if err != nil {
		return nil, err
	}
	s.adaptation = adaptation
	before := 100 * adaptation.Candidates[0].MAPAtR.Value
	switch chosen := adaptation.Chosen; {
	case chosen.Method != adapt.Frozen && s.settings.Features == 0 && chosen.Gain.Low <= 0:
		s.notes = append(s.notes, fmt.Sprintf("begins with %v embeddings, so that there is a layer to train, although they give no gain beyond chance on held-out classes (MAP@R %.1f %%, before adapting %.1f %%)", chosen, 100*chosen.MAPAtR.Value, before))
	case chosen.Method == adapt.Frozen:
		s.notes = append(s.notes, fmt.Sprintf("adapting the embeddings gives no gain beyond chance on held-out classes (MAP@R %.1f %%): begins with the model as it is", before))
	default:
		s.notes = append(s.notes, fmt.Sprintf("begins with %v embeddings (MAP@R of held-out classes %.1f %%, before adapting %.1f %%)", adaptation.Chosen, 100*adaptation.Chosen.MAPAtR.Value, before))
	}
	return adapted, s.useNetworkOf(adapted)
}

// trainable reports whether a model has weights that the settings do not freeze.
func (s *setup) trainable(model *likeness.Model) (bool, error) {
	frozen, err := s.frozen(model)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(frozen.Weights.All(), (*graph.Weight).Trainable), nil
}

// whitened is an adaptation with the best of the whitenings that were measured, although it gives
// no gain beyond chance; the same one if none was measured.
func whitened(ctx context.Context, fitted *adapt.Adaptation, set evaluate.Labeled) (*adapt.Adaptation, error) {
	best := fitted.Chosen
	for _, c := range fitted.Candidates {
		if c.Method == adapt.Whitened && (best.Method == adapt.Frozen || c.MAPAtR.Value > best.MAPAtR.Value) {
			best = c
		}
	}
	if best.Method == adapt.Frozen {
		return fitted, nil
	}
	taken := *fitted
	taken.Chosen = best
	return taken.Refit(ctx, set)
}

// useNetworkOf makes the network of a model that of the training.
func (s *setup) useNetworkOf(model *likeness.Model) error {
	s.network = model.Backbone.(backbone.Network) // the only type that Load returns
	spec, err := s.network.Spec()
	if err != nil {
		return err
	}
	s.settings.Network = &spec
	if s.shape, err = backbone.ShapeOf(s.network); err != nil {
		return err
	}
	s.loss, s.head, err = s.settings.lossAndHead(s.shape.Features)
	return err
}

// interruptible is images that cannot be read after the context has ended.
type interruptible struct {
	ctx context.Context
	*datasets.Dataset
}

func (i interruptible) Read(index int, pixels []uint8) error {
	if err := i.ctx.Err(); err != nil {
		return err
	}
	return i.Dataset.Read(index, pixels)
}

// scaleBackbone gives the trainable weights of the model of --from their own learning rate.
// Layers of the settings take precedence.
func (s *setup) scaleBackbone(t *trainer.Trainer, pretrained *likeness.Model) {
	if s.settings.BackboneRate == 0 || pretrained == nil {
		return
	}
	t.Solver.Layers = slices.Clone(t.Solver.Layers)
	for _, weight := range t.Model.Weights.All() {
		if pretrained.Weights.Get(weight.Name) != nil && weight.Trainable() {
			t.Solver.Layers = append(t.Solver.Layers, solver.Layer{Name: weight.Name, LearningRateScale: &s.settings.BackboneRate})
		}
	}
}

// scaleLoss gives the vectors of classes of the loss their own learning rate. Layers of the
// settings take precedence.
func (s *setup) scaleLoss(t *trainer.Trainer) {
	if s.settings.LossRate != 0 {
		t.Solver.Layers = append(slices.Clone(t.Solver.Layers), solver.Layer{Name: objectives.WeightPrefix + "*", LearningRateScale: &s.settings.LossRate})
	}
}

// trainer sets a training up, on the weights of start unless it is nil, and resumed
// from a checkpoint unless that is empty. A training that cannot run or be resumed is
// refused here, before anything is written.
func (s *setup) trainer(start *likeness.Model, checkpoint string) (*trainer.Trainer, error) {
	model, err := s.model(start)
	if err != nil {
		return nil, err
	}
	t := &trainer.Trainer{
		Model: model, Loss: s.loss, Batch: s.settings.Batch, Solver: s.settings.solver(),
		Epochs: s.settings.Epochs, EpochSteps: s.settings.StepsPerEpoch, StopAfter: s.stopAfter, Patience: s.settings.Patience,
		Seed: s.settings.Seed, Augment: s.settings.augmentation(),
		Checkpoint: checkpoint, Resume: checkpoint != "", Prefix: s.shared.prefix,
		Parts: s.settings.BatchParts, Communicator: s.ranks, FastReduce: s.settings.FastReduce, SyncBatchNorm: s.settings.SyncBatchNorm,
	}
	if t.Precision, err = s.settings.precision(); err != nil {
		return nil, err
	}
	if t.Images, t.Sampler, err = s.data.examples(s.loss, s.settings.Batch, s.settings.ImagesPerClass); err != nil {
		if errors.Is(err, datasets.ErrTooFew) && s.settings.Limit > 0 {
			err = errors.WithMessagef(err, "--limit %d leaves too few images: increase it", s.settings.Limit)
		}
		return nil, err
	}
	if t.Penalties, err = s.settings.penalties(); err != nil {
		return nil, err
	}
	if t.Validate, s.validated, err = s.data.validation(s.settings.Seed); err != nil {
		return nil, err
	}
	if l, ok := s.data.(labeled); ok && t.Validate == nil && l.experiment.Validation != nil && !l.views {
		s.notes = append(s.notes, "warning: no model is selected by validation, and the model gets no threshold: the held-out images have fewer than two of a class (more images of each class change that)")
	}
	if s.settings.Adapt && t.Validate == nil && t.Patience > 0 {
		t.Patience = 0 // a default of photographs
		s.notes = append(s.notes, "no early stopping: too few images of each class to hold some out")
	}
	if t.Patience > 0 && s.loss.Kind() == datasets.Views {
		return nil, errors.Errorf("--patience: found %d, but %s uses no labels, so that there is no validation: leave it out", t.Patience, s.settings.Objective)
	}
	if t.Patience > 0 && t.Validate == nil {
		return nil, errors.Errorf("--patience: found %d, but there is no validation data: the data set has no validation part and too few images of each class to hold some out", t.Patience)
	}
	s.scaleBackbone(t, s.plan.Pretrained)
	s.scaleLoss(t)
	if err := t.Check(); err != nil {
		for field, flag := range map[string]string{"field Parts:": "--batch-parts", "field Penalties:": "--penalty"} {
			if strings.Contains(err.Error(), field) {
				err = errors.WithMessage(err, flag)
			}
		}
		return nil, err
	}
	s.noteSteps(t)
	return t, nil
}

// noteSteps warns of a training that is too short to learn much.
func (s *setup) noteSteps(t *trainer.Trainer) {
	const few = 100
	perStep := s.loss.Kind().Towers() * t.Batch
	perEpoch := cmp.Or(t.EpochSteps, (t.Images.Len()+perStep-1)/perStep)
	if steps := perEpoch * t.Epochs; steps < few {
		s.notes = append(s.notes, fmt.Sprintf("warning: the training has about %d steps in all, too few to learn much: set more with --epochs or --steps-per-epoch", steps))
	}
}

// model is the network to train, with the weights of start that it has, and with the
// frozen layers and statistics.
func (s *setup) model(start *likeness.Model) (*likeness.Model, error) {
	var preprocessing imaging.Preprocessing
	if start != nil {
		preprocessing = start.Preprocessing
	} else if _, _, err := datasets.Moments(s.data.images()); err != nil {
		return nil, err // an image cannot be read, which Preprocessing does not report
	} else {
		preprocessing = s.data.images().Preprocessing()
	}
	model, err := likeness.New(s.network, s.head, preprocessing, s.settings.Seed)
	if err != nil {
		return nil, err
	}
	if start != nil {
		if err := s.copyWeights(model.Weights, start); err != nil {
			return nil, errors.WithMessage(err, "--from")
		}
	}
	return model, s.freeze(model)
}

// copyWeights copies the weights of start. Those of the head are copied if the head is
// the same; the bias of the cross-entropies, if the loss has one.
func (s *setup) copyWeights(weights *graph.Weights, start *likeness.Model) error {
	for _, old := range start.Weights.All() {
		values := old.Value.Float32s()
		if strings.HasPrefix(old.Name, "head.") && s.head.Name() != start.Head.Name() {
			continue
		}
		if own := weights.Get(old.Name); own != nil {
			copy(own.Value.Float32s(), values)
			continue
		}
		if !strings.HasSuffix(s.settings.Objective, "cross-entropy") {
			continue
		}
		elements := make([]float64, len(values))
		for i, v := range values {
			elements[i] = float64(v)
		}
		if err := weights.Add(old.Name, old.Role, old.Value.Shape(), elements); err != nil {
			return err
		}
	}
	return nil
}

func (l labeled) examples(loss objectives.Loss, batch, imagesPerClass int) (datasets.Images, datasets.Sampler, error) {
	images := l.images()
	if l.symmetries {
		var err error
		if images, err = images.Symmetries(); err != nil {
			return nil, nil, errors.WithMessage(err, "--symmetries")
		}
	}
	if !l.grouped {
		sampler, err := datasets.DefaultSampler(loss.Kind(), images, batch, imagesPerClass)
		return images, sampler, errors.Wrapf(err, "draw examples for the loss %q", loss.Name())
	}
	if loss.Kind() != datasets.Labeled {
		return nil, nil, errors.Errorf("--grouped: %s is a loss of pairs, triplets or views, expected one of labeled batches, such as batch-hard or n-pair", loss.Name())
	}
	classes, each, err := datasets.FitBatch(images, batch, imagesPerClass)
	if err != nil {
		return nil, nil, errors.Wrapf(err, "draw examples for the loss %q", loss.Name())
	}
	sampler, err := datasets.GroupBatches(images, classes, each)
	return images, sampler, errors.Wrapf(err, "draw examples for the loss %q", loss.Name())
}

func (l listed) examples(loss objectives.Loss, _, _ int) (datasets.Images, datasets.Sampler, error) {
	switch loss.Kind() {
	case datasets.Pairs:
		if len(l.pairs.Train.Pairs) == 0 {
			return nil, nil, errors.New("--limit: no pair has both of its images within the limit")
		}
		return l.pairs.Train.Dataset, datasets.ListedPairs(l.pairs.Train.Pairs), nil
	case datasets.Triplets:
		if l.triplets == nil {
			return nil, nil, errors.Errorf("--objective %s is a loss of triplets, but %s lists pairs: use contrastive or cross-entropy", loss.Name(), l.title)
		}
		if len(l.triplets.Triplets) == 0 {
			return nil, nil, errors.New("--limit: no triplet has all of its images within the limit")
		}
		return l.triplets.Dataset, datasets.ListedTriplets(l.triplets.Triplets), nil
	case datasets.Views:
		sampler, err := datasets.RandomViews(l.images())
		return l.images(), sampler, err
	}
	return nil, nil, errors.Errorf("--objective %s is a loss of batches of images with classes, but %s lists tuples without: use contrastive or cross-entropy, or triplet for triplets", loss.Name(), l.title)
}

// validation is one-shot recognition of classes that are held out for it, or else
// verification of other images of the training classes.
func (l labeled) validation(seed uint64) (trainer.Validation, string, error) {
	if l.views {
		return nil, "", nil // labels are for the report only
	}
	if validation, measure, err := l.classValidation(seed); validation != nil || err != nil {
		return validation, measure, err
	}
	if images := l.experiment.Validation; images != nil {
		images = images.Limit(validationImages, random.Seed(seed, "validation"))
		validation, err := trainer.Verification(images, validationPairs, seed)
		if errors.Is(err, datasets.ErrTooFew) {
			return nil, "", nil
		}
		return validation, fmt.Sprintf("ROC AUC on %d held-out images of the training classes", images.Len()), err
	}
	return nil, "", nil
}

// classValidation is validation on classes that are held out; nil if there are none or too few
// images of each.
func (l labeled) classValidation(seed uint64) (trainer.Validation, string, error) {
	if classes := l.experiment.ValidationClasses; classes != nil && l.retrieval {
		validation, err := trainer.Retrieval(classes)
		if !errors.Is(err, datasets.ErrTooFew) {
			return validation, fmt.Sprintf("MAP@R on %d held-out classes", classes.Populated(1)), err
		}
	}
	if classes := l.experiment.ValidationClasses; classes != nil {
		way := min(validationWays, classes.Populated(1))
		validation, err := trainer.OneShot(classes, way, (validationTrials+way-1)/way, seed)
		if !errors.Is(err, datasets.ErrTooFew) {
			return validation, fmt.Sprintf("%d-way one-shot accuracy on %d held-out classes", way, classes.Populated(1)), err
		}
	}
	return nil, "", nil
}

func (l labeled) unseenValidation(seed uint64) bool {
	validation, _, err := l.classValidation(seed)
	return !l.views && validation != nil && err == nil
}

func (l listed) unseenValidation(uint64) bool { return l.pairs.Validation != nil }

func (l listed) validation(uint64) (trainer.Validation, string, error) {
	list := l.pairs.Validation
	if list == nil {
		return nil, "", nil
	}
	return trainer.VerificationOf(list.Dataset, list.Pairs), fmt.Sprintf("ROC AUC on %d listed pairs", len(list.Pairs)), nil
}
