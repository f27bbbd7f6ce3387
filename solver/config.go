package solver

import (
	"cmp"
	"fmt"
	"math"

	"github.com/pkg/errors"
)

// Config describes a solver and its schedule in a file. Durations are in epochs.
// Fields that the solver or the schedule does not use must be zero.
type Config struct {
	Solver       string  `toml:"solver"`                    // "sgd", "adam" or "adamw"
	LearningRate float64 `toml:"learning_rate" json:"Rate"` // initial learning rate η, above 0

	Momentum       float64 `toml:"momentum"`        // sgd: μ, in [0, 1)
	MomentumStart  float64 `toml:"momentum_start"`  // sgd: initial momentum of a linear ramp to μ; 0 for no ramp
	MomentumEpochs int     `toml:"momentum_epochs"` // sgd: length of the ramp; 0 for all epochs
	Nesterov       bool    `toml:"nesterov"`        // sgd

	Beta1   float64 `toml:"beta1"`   // adam, adamw: 0 stands for 0.9
	Beta2   float64 `toml:"beta2"`   // adam, adamw: 0 stands for 0.999
	Epsilon float64 `toml:"epsilon"` // adam, adamw: 0 stands for 1e-8

	L2          float64 `toml:"l2"`           // sgd, adam: λ of λ‖w‖², if the loss has no such term
	WeightDecay float64 `toml:"weight_decay"` // adamw: λ′ of w ← (1 − ηλ′)w
	Clip        float64 `toml:"clip"`         // maximum norm over all gradients; 0 for no limit
	Average     float64 `toml:"average"`      // Decay of an Average of the weights, in [0, 1); 0 for none

	Schedule          string  `toml:"schedule"`                    // "constant" (or empty), "step", "exponential" or "cosine"
	Warmup            float64 `toml:"warmup"`                      // epochs of linear warm-up, 0.5 for half a one
	Decay             float64 `toml:"decay"`                       // step, exponential: factor on the learning rate, in (0, 1]
	DecayEpochs       int     `toml:"decay_epochs"`                // step: epochs between two decays
	FinalLearningRate float64 `toml:"final_rate" json:"FinalRate"` // cosine: the learning rate at the end

	Layers []Layer `toml:"layers"` // settings of single layers
}

// Length is the length of a training.
type Length struct {
	Epochs     int // the maximum, if training may stop early
	EpochSteps int // steps in an epoch
}

// Steps is the total number of steps.
func (l Length) Steps() int { return l.Epochs * l.EpochSteps }

// New returns the solver and the learning rate schedule of a configuration. An error
// names the field, what was found and what was expected.
func New(config Config, length Length) (Solver, Schedule, error) {
	if err := config.check(length); err != nil {
		return nil, nil, errors.Wrap(err, "solver configuration")
	}
	solver := config.solver(length)
	if err := solver.check(); err != nil {
		return nil, nil, errors.Wrap(err, "solver configuration")
	}
	return solver, config.schedule(length), nil
}

// checkedSolver is a solver of this package, which can validate its fields.
type checkedSolver interface {
	Solver
	rule
}

func (c Config) solver(length Length) checkedSolver {
	if c.Solver != "sgd" {
		return &Adam{LearningRate: c.LearningRate, Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon,
			L2: c.L2, WeightDecay: c.WeightDecay, Clip: c.Clip, Layers: c.Layers}
	}
	sgd := &SGD{LearningRate: c.LearningRate, Momentum: c.Momentum, Nesterov: c.Nesterov, L2: c.L2, Clip: c.Clip, Layers: c.Layers}
	if c.MomentumStart != 0 {
		epochs := cmp.Or(c.MomentumEpochs, length.Epochs)
		sgd.Ramp = Ramp{From: c.MomentumStart, Epochs: epochs, EpochSteps: length.EpochSteps}
	}
	return sgd
}

func (c Config) schedule(length Length) (schedule Schedule) {
	switch c.Schedule {
	case "step":
		schedule = Step{Initial: c.LearningRate, Factor: c.Decay, Epochs: c.DecayEpochs, EpochSteps: length.EpochSteps}
	case "exponential":
		schedule = Exponential{Initial: c.LearningRate, Factor: c.Decay, EpochSteps: length.EpochSteps}
	case "cosine":
		schedule = Cosine{Initial: c.LearningRate, Final: c.FinalLearningRate}
	default:
		schedule = Constant{Initial: c.LearningRate}
	}
	if c.Warmup > 0 {
		steps := int(math.Round(c.Warmup * float64(length.EpochSteps)))
		schedule = Warmup{Steps: steps, Of: schedule}
	}
	return schedule
}

// bound requires the value of a field to be in [min, below). NaN is not.
type bound struct {
	field             string
	value, min, below float64
}

func within(bounds ...bound) error {
	for _, b := range bounds {
		if !(b.value >= b.min && b.value < b.below) {
			return errors.Errorf("%s: found %v, expected %s", b.field, b.value, b.expected())
		}
	}
	return nil
}

// expected describes the range.
func (b bound) expected() string {
	if math.IsInf(b.below, 1) {
		return fmt.Sprintf("a finite number, at least %v", b.min)
	}
	return fmt.Sprintf("at least %v and below %v", b.min, b.below)
}

// field is a number of a Config.
type field struct {
	name  string
	value float64
}

// allZero returns an error for settings that would have no effect.
func allZero(owner string, fields ...field) error {
	for _, f := range fields {
		if f.value != 0 {
			return errors.Errorf("%s: found %v, expected none: %s does not use it", f.name, f.value, owner)
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
		return errors.Errorf("warmup: found %v, expected 0 to %d, the number of epochs of the training", c.Warmup, length.Epochs)
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

// Koch is the optimization of Koch, Zemel & Salakhutdinov (2015), section 3.2: SGD
// with momentum and L2. The learning rate decays by 1 percent an epoch, uniformly
// across the network; the momentum is initially 0.5 and rises linearly by epoch to
// that of the layer. (The paper's batches of 128, its at most 200 epochs and its early
// stop after 20 epochs without improvement are settings of the trainer.)
//
// The paper searched the learning rate, momentum and L2 of each layer in [1e-4, 1e-1],
// [0, 1] and [0, 0.1] and does not print them. The values here are this module's
// choice from those ranges, the same for all layers: learning rate 1e-2, momentum 0.9,
// L2 1e-4, and a rise of the momentum by 0.01 an epoch. Set others by Layers: the
// paper's whole network learns nothing with one learning rate for all layers. It
// learns with a learning rate of 0.03, scales of 0.02, 0.08, 0.3 and 3.3 for conv1 to
// conv3 and linear1, an L2 of 8e-3 for linear1, and momenta that rise within 20 epochs
// of 50 steps, those of conv1 to conv3 to 0.98 and that of conv4 to 0.95 (go run
// ./benchmarks/reproduce koch-all-pairs). If the loss has the L2 term of the paper's
// equation, set L2 to zero.
func Koch() Config {
	return Config{
		Solver:         "sgd",
		LearningRate:   1e-2,
		Momentum:       0.9,
		MomentumStart:  0.5,
		MomentumEpochs: 40,
		L2:             1e-4,
		Schedule:       "exponential",
		Decay:          0.99,
	}
}
