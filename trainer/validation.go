package trainer

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Validation measures a model after each epoch. OneShot, Retrieval, Verification and
// VerificationOf return those of this package; ValidationFunc returns one that calls a function.
type Validation interface {
	// Measure returns a finite number; higher is better. It must not change the model and
	// should not use test classes.
	Measure(*likeness.Model) (float64, error)
	// Identity identifies what is measured and on which images. Since the validation
	// decides which weights a training keeps, a checkpoint is resumed only with a
	// Validation of the same identity.
	Identity() string
}

// ValidationFunc returns a Validation that calls measure. Functions that measure
// different things must have different identities.
func ValidationFunc(identity string, measure func(*likeness.Model) (float64, error)) Validation {
	v := validation{identity: func(identify) string { return identity }}
	if measure != nil {
		v.measure = func(model *likeness.Model, _ *Prefix) (float64, error) { return measure(model) }
	}
	return v
}

type validation struct {
	identity func(identify) string
	measure  func(*likeness.Model, *Prefix) (float64, error)
	images   datasets.Images // nil if a function measures
}

func (v validation) Identity() string { return v.identity(datasets.Identity) }

func (v validation) Measure(model *likeness.Model) (value float64, err error) {
	return v.measureWith(model, nil)
}

// measureWith is Measure with the results of the first blocks for the images, if the prefix
// has them.
func (v validation) measureWith(model *likeness.Model, prefix *Prefix) (value float64, err error) {
	if v.measure == nil {
		return 0, errors.Errorf("validation %q: the function is nil, expected one that measures a model", v.Identity())
	}
	err = guarded("the function of the validation", func() (err error) { value, err = v.measure(model, prefix); return err })
	return value, err
}

// OneShot validates by the one-shot accuracy over episodes of way classes with one query
// for each class, which are drawn once from the images, as Koch, Zemel & Salakhutdinov
// 2015 do with 320 trials.
func OneShot(images datasets.Images, way, episodes int, seed uint64) (Validation, error) {
	drawn, err := datasets.OneShotTrials(images, way, episodes, seed, "validation episode")
	if err != nil {
		return nil, errors.Wrap(err, "one-shot validation")
	}
	if len(drawn) == 0 {
		return nil, errors.Errorf("one-shot validation: found %d episodes, expected at least 1", episodes)
	}
	identity := func(by identify) string {
		return fmt.Sprintf("%d-way one-shot accuracy, %d episodes of seed %d, images %s", way, episodes, seed, identityOf(images, by))
	}
	return validation{identity, func(model *likeness.Model, prefix *Prefix) (float64, error) {
		metric, embeddings, err := embed(model, images, prefix)
		if err != nil {
			return 0, err
		}
		score, err := evaluate.OneShot(metric, embeddings, drawn, evaluate.MeanDistance)
		return score.Value, err
	}, images}, nil
}

// Retrieval validates by MAP@R, see evaluate.Retrieval: each image is searched among all
// others. It uses all images, and tells models apart that have the same one-shot accuracy.
func Retrieval(images datasets.Images) (Validation, error) {
	if err := datasets.CheckImages(images); err != nil {
		return nil, errors.Wrap(err, "validation by retrieval")
	}
	labels := make([]int, images.Len())
	counts := map[int]int{}
	several := false
	for i := range labels {
		if labels[i] = images.Label(i); labels[i] < 0 {
			return nil, errors.Wrapf(datasets.ErrUnlabeled, "validation by retrieval: %s", images.Source(i))
		}
		counts[labels[i]]++
		several = several || counts[labels[i]] > 1
	}
	if !several || len(counts) < 2 {
		return nil, errors.Wrap(datasets.ErrTooFew, "validation by retrieval: found no two classes of which one has two images")
	}
	identity := func(by identify) string { return "MAP@R, images " + identityOf(images, by) }
	return validation{identity, func(model *likeness.Model, prefix *Prefix) (float64, error) {
		metric, embeddings, err := embed(model, images, prefix)
		if err != nil {
			return 0, err
		}
		found, err := evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: embeddings, Labels: labels}, 1)
		return found.MAPAtR.Value, err
	}, images}, nil
}

// Verification validates by the area under the ROC curve over balanced pairs, which are
// drawn once from the images. pairs must be at least 2.
func Verification(images datasets.Images, pairs int, seed uint64) (Validation, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, errors.Wrap(err, "validation by pairs")
	}
	if pairs < 2 {
		return nil, errors.Errorf("validation by pairs: found %d pairs, expected at least 2", pairs)
	}
	return VerificationOf(images, sampler.Sample(random.New(seed, "validation pairs"), pairs).Pairs()), nil
}

// VerificationOf is Verification over given pairs, which must contain same-class and
// different-class pairs.
func VerificationOf(images datasets.Images, pairs []datasets.Pair) Validation {
	identity := func(by identify) string {
		if d, ok := images.(*datasets.Dataset); images == nil || ok && d == nil {
			return fmt.Sprintf("area under the ROC curve, pairs %s, no images", digestOf(pairs))
		}
		return fmt.Sprintf("area under the ROC curve, pairs %s, images %s", digestOf(pairs), identityOf(images, by))
	}
	return validation{identity, func(model *likeness.Model, prefix *Prefix) (float64, error) {
		metric, embeddings, err := embed(model, images, prefix)
		if err != nil {
			return 0, err
		}
		verification, err := evaluate.Verify(metric, embeddings, pairs)
		if err != nil {
			return 0, err
		}
		return verification.AreaUnderCurve(), nil
	}, images}
}

// identityOf identifies images in the identity of a validation. Images that cannot
// be read are identified by the error, which no readable ones have.
func identityOf(images datasets.Images, by identify) string {
	identity, err := by(images)
	if err != nil {
		return err.Error()
	}
	return identity
}

// embed returns the model's metric and the embeddings of all images.
func embed(model *likeness.Model, images datasets.Images, prefix *Prefix) (evaluate.Metric, evaluate.Embeddings, error) {
	if d, ok := images.(*datasets.Dataset); images == nil || ok && d == nil || images.Len() == 0 {
		return nil, evaluate.Embeddings{}, errors.New("found no images to validate on, expected a dataset with images")
	}
	if err := datasets.CheckImages(images); err != nil {
		return nil, evaluate.Embeddings{}, err
	}
	embeddings, shared, err := prefix.Embed(context.Background(), model, images)
	if err == nil && !shared {
		embeddings, err = model.EmbedAll(images, nil)
	}
	if err != nil {
		return nil, evaluate.Embeddings{}, err
	}
	metric, err := model.Metric()
	return metric, embeddings, err
}

// measure measures a model by a validation, with the results of the first blocks if the
// validation is of this package. The value is finite.
func measure(validate Validation, model *likeness.Model, prefix *Prefix) (value float64, err error) {
	err = guarded("field Validate: its method Measure", func() (err error) {
		if own, ok := validate.(validation); ok {
			value, err = own.measureWith(model, prefix)
		} else {
			value, err = validate.Measure(model)
		}
		return err
	})
	if err == nil && !finite(value) {
		err = errors.Errorf("found %v, expected a finite number", value)
	}
	return value, err
}

// validate measures the epoch's weights, or their moving average, keeps a copy of
// them if no earlier epoch was better, and stops the training when Patience epochs
// have passed without improvement.
func (r *run) validate(epoch *Epoch) error {
	if r.Validate == nil {
		r.result.BestEpoch, epoch.Best = epoch.Epoch, true
		return nil
	}
	return r.averaged(func() error {
		value, err := r.shared("validation", func() (float64, error) { return measure(r.Validate, r.Model, r.Trainer.Prefix) })
		if err != nil {
			return err
		}
		epoch.Validation = &value
		if r.best == nil || value > r.bestValue {
			r.best, r.bestValue = r.Model.Weights.Clone(), value
			r.result.BestEpoch, epoch.Best = epoch.Epoch, true
		}
		waited := epoch.Epoch - r.result.BestEpoch
		if r.Patience > 0 && waited >= r.Patience && r.result.Stopped == "" {
			r.result.Stopped = fmt.Sprintf("no gain on validation in %d epochs", waited)
		}
		return nil
	})
}

// keepBest leaves the weights of the best epoch in the model; without validation
// the last ones, or their moving average.
func (r *run) keepBest() error {
	if r.best == nil {
		keep := func() error { r.best = r.Model.Weights.Clone(); return nil }
		if err := r.averaged(keep); err != nil {
			return err
		}
	}
	return r.Model.Weights.CopyFrom(r.best)
}

// averaged calls f while the model has its averaged weights, where an average
// is kept.
func (r *run) averaged(f func() error) error {
	if r.average == nil || r.place.Steps == 0 {
		return f()
	}
	return r.average.Evaluate(r.tensors(), f)
}
