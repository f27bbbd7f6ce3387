package datasets

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Experiment is labelled data cut so that each figure means what it says: no
// image is in two parts, and neither training nor model selection sees a class of
// Unseen. Train, Validation and Seen share one list of classes. A part that the
// data has no images for is nil; Train never is.
type Experiment struct {
	Train *Dataset
	// Validation is held-out images of the training classes, for model selection.
	Validation *Dataset
	// ValidationClasses is classes held out from training, for selecting models by
	// one-shot tasks. Where classes come in groups it is whole groups: alphabets.
	ValidationClasses *Dataset
	// Seen is test images of the training classes.
	Seen *Dataset
	// Unseen is test images of classes that are nowhere else.
	Unseen *Dataset
	// Protocol says in one sentence what was done.
	Protocol string
}

// ExperimentOptions says how Splits.Experiment holds data out.
type ExperimentOptions struct {
	// UnseenClasses are held out for Unseen. Nil leaves the choice to
	// UnseenFraction and the defaults; an empty list means none, so that all
	// classes of Train are trained on.
	UnseenClasses []string
	// UnseenFraction of the classes of Train are held out for Unseen, drawn at
	// random, and at least one. Zero leaves the choice to the defaults.
	UnseenFraction float64
	// ValidationFraction of the training images of each class are held out for
	// Validation, unless the data has a validation part. Zero means 0.1.
	ValidationFraction float64
	// TestFraction of the images of each training class are held out for Seen when
	// the data has no test part. Zero means 0.2.
	TestFraction float64
	Seed         uint64
}

const (
	defaultValidationFraction = 0.1
	defaultTestFraction       = 0.2
)

// Experiment cuts labelled data as follows.
//
// The unseen classes are the first of these that there are: UnseenClasses;
// UnseenFraction; the classes of Test that Train lacks (these are unseen in any
// case); 7, 8 and 9 of the digits 0 to 9; a quarter of the classes of Train, at
// least two, if it has four or more. Unseen is their images in Test, or in Train
// when there is no Test.
//
// ValidationClasses is the classes of a given Validation that are neither in
// Train nor unseen; failing that a tenth of the training classes, if they are
// twenty or more, and whole groups of them (see Dataset.Groups) if they come in
// three groups or more.
//
// Seen and Validation are the images of the remaining training classes in the
// parts of these names, or a share of Train.
func (s Splits) Experiment(o ExperimentOptions) (Experiment, error) {
	e, err := s.experiment(o)
	return e, errors.Wrapf(err, "cut %s into an experiment", s.Name)
}

func (s Splits) experiment(o ExperimentOptions) (e Experiment, err error) {
	if o, err = o.withDefaults(); err != nil {
		return Experiment{}, err
	}
	if s.Train == nil {
		return Experiment{}, errors.Wrap(ErrTooFew, "there are no labelled training images")
	}
	for _, part := range []*Dataset{s.Train, s.Validation, s.Test} {
		if part == nil {
			continue
		}
		if err := part.labelled(); err != nil {
			return Experiment{}, err
		}
	}
	unseen, err := s.unseenClasses(o)
	if err != nil {
		return Experiment{}, err
	}
	seen := difference(s.Train.present(), unseen)
	if len(seen) == 0 {
		return Experiment{}, errors.Wrap(ErrTooFew, "no class is left to train on")
	}

	e.ValidationClasses, seen = s.validationClasses(seen, unseen, o.Seed)
	e.Train = s.Train.relabel(seen)
	if s.Test != nil {
		e.Unseen, e.Seen = s.Test.relabel(unseen), s.Test.relabel(seen)
	} else {
		e.Unseen = s.Train.relabel(unseen)
		if e.Train, e.Seen, err = e.Train.SplitSamples(o.TestFraction, random.Seed(o.Seed, "test")); err != nil {
			return Experiment{}, err
		}
	}
	if given := s.Validation; given != nil && given.relabel(seen).Len() > 0 {
		e.Validation = given.relabel(seen)
	} else if e.Train, e.Validation, err = e.Train.SplitSamples(o.ValidationFraction, random.Seed(o.Seed, "validation")); err != nil {
		return Experiment{}, err
	}

	for _, part := range []struct {
		name    string
		dataset **Dataset
	}{
		{"train", &e.Train}, {"validation", &e.Validation}, {"validation classes", &e.ValidationClasses},
		{"seen", &e.Seen}, {"unseen", &e.Unseen},
	} {
		if *part.dataset == nil || (*part.dataset).Len() == 0 {
			*part.dataset = nil
		} else {
			(*part.dataset).Name = s.Name + " " + part.name
		}
	}
	e.Protocol = s.protocol(e, o.Seed)
	return e, nil
}

func (o ExperimentOptions) withDefaults() (ExperimentOptions, error) {
	for _, field := range []struct {
		name      string
		value     *float64
		otherwise float64
	}{
		{"UnseenFraction", &o.UnseenFraction, 0},
		{"ValidationFraction", &o.ValidationFraction, defaultValidationFraction},
		{"TestFraction", &o.TestFraction, defaultTestFraction},
	} {
		if !(*field.value >= 0 && *field.value < 1) {
			return o, errors.Errorf("found %s %v, expected 0 to below 1", field.name, *field.value)
		}
		if *field.value == 0 {
			*field.value = field.otherwise
		}
	}
	return o, nil
}

// protocol states what was done.
func (s Splits) protocol(e Experiment, seed uint64) string {
	text := s.Name
	for _, clause := range []struct {
		part   *Dataset
		format string
	}{
		{e.Train, ": trained on %d images of %d classes"},
		{e.Validation, "; models selected on %d other images of %d of these classes"},
		{e.ValidationClasses, "; models selected on %d images of %d classes held out for that"},
		{e.Seen, "; tested on %d other images of %d of the training classes"},
		{e.Unseen, "; tested on %d images of %d classes that training and selection never saw"},
	} {
		if clause.part != nil {
			text += fmt.Sprintf(clause.format, clause.part.Len(), len(clause.part.present()))
		}
	}
	if e.Unseen != nil {
		text += fmt.Sprintf(" (%s)", listing(e.Unseen.present()))
	}
	return fmt.Sprintf("%s; seed %d.", text, seed)
}
