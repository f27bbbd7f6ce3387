package trainer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// InterpolationShares returns the shares of the trained weights that ChooseInterpolation
// compares by default: 0, 0.25, 0.5, 0.75 and 1.
func InterpolationShares() []float64 { return []float64{0, 0.25, 0.5, 0.75, 1} }

// Interpolation is a choice by ChooseInterpolation.
type Interpolation struct {
	Share      float64                  `json:"share"` // of the trained weights, 0 to 1
	Candidates []InterpolationCandidate `json:"candidates,omitempty"`
}

// String says what was chosen.
func (i Interpolation) String() string {
	text := fmt.Sprintf("weight interpolation: the share of the trained weights is %v, that of the weights before the training %v", i.Share, 1-i.Share)
	for n, candidate := range i.Candidates {
		if n == 0 {
			text += "; validation by the share"
		} else {
			text += ","
		}
		text += fmt.Sprintf(" %v: %.4f", candidate.Share, candidate.Validation)
	}
	return text
}

// InterpolationCandidate is a share that was measured.
type InterpolationCandidate struct {
	Share      float64 `json:"share"`
	Validation float64 `json:"validation"` // higher is better
}

// Interpolate sets the weights of a trained model to (1 − share)·start + share·trained, where
// start has the weights with which its training began, as a Clone that was made before (weight-space
// ensembling, Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1).
// The share is from 0, which gives the weights of the start, to 1, which changes nothing;
// both do so bit for bit. Running statistics are interpolated, too. Elements that are
// equal in both stay as they are, so frozen layers remain those of the start. The weights
// must have the same names and shapes, except that start may lack those of the loss, whose names
// begin with objectives.WeightPrefix: they stay. The threshold of the model, which belongs to
// its old weights, is removed. If there is an error, nothing is changed.
func Interpolate(trained *likeness.Model, start *graph.Weights, share float64) error {
	if trained == nil || trained.Weights == nil || start == nil {
		return errors.New("interpolate weights: found nil, expected a trained model and the weights that it began with")
	}
	if err := trained.CheckFloat(); err != nil {
		return errors.Wrap(err, "interpolate weights")
	}
	if err := checkShare(share); err != nil {
		return errors.WithMessage(err, "interpolate weights")
	}
	weights := trained.Weights.All()
	for _, weight := range weights {
		other := start.Get(weight.Name)
		switch {
		case other == nil && strings.HasPrefix(weight.Name, objectives.WeightPrefix):
		case other == nil:
			return errors.Errorf("interpolate weights: the start has no weight %q: expected the weights of the same network", weight.Name)
		case !slices.Equal(other.Value.Shape(), weight.Value.Shape()) || other.Value.Dtype() != weight.Value.Dtype():
			return errors.Errorf("interpolate weights: weight %q of the start: found %v %v, expected %v %v", weight.Name,
				other.Value.Dtype(), other.Value.Shape(), weight.Value.Dtype(), weight.Value.Shape())
		}
	}
	for _, other := range start.All() {
		if trained.Weights.Get(other.Name) == nil {
			return errors.Errorf("interpolate weights: the trained model has no weight %q: expected one of the same network", other.Name)
		}
	}
	for _, weight := range weights {
		other := start.Get(weight.Name)
		switch {
		case other == nil || share == 1:
		case share == 0:
			copyElements(weight, other)
		default:
			switch values := weight.Value.Data().(type) {
			case []float32:
				interpolate(values, other.Value.Float32s(), share)
			case []float64:
				interpolate(values, other.Value.Float64s(), share)
			}
		}
	}
	trained.Weights.Changed()
	trained.Threshold = nil
	trained.HalfPrecision = trained.HalfPrecision && share == 1
	return nil
}

// interpolate computes start + share·(trained − start) in float64. The difference of equal
// elements is zero, so they keep their bits. The conversion of the product forbids a fused multiply-add, which
// would round differently on some processors.
func interpolate[T float32 | float64](trained, start []T, share float64) {
	for i, v := range trained {
		began := float64(start[i])
		trained[i] = T(began + float64(share*(float64(v)-began)))
	}
}

// checkShare reports a share that is no number from 0 to 1.
func checkShare(share float64) error {
	if !(share >= 0 && share <= 1) {
		return errors.Errorf("found the share %v of the trained weights, expected a number from 0 to 1", share)
	}
	return nil
}

// ChooseInterpolation measures the interpolations with the shares, or with those of
// InterpolationShares if there are none, by a validation, and leaves the best in the model; of
// equal ones that with the smallest share. See Interpolate for the weights. The prefix may be nil; a
// Validation of this package embeds images with it, as in Trainer.Prefix. The validation should be on
// classes that were not trained on, because images of the training classes favor the trained weights.
// If there is an error, the model has its trained weights.
func ChooseInterpolation(trained *likeness.Model, start *graph.Weights, validate Validation, prefix *Prefix, shares ...float64) (Interpolation, error) {
	if trained == nil || trained.Weights == nil || start == nil || validate == nil {
		return Interpolation{}, errors.New("choose an interpolation of weights: found nil, expected a trained model, the weights that it began with and a Validation")
	}
	if len(shares) == 0 {
		shares = InterpolationShares()
	}
	shares = slices.Clone(shares)
	slices.Sort(shares) // a later one must be better, not equal
	for _, share := range shares {
		if err := checkShare(share); err != nil {
			return Interpolation{}, errors.WithMessage(err, "choose an interpolation of weights")
		}
	}
	end := trained.Weights.Clone()
	threshold, half := trained.Threshold, trained.HalfPrecision
	restore := func() error {
		trained.Threshold, trained.HalfPrecision = threshold, half
		return trained.Weights.CopyFrom(end)
	}
	var chosen Interpolation
	best := 0.0
	for _, share := range shares {
		value, err := 0.0, restore()
		if err == nil {
			err = Interpolate(trained, start, share)
		}
		if err == nil {
			value, err = measure(validate, trained, prefix)
		}
		if err != nil {
			_ = restore() // it has succeeded before
			return Interpolation{}, errors.Wrapf(err, "choose an interpolation of weights: share %v", share)
		}
		chosen.Candidates = append(chosen.Candidates, InterpolationCandidate{Share: share, Validation: value})
		if len(chosen.Candidates) == 1 || value > best {
			chosen.Share, best = share, value
		}
	}
	if err := restore(); err != nil {
		return Interpolation{}, err
	}
	return chosen, Interpolate(trained, start, chosen.Share)
}
