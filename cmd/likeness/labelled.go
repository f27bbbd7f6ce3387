package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// noUnseen, as the only unseen class, says that all classes are trained on.
const noUnseen = "none"

// labelled is images with classes, cut into an experiment.
type labelled struct {
	title      string
	experiment datasets.Experiment
	kept       []string // classes of the training data that are kept out of it
	symmetries bool     // are classes of their own
	grouped    bool     // classes of a batch are of one group
}

func newLabelled(splits datasets.Splits, s Settings) (material, error) {
	options := datasets.ExperimentOptions{Seed: s.Seed}
	switch {
	case slices.Equal(s.Unseen, []string{noUnseen}):
		options.UnseenClasses = []string{}
	case len(s.Unseen) > 0:
		options.UnseenClasses = s.Unseen
	}
	experiment, err := splits.Experiment(options)
	if errors.Is(err, datasets.ErrUnknownClass) {
		err = errors.WithMessage(err, "unseen")
	}
	if err != nil {
		return nil, err
	}
	l := labelled{title: splits.Name, experiment: experiment, kept: s.Unseen, symmetries: s.Symmetries, grouped: s.Grouped}
	if len(s.Unseen) == 0 && experiment.Unseen != nil {
		trained := splits.Train.ByClass()
		for _, name := range experiment.Unseen.Classes {
			if class := slices.Index(splits.Train.Classes, name); class >= 0 && len(trained[class]) > 0 {
				l.kept = append(l.kept, name)
			}
		}
	}
	return l, nil
}

func (l labelled) name() string { return l.title }

func (l labelled) images() *datasets.Dataset { return l.experiment.Train }

func (l labelled) unseen() []string { return l.kept }

func (l labelled) summary() string {
	return fmt.Sprintf("%s, %d images of %d classes at %v", l.title, l.images().Len(), l.images().Populated(1), l.images().Size)
}

func (l labelled) limited(n, m int, seed uint64) material {
	var limits []string
	for _, part := range []struct {
		name    string
		dataset **datasets.Dataset
		most    int
	}{
		{"training", &l.experiment.Train, n},
		{"validation", &l.experiment.Validation, m}, {"validation class", &l.experiment.ValidationClasses, m},
		{"seen", &l.experiment.Seen, m}, {"unseen", &l.experiment.Unseen, m},
	} {
		if d := *part.dataset; d != nil && part.most > 0 && part.most < d.Len() {
			*part.dataset = d.Limit(part.most, random.Seed(seed, "limit", part.name))
			limits = append(limits, fmt.Sprintf("%d %s images", part.most, part.name))
		}
	}
	if len(limits) > 0 {
		l.experiment.Protocol += " Limited to " + strings.Join(limits, ", ") + "."
	}
	return l
}

func (l labelled) examples(objective objectives.Loss, batch, perClass int) (*trainer.Examples, error) {
	images := l.images()
	if l.symmetries {
		var err error
		if images, err = images.Symmetries(); err != nil {
			return nil, errors.WithMessage(err, "symmetries")
		}
	}
	if !l.grouped {
		return trainer.For(objective, images, batch, perClass)
	}
	if objective.Kind() != datasets.Labeled {
		return nil, errors.Errorf("grouped: %s draws pairs or triplets by themselves, expected an objective in one batch, such as batch-hard or n-pair", objective.Name())
	}
	return trainer.ForGroups(objective, images, batch, perClass)
}

// shown are the unseen classes, or else other images of the training classes.
func (l labelled) shown() *datasets.Dataset {
	for _, part := range []*datasets.Dataset{l.experiment.Unseen, l.experiment.Seen} {
		if part != nil {
			return part
		}
	}
	return l.experiment.Train
}

// validation is one-shot recognition of classes that are held out for it, or
// else verification of other images of the training classes.
func (l labelled) validation(seed uint64) (trainer.Validation, string, error) {
	if classes := l.experiment.ValidationClasses; classes != nil {
		way := min(validationWays, classes.Populated(1))
		validation, err := trainer.OneShot(classes, way, (validationTrials+way-1)/way, seed)
		if !errors.Is(err, datasets.ErrTooFew) {
			return validation, fmt.Sprintf("%d-way one-shot accuracy on %d classes held out for it", way, classes.Populated(1)), err
		}
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

func (l labelled) plan(seed uint64) (*report.Plan, error) {
	return report.NewPlan(l.experiment, seed)
}
