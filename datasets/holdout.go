package datasets

import (
	"math"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

const (
	defaultUnseenFraction = 0.25
	// validationClassesFraction of the training classes go to ValidationClasses
	// where there are at least validationClassesFrom.
	validationClassesFraction = 0.1
	validationClassesFrom     = 20
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
	case o.UnseenClasses != nil:
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
func (s Splits) validationClasses(seen, unseen []string, seed uint64) (*Dataset, []string) {
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
	held := s.Train.holdOut(seen, validationClassesFraction, 2, random.Seed(seed, "validation classes"))
	return s.Train.relabel(held), difference(seen, held)
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
