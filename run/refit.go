package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// This file is the training on all images after a model was measured (Settings.Refit), and
// what is computed once of the images for that training, the one before and the adaptation.

// refit is the labeled images as training data of which nothing is held out.
func (l labeled) refit() (data, error) {
	if l.all == nil {
		return nil, errors.Errorf("--refit: %s holds out none of its training images: leave out --refit", l.title)
	}
	l.experiment = datasets.Experiment{Train: l.all}
	return l, nil
}

func (l listed) refit() (data, error) {
	return nil, errors.Errorf("--refit: %s lists pairs or triplets, expected images of classes: leave out --refit", l.title)
}

// planRefit opens the data of the last training and says in the protocol that there is one,
// unless it would have no more images than the training before.
func (s *setup) planRefit() error {
	if !s.settings.Refit {
		return nil
	}
	all, err := s.data.refit()
	if err != nil {
		return err
	}
	if count := s.data.images().Len(); all.images().Len() <= count {
		s.notes = append(s.notes, fmt.Sprintf("no training after the measurement (--refit), because it would have no more than the %d images of the training before", count))
		return nil
	}
	s.all = all
	s.plan.Protocol += fmt.Sprintf("; measured before the model is trained again on all %d images of %d classes (refit)", all.images().Len(), all.images().Populated(1))
	return nil
}

// shared is what is computed once of the images by the model of --from.
type shared struct {
	images     *datasets.Dataset
	prefix     *trainer.Prefix     // nil if no layers are frozen
	embeddings evaluate.Embeddings // of all images; empty if the model is not adapted
}

// share computes the frozen layers of the model of --from for all images that are trained on
// or validated by, and the embeddings if the model is adapted. Without frozen layers it reads
// the images that are embedded.
func (s *setup) share(ctx context.Context, start *likeness.Model) error {
	key, known := s.opened.sharedBy(s)
	if known {
		return nil
	}
	if err := s.computeShared(ctx, start); err != nil {
		return err
	}
	s.opened.keepShared(key, s.shared)
	return nil
}

func (s *setup) computeShared(ctx context.Context, start *likeness.Model) error {
	images := s.data.images()
	if s.all != nil {
		if _, ok := images.IndicesIn(s.all.images()); ok {
			images = s.all.images()
		} else if joined, ok := union(s.data.(labeled).base, images, s.all.images()); ok { // a limit drew others
			images = joined
		}
	}
	s.shared = shared{images: images}
	if s.settings.augmentation() == nil {
		if frozen, err := s.frozen(start); err == nil { // an error is that of s.model, which reports it
			whole := images
			var base *datasets.Dataset
			if l, ok := s.data.(labeled); ok {
				base = l.base
				if joined, ok := union(l.base, whole, cmp.Or(l.experiment.ValidationClasses, l.experiment.Validation)); ok {
					whole = joined
				}
			}
			if s.shared.prefix, err = s.opened.prefix(ctx, frozen, base, whole); err != nil {
				return err
			}
		}
	}
	if !s.settings.Adapt {
		return nil
	}
	embeddings, computed, err := s.shared.prefix.Embed(ctx, start, images)
	if err == nil && !computed {
		embeddings, err = start.EmbedAll(interruptible{ctx, images}, nil)
	}
	s.shared.embeddings = embeddings
	return err
}

// frozen is a copy of a model with the frozen layers and statistics of the settings.
func (s *setup) frozen(start *likeness.Model) (*likeness.Model, error) {
	model, err := likeness.New(start.Backbone, start.Head, start.Preprocessing, s.settings.Seed)
	if err != nil {
		return nil, err
	}
	if _, err := trainer.CopyWeights(model, start); err != nil {
		return nil, err
	}
	return model, s.freeze(model)
}

// freeze freezes the layers and statistics of the settings.
func (s *setup) freeze(model *likeness.Model) error {
	if s.settings.FreezeNorm {
		if err := model.Weights.FreezeStatistics(); err != nil {
			return errors.WithMessage(err, "--freeze-norm")
		}
	}
	return model.Weights.Freeze(s.settings.Freeze...)
}

// union is the images of base that are in one of the parts, in the order of base. ok is false
// if a part has others.
func union(base *datasets.Dataset, parts ...*datasets.Dataset) (joined *datasets.Dataset, ok bool) {
	var all []int
	for _, part := range parts {
		indices, ok := part.IndicesIn(base)
		if !ok {
			return nil, false
		}
		all = append(all, indices...)
	}
	slices.Sort(all)
	return base.Subset(slices.Compact(all)), true
}

// set is the embeddings of images, which must be among the shared ones, with their labels.
func (s *setup) set(images *datasets.Dataset) (evaluate.Labeled, error) {
	rows, ok := images.IndicesIn(s.shared.images)
	if !ok {
		return evaluate.Labeled{}, errors.New("the training images were not embedded")
	}
	return evaluate.Labeled{Embeddings: s.shared.embeddings.Select(rows), Labels: images.Labels}, nil
}

// refit trains on all images for as many steps as the training that was measured took to its
// best epoch, with the settings of that one and from the same start, and interpolates the weights with the
// same share. The model has the threshold of the measured one. It is nil, without an error, if the context ends; Resume then continues.
func (s *setup) refit(ctx context.Context, start *likeness.Model, measured report.Report, chosen trainer.Result, folder Folder, observer *Observer) (*likeness.Model, *trainer.Result, error) {
	again := *s
	again.data, again.notes, again.settings.Patience = s.all, nil, 0
	again.settings.StepsPerEpoch = chosen.Steps / len(chosen.Epochs)
	steps := chosen.BestEpoch * again.settings.StepsPerEpoch
	share := shareOf(measured)
	if share == 0 {
		steps = 0 // what they would train has no share
	}
	if observer != nil && observer.Refit != nil {
		observer.Refit(again.data.images().Len(), again.data.images().Populated(1), steps)
	}
	if s.adaptation != nil {
		set, err := again.set(again.data.images())
		if err != nil {
			return nil, nil, err
		}
		adaptation, err := s.adaptation.Refit(ctx, set)
		if ctx.Err() != nil {
			return nil, &trainer.Result{Stopped: trainer.Interrupted}, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if start, err = adaptation.Model(s.plan.Pretrained); err != nil {
			return nil, nil, err
		}
	}
	if share == 0 {
		model, err := again.model(start)
		if err != nil {
			return nil, nil, err
		}
		model.Threshold = measured.Threshold
		return model, &trainer.Result{}, nil
	}
	again.stopAfter = chosen.BestEpoch
	t, err := again.trainer(start, folder.refitCheckpoint())
	if err != nil {
		return nil, nil, err
	}
	before := t.Model.Weights.Clone()
	t.OnStep, t.OnEpoch = observer.step, observer.epoch
	if s.ranks.Root() {
		t.OnCollapse = func(found trainer.Collapse) { observer.warning("%s", found) }
	}
	t.OnWarning = func(message string) { observer.warning("%s", message) }
	t.OnResume = func(done []trainer.Epoch) { observer.resumed(len(done), t.StopAfter) }
	result, err := t.Run(ctx)
	if err != nil || result.Stopped == trainer.Interrupted {
		return nil, &result, err
	}
	if err := trainer.Interpolate(t.Model, before, share); err != nil {
		return nil, nil, err
	}
	t.Model.Threshold = measured.Threshold
	return t.Model, &result, nil
}

// finish trains the measured model of a finished training again on all images, if that is to
// be done, saves it and removes the checkpoints. It returns the model that the run folder has.
func (s *setup) finish(ctx context.Context, start *likeness.Model, result *Result, observer *Observer) error {
	folder := result.Folder
	if s.all == nil {
		if !s.ranks.Root() {
			return nil
		}
		return folder.removeCheckpoints()
	}
	model, again, err := s.refit(ctx, start, result.Report, result.Training, folder, observer)
	result.Refit = again
	if err != nil {
		return errors.WithMessagef(err, "--refit: the training on all images stopped; %s has the model that was measured", folder.Model())
	}
	if model == nil {
		observer.note("the training on all images was interrupted: %s has the model that was measured", folder.Model())
		observer.note("to continue: likeness train --resume %s", folder)
		return nil
	}
	images := s.all.images()
	if result.Model = model; !s.ranks.Root() {
		return nil
	}
	result.Report.Refit = &report.Refit{Images: images.Len(), Classes: images.Populated(1), Steps: again.Steps, Seconds: again.Seconds}
	if err := model.Save(folder.Model()); err != nil {
		return err
	}
	if err := result.Report.Save(folder.Report()); err != nil {
		return err
	}
	observer.note("%v", *result.Report.Refit)
	return folder.removeCheckpoints()
}
