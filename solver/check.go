package solver

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
)

// bound says that a field's value lies in [least, below). No NaN does.
type bound struct {
	field               string
	value, least, below float64
}

func within(bounds ...bound) error {
	for _, b := range bounds {
		if !(b.value >= b.least && b.value < b.below) {
			return errors.Errorf("%s: found %v, expected %s", b.field, b.value, b.expected())
		}
	}
	return nil
}

// expected is the range in words.
func (b bound) expected() string {
	if math.IsInf(b.below, 1) {
		return fmt.Sprintf("a finite number, at least %v", b.least)
	}
	return fmt.Sprintf("at least %v and below %v", b.least, b.below)
}

// field is one of a Config's numbers.
type field struct {
	name  string
	value float64
}

// allZero refuses settings that would have no effect.
func allZero(owner string, fields ...field) error {
	for _, f := range fields {
		if f.value != 0 {
			return errors.Errorf("%s: found %v, expected none: %s has no use for it", f.name, f.value, owner)
		}
	}
	return nil
}

func (c Config) check(length Length) error {
	if length.Epochs < 1 || length.EpochSteps < 1 {
		return errors.Errorf("length: found %d epochs of %d steps, expected at least 1 of each", length.Epochs, length.EpochSteps)
	}
	if c.LearningRate == 0 {
		return errors.New("learning_rate: found 0, expected a number above 0")
	}
	if err := within(
		bound{"learning_rate", c.LearningRate, 0, math.Inf(1)},
		bound{"momentum_epochs", float64(c.MomentumEpochs), 0, math.Inf(1)},
		bound{"average", c.Average, 0, 1},
	); err != nil {
		return err
	}
	if !(c.Warmup >= 0 && c.Warmup <= float64(length.Epochs)) {
		return errors.Errorf("warmup: found %v, expected 0 to %d epochs, as long as the training", c.Warmup, length.Epochs)
	}
	if err := c.checkSolver(); err != nil {
		return err
	}
	return c.checkSchedule()
}

func (c Config) checkSolver() error {
	var nesterov float64
	if c.Nesterov {
		nesterov = 1
	}
	start, epochs := field{"momentum_start", c.MomentumStart}, field{"momentum_epochs", float64(c.MomentumEpochs)}
	momentum := []field{{"momentum", c.Momentum}, start, epochs, {"nesterov", nesterov}}
	l2, decay := field{"l2", c.L2}, field{"weight_decay", c.WeightDecay}
	switch c.Solver {
	case "sgd":
		if c.MomentumStart == 0 {
			if err := allZero("sgd without momentum_start", epochs); err != nil {
				return err
			}
		}
		return allZero("sgd", decay, field{"beta1", c.Beta1}, field{"beta2", c.Beta2}, field{"epsilon", c.Epsilon})
	case "adam":
		if err := allZero("adam, unlike adamw,", decay); err != nil {
			return err
		}
		if err := checkLayers(c.Layers, "weight_decay", func(l Layer) *float64 { return l.WeightDecay }); err != nil {
			return err
		}
		return allZero("adam", momentum...)
	case "adamw":
		if err := checkLayers(c.Layers, "l2", func(l Layer) *float64 { return l.L2 }); err != nil {
			return err
		}
		return allZero("adamw", append(momentum, l2)...)
	}
	return errors.Errorf("solver: found %q, expected \"sgd\", \"adam\" or \"adamw\"", c.Solver)
}

func (c Config) checkSchedule() error {
	decay, epochs, final := field{"decay", c.Decay}, field{"decay_epochs", float64(c.DecayEpochs)}, field{"final_rate", c.FinalLearningRate}
	switch c.Schedule {
	case "", "constant":
		return allZero("a constant schedule", decay, epochs, final)
	case "step":
		if c.DecayEpochs < 1 {
			return errors.Errorf("decay_epochs: found %d, expected at least 1", c.DecayEpochs)
		}
		return c.checkDecay(final)
	case "exponential":
		return c.checkDecay(epochs, final)
	case "cosine":
		if err := within(bound{"final_rate", c.FinalLearningRate, 0, math.Inf(1)}); err != nil {
			return err
		}
		return allZero("a cosine schedule", decay, epochs)
	}
	return errors.Errorf("schedule: found %q, expected \"constant\", \"step\", \"exponential\" or \"cosine\"", c.Schedule)
}

func (c Config) checkDecay(unused ...field) error {
	if !(c.Decay > 0 && c.Decay <= 1) {
		return errors.Errorf("decay: found %v, expected above 0 and at most 1", c.Decay)
	}
	return allZero("the "+c.Schedule+" schedule", unused...)
}
