package datasets

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Experiment is a division of labeled data for training, model selection and testing: no
// image is in two parts, and neither training nor model selection uses a class of Unseen.
// Train, Validation and Seen share one list of classes. A part without images is nil;
// Train never is.
type Experiment struct {
	Train *Dataset
	// Validation has held-out images of the training classes, for model selection.
	Validation *Dataset
	// ValidationClasses has classes held out from training, for model selection by
	// one-shot tasks. If classes are grouped, as by alphabets, it has whole groups.
	ValidationClasses *Dataset
	// Seen has test images of the training classes.
	Seen *Dataset
	// Unseen has test images of classes that no other part has.
	Unseen *Dataset
	// Protocol describes the division in one sentence. What is selected with the held-out
	// images is the decision of the training.
	Protocol string
}

// ExperimentOptions are the options of Splits.Experiment.
type ExperimentOptions struct {
	// NoUnseen trains on all classes of Train: none is held out for Unseen.
	NoUnseen bool
	// UnseenClasses are held out for Unseen. If it is nil, UnseenFraction or the
	// default of Splits.Experiment chooses them; an empty list is an error.
	UnseenClasses []string
	// UnseenFraction of the classes of Train are held out for Unseen, drawn at
	// random, and at least one. If it is 0, Splits.Experiment holds out its default,
	// about a quarter of the classes.
	UnseenFraction float64
	// ValidationFraction of the training images of each class are held out for
	// Validation, unless the data has a validation part. Zero means 0.1.
	ValidationFraction float64
	// ValidationClassesFraction of the training classes, or of their groups, are held out for
	// ValidationClasses if there are at least twenty of the classes, unless the data has
	// validation classes of its own. Zero means 0.1.
	ValidationClassesFraction float64
	// TestFraction of the images of each training class are held out for Seen when
	// the data has no test part. Zero means 0.2.
	TestFraction float64
	Seed         uint64
}

const (
	defaultValidationFraction = 0.1
	defaultTestFraction       = 0.2

	defaultValidationClassesFraction = 0.1
)

// Experiment divides labeled data as follows.
//
// The unseen classes are the first of these that applies: none, if NoUnseen is set;
// UnseenClasses; UnseenFraction; the classes of Test that are not in Train (these are
// unseen in any case); 7, 8 and 9 of the digits 0 to 9; a quarter of the classes of
// Train, at least two, if it has four or more. Unseen has their images in Test, or in
// Train if there is no Test.
//
// ValidationClasses has the classes of a given Validation that are neither in Train nor
// unseen. If there are none, it has ValidationClassesFraction of the training classes if there
// are at least twenty, and whole groups (see Dataset.Groups) if there are at least three groups.
//
// Seen and Validation have the images of the remaining training classes in the given Test
// and Validation or, if these do not exist, a fraction of Train.
func (s Splits) Experiment(o ExperimentOptions) (Experiment, error) {
	e, err := s.experiment(o)
	return e, errors.Wrapf(err, "cut %s into an experiment", s.Name)
}

func (s Splits) experiment(o ExperimentOptions) (e Experiment, err error) {
	if o, err = o.withDefaults(); err != nil {
		return Experiment{}, err
	}
	if s.Train == nil {
		return Experiment{}, errors.Wrap(ErrTooFew, "there are no labeled training images")
	}
	for _, part := range []*Dataset{s.Train, s.Validation, s.Test} {
		if part == nil {
			continue
		}
		if err := part.labeled(); err != nil {
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

	e.ValidationClasses, seen = s.validationClasses(seen, unseen, o)
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
		{"ValidationClassesFraction", &o.ValidationClassesFraction, defaultValidationClassesFraction},
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
		{e.Validation, "; %d other images of %d of these classes held out for validation"},
		{e.ValidationClasses, "; %d images of %d classes held out for validation"},
		{e.Seen, "; tested on %d other images of %d of the training classes"},
		{e.Unseen, "; tested on %d images of %d classes that training and validation never saw"},
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

const (
	defaultUnseenFraction = 0.25
	validationClassesFrom = 20 // training classes, of which some go to ValidationClasses
)

// unseenClasses returns the classes to test on that are not trained on.
func (s Splits) unseenClasses(o ExperimentOptions) ([]string, error) {
	train := s.Train.present()
	candidates := train
	var testOnly []string
	if s.Test != nil {
		testOnly = difference(s.Test.present(), train)
		candidates = intersection(train, s.Test.present())
	}
	switch {
	case o.NoUnseen && (len(o.UnseenClasses) > 0 || o.UnseenFraction > 0):
		return nil, errors.Errorf("found NoUnseen with UnseenClasses %q and UnseenFraction %v, expected only one of the three", o.UnseenClasses, o.UnseenFraction)
	case o.NoUnseen:
		return testOnly, nil
	case o.UnseenClasses != nil && len(o.UnseenClasses) == 0: // which once meant none
		return nil, errors.New("found an empty list UnseenClasses, expected classes, or nil for the default, or NoUnseen for none")
	case len(o.UnseenClasses) > 0:
		for _, name := range o.UnseenClasses {
			if !slices.Contains(candidates, name) && !slices.Contains(testOnly, name) {
				return nil, errors.Wrapf(ErrUnknownClass, "the unseen class %s is not among those that have test images: %s",
					quoted(name), listing(slices.Concat(candidates, testOnly)))
			}
		}
		return slices.Concat(intersection(candidates, o.UnseenClasses), testOnly), nil
	case o.UnseenFraction > 0:
		return slices.Concat(s.Train.holdOut(candidates, o.UnseenFraction, 1, random.Seed(o.Seed, "unseen")), testOnly), nil
	case len(testOnly) > 0:
		return testOnly, nil
	case slices.Equal(candidates, strings.Split("0123456789", "")):
		return []string{"7", "8", "9"}, nil
	case len(candidates) >= 4:
		return s.Train.holdOut(candidates, defaultUnseenFraction, 2, random.Seed(o.Seed, "unseen")), nil
	}
	return nil, nil
}

// validationClasses returns the classes for model selection, and those of seen
// that remain to train on.
func (s Splits) validationClasses(seen, unseen []string, o ExperimentOptions) (*Dataset, []string) {
	if s.Validation != nil {
		taken := slices.Concat(s.Train.present(), unseen)
		if s.Test != nil {
			taken = slices.Concat(taken, s.Test.present())
		}
		if own := difference(s.Validation.present(), taken); len(own) > 0 {
			return s.Validation.relabel(own), seen
		}
	}
	if len(seen) < validationClassesFrom {
		return nil, seen
	}
	held := s.Train.holdOut(seen, o.ValidationClassesFraction, 2, random.Seed(o.Seed, "validation classes"))
	return s.Train.relabel(held), difference(seen, held)
}

// HoldOutClasses divides the training data by classes: kept has those to train on, and held has
// the fraction of them, at least two, that are held out for validation, or whole groups, at least
// one, if there are three groups or more (see Dataset.Groups). These are the classes that
// Experiment holds out with the same seed if none are unseen. held is empty if fewer than two
// classes would be left.
func (s Splits) HoldOutClasses(fraction float64, seed uint64) (kept, held *Dataset) {
	if s.Train == nil {
		return nil, nil
	}
	classes := s.Train.present()
	names := s.Train.holdOut(classes, fraction, 2, random.Seed(seed, "validation classes"))
	return s.Train.relabel(difference(classes, names)), s.Train.relabel(names)
}

// holdOut draws the fraction of the named classes, at least the given number and
// all but one at most. Where they come in three groups or more, whole groups are
// drawn: characters of one alphabet are too much alike for an honest test.
func (d *Dataset) holdOut(names []string, fraction float64, least int, seed uint64) []string {
	units := d.relabel(names).Groups()
	if len(units) < 3 {
		units = nil
		for _, name := range names {
			units = append(units, []string{name})
		}
	} else {
		least = 1
	}
	count := min(max(least, int(math.Round(fraction*float64(len(units))))), len(units)-1)
	shuffle(random.New(seed), units)
	return intersection(names, slices.Concat(units[:max(0, count)]...))
}

// Limit returns at most n images, which are drawn at random, from all classes as evenly
// as possible, and keep their order. An unlabeled dataset is treated as one class.
func (d *Dataset) Limit(n int, seed uint64) *Dataset {
	if d == nil || n >= d.Len() {
		return d
	}
	r := random.New(seed, "limit")
	queues := d.ByClass()
	if d.Labels == nil {
		queues = [][]int{r.Perm(d.Len())}
	}
	for _, queue := range queues {
		shuffle(r, queue)
	}
	shuffle(r, queues) // which classes get one more, where n does not divide evenly
	var chosen []int
	for round, more := 0, true; more && len(chosen) < n; round++ {
		more = false // images without a label are in no queue
		for _, queue := range queues {
			if round < len(queue) && len(chosen) < n {
				chosen, more = append(chosen, queue[round]), true
			}
		}
	}
	slices.Sort(chosen)
	return d.Subset(chosen)
}

// SplitSamples holds out the given fraction of the images of each class, drawn
// at random and rounded to the nearest number, but never the last image of a
// class. Both parts keep all classes, and the order of d.
func (d *Dataset) SplitSamples(fraction float64, seed uint64) (kept, heldOut *Dataset, err error) {
	if err := d.labeled(); err != nil {
		return nil, nil, errors.Wrap(err, "split samples")
	}
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, errors.Errorf("split samples of %s: found the fraction %v, expected 0 to 1", d.Name, fraction)
	}
	held := make([]bool, d.Len())
	for class, images := range d.ByClass() {
		count := min(int(math.Round(fraction*float64(len(images)))), len(images)-1)
		shuffle(random.New(seed, "split samples", class), images)
		for _, i := range images[:max(0, count)] {
			held[i] = true
		}
	}
	var first, second []int
	for i := range held {
		if held[i] {
			second = append(second, i)
		} else {
			first = append(first, i)
		}
	}
	return d.Subset(first), d.Subset(second), nil
}

// SplitClasses holds out count of the classes that have images, drawn at random. Each
// part has only its own classes, with the labels renumbered as by OnlyClasses. If a part
// would have no class, the error is ErrTooFew.
func (d *Dataset) SplitClasses(count int, seed uint64) (kept, heldOut *Dataset, err error) {
	if err := d.labeled(); err != nil {
		return nil, nil, errors.Wrap(err, "split classes")
	}
	names := d.present()
	if count < 1 || count >= len(names) {
		return nil, nil, errors.Wrapf(ErrTooFew, "split classes of %s: hold out %d of %d classes", d.Name, count, len(names))
	}
	chosen := slices.Clone(names)
	shuffle(random.New(seed, "split classes"), chosen)
	held := intersection(names, chosen[:count])
	return d.relabel(difference(names, held)), d.relabel(held), nil
}
