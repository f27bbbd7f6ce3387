package trainer

import (
	"fmt"

	"github.com/pkg/errors"
)

// validate measures the epoch's weights, or their moving average, keeps them
// if no earlier epoch was better, and says when patience is at an end.
func (r *run) validate(epoch *Epoch) error {
	if r.Validate == nil {
		r.result.BestEpoch, epoch.Best = epoch.Epoch, true
		return nil
	}
	return r.averaged(func() error {
		var value float64
		err := guarded("field Validate: its method Measure", func() (err error) { value, err = r.Validate.Measure(r.Model); return err })
		if err != nil {
			return err
		}
		if !finite(value) {
			return errors.Errorf("found %v, expected a finite number", value)
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

// finish leaves the weights of the best epoch in the model; without validation
// the last ones, or their moving average.
func (r *run) finish() error {
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
