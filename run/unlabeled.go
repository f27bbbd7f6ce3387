package run

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// unlabeled is images without classes, for losses that compare views. Without classes nothing
// can be measured.
type unlabeled struct {
	title string
	train *datasets.Dataset
}

func newUnlabeled(splits datasets.Splits, s Settings) (found data, note string, err error) {
	switch {
	case s.Symmetries || s.Grouped:
		return nil, "", errors.Errorf("%s has images without classes: --symmetries and --grouped need classes", s.Data)
	case len(s.Unseen) > 0 && !slices.Equal(s.Unseen, List{noUnseen}):
		return nil, "", errors.Errorf("--unseen: found %s, but %s has images without classes: leave it out", format(s.Unseen), s.Data)
	}
	note = "the images have no classes, so nothing is measured: likeness eval --run RUN --data DIR measures the model on a folder of classes"
	return unlabeled{splits.Name, splits.Train}, note, nil
}

func (u unlabeled) name() string { return u.title }

func (u unlabeled) images() *datasets.Dataset { return u.train }

func (u unlabeled) projected() *datasets.Dataset { return u.train }

func (u unlabeled) unseen() []string { return nil }

func (u unlabeled) summary() string {
	return fmt.Sprintf("%s, %d images without classes at %v", u.title, u.train.Len(), u.train.Size)
}

func (u unlabeled) limited(n, _ int, seed uint64) data {
	if n > 0 {
		u.train = u.train.Limit(n, random.Seed(seed, "limit", "training"))
	}
	return u
}

func (u unlabeled) refit() (data, error) {
	return nil, errors.Errorf("--refit: %s has images without classes, none of which are held out: leave out --refit", u.title)
}

func (u unlabeled) examples(loss objectives.Loss, batch, _ int) (datasets.Images, datasets.Sampler, error) {
	sampler, err := datasets.DefaultSampler(loss.Kind(), u.train, batch, 0)
	return u.train, sampler, errors.Wrapf(err, "draw examples for the loss %q", loss.Name())
}

func (u unlabeled) validation(uint64) (trainer.Validation, string, error) { return nil, "", nil }

func (u unlabeled) unseenValidation(uint64) bool { return false }

func (u unlabeled) plan(uint64) (*report.Plan, error) {
	plan := report.NewPairPlan(nil, nil)
	plan.Protocol = "images without classes"
	return plan, nil
}
