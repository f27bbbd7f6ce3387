package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// noUnseen, as the only unseen class, means that all classes are trained on.
const noUnseen = "none"

// labeled is images with classes, split into the parts of an experiment.
type labeled struct {
	title      string
	experiment datasets.Experiment
	heldOut    []string // classes of the training data that are held out of training
	symmetries bool     // rotated and mirrored classes are classes of their own
	grouped    bool     // the classes of a batch are of one group
	retrieval  bool     // validation is by MAP@R
	views      bool     // the loss uses no labels, and no model is selected by them

	base *datasets.Dataset // the training data, of which nothing is held out
	all  *datasets.Dataset // base within the limit of the settings, to train on at the end
}

func newLabeled(splits datasets.Splits, s Settings) (data, error) {
	options := datasets.ExperimentOptions{Seed: s.Seed, ValidationClassesFraction: s.ValidationClasses}
	switch {
	case slices.Equal(s.Unseen, List{noUnseen}):
		options.NoUnseen = true
	case len(s.Unseen) > 0:
		options.UnseenClasses = s.Unseen
	}
	experiment, err := splits.Experiment(options)
	if errors.Is(err, datasets.ErrUnknownClass) {
		err = errors.WithMessage(err, "--unseen")
	}
	if err != nil {
		return nil, err
	}
	l := labeled{title: splits.Name, experiment: experiment, heldOut: s.Unseen, symmetries: s.Symmetries, grouped: s.Grouped, retrieval: s.validatesByRetrieval(), views: comparesViews(s.Objective), base: splits.Train, all: splits.Train}
	if len(s.Unseen) == 0 && experiment.Unseen != nil {
		trained := splits.Train.ByClass()
		for _, name := range experiment.Unseen.Classes {
			if class := slices.Index(splits.Train.Classes, name); class >= 0 && len(trained[class]) > 0 {
				l.heldOut = append(l.heldOut, name)
			}
		}
	}
	return l, nil
}

// The names of Settings.Validation.
const (
	oneShotValidation   = "one-shot"
	retrievalValidation = "map-at-r"
)

// validatesByRetrieval reports whether the validation on held-out classes is by MAP@R.
func (s Settings) validatesByRetrieval() bool {
	return s.Validation == retrievalValidation || s.Validation == "" && s.Adapt
}

// checkValidation checks the name of the validation.
func (s Settings) checkValidation() error {
	switch s.Validation {
	case "", oneShotValidation, retrievalValidation:
		return nil
	}
	return errors.WithMessage(wording.Unknown("validation", s.Validation, []string{oneShotValidation, retrievalValidation}), "--validation")
}

func (l labeled) name() string { return l.title }

func (l labeled) images() *datasets.Dataset { return l.experiment.Train }

func (l labeled) unseen() []string { return l.heldOut }

func (l labeled) summary() string {
	return fmt.Sprintf("%s, %d images of %d classes at %v", l.title, l.images().Len(), l.images().Populated(1), l.images().Size)
}

func (l labeled) limited(n, m int, seed uint64) data {
	if n > 0 {
		l.all = l.all.Limit(n, random.Seed(seed, "limit", "refit"))
	}
	var limits []string
	for _, part := range []struct {
		name    string
		dataset **datasets.Dataset
		limit   int
	}{
		{"training", &l.experiment.Train, n},
		{"validation", &l.experiment.Validation, m}, {"validation class", &l.experiment.ValidationClasses, m},
		{"seen", &l.experiment.Seen, m}, {"unseen", &l.experiment.Unseen, m},
	} {
		if d := *part.dataset; d != nil && part.limit > 0 && part.limit < d.Len() {
			*part.dataset = d.Limit(part.limit, random.Seed(seed, "limit", part.name))
			limits = append(limits, fmt.Sprintf("%d %s images", part.limit, part.name))
		}
	}
	if len(limits) > 0 {
		l.experiment.Protocol += " Limited to " + strings.Join(limits, ", ") + "."
	}
	return l
}

// projected are the unseen classes, or else other images of the training classes.
func (l labeled) projected() *datasets.Dataset {
	for _, part := range []*datasets.Dataset{l.experiment.Unseen, l.experiment.Seen} {
		if part != nil {
			return part
		}
	}
	return l.experiment.Train
}

// plan also states what the model is selected by, which the division of the data does not
// determine: few images, or those that a limit leaves, may not allow a validation.
func (l labeled) plan(seed uint64) (*report.Plan, error) {
	validation, measure, err := l.validation(seed)
	if err != nil {
		return nil, err
	}
	selection := "model selected by the " + measure
	switch held := l.experiment.Validation != nil || l.experiment.ValidationClasses != nil; {
	case l.views:
		selection = "no model selected, because the loss uses no labels"
	case validation == nil && held:
		selection = "no model selected, because the held-out images are too few of each class"
	case validation == nil:
		selection = "no model selected, because no images are held out"
	}
	l.experiment.Protocol = strings.TrimSuffix(l.experiment.Protocol, ".") + "; " + selection + "."
	return report.NewPlan(l.experiment, seed)
}
