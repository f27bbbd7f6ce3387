package solver

import (
	"cmp"
	"math"

	"github.com/pkg/errors"
)

// Config is a solver and its schedule as they stand in a file. Durations are in
// epochs. What the chosen solver or schedule has no use for must be left zero.
type Config struct {
	Solver       string  `toml:"solver"`                    // "sgd", "adam" or "adamw"
	LearningRate float64 `toml:"learning_rate" json:"Rate"` // initial learning rate η, above 0

	Momentum       float64 `toml:"momentum"`        // sgd: μ, in [0, 1)
	MomentumStart  float64 `toml:"momentum_start"`  // sgd: where a linear ramp to μ begins; 0 for no ramp
	MomentumEpochs int     `toml:"momentum_epochs"` // sgd: length of the ramp; 0 for all epochs
	Nesterov       bool    `toml:"nesterov"`        // sgd

	Beta1   float64 `toml:"beta1"`   // adam, adamw: 0 stands for 0.9
	Beta2   float64 `toml:"beta2"`   // adam, adamw: 0 stands for 0.999
	Epsilon float64 `toml:"epsilon"` // adam, adamw: 0 stands for 1e-8

	L2          float64 `toml:"l2"`           // sgd, adam: λ of λ‖w‖², where the objective has no such term
	WeightDecay float64 `toml:"weight_decay"` // adamw: λ′ of w ← (1 − ηλ′)w
	Clip        float64 `toml:"clip"`         // greatest norm over all gradients; 0 for no limit
	Average     float64 `toml:"average"`      // Decay of an Average of the weights, in [0, 1); 0 for none

	Schedule          string  `toml:"schedule"`                    // "constant" (or empty), "step", "exponential" or "cosine"
	Warmup            float64 `toml:"warmup"`                      // epochs of linear warm-up, 0.5 for half a one
	Decay             float64 `toml:"decay"`                       // step, exponential: factor on the rate, in (0, 1]
	DecayEpochs       int     `toml:"decay_epochs"`                // step: epochs between two decays
	FinalLearningRate float64 `toml:"final_rate" json:"FinalRate"` // cosine: the learning rate at the end

	Layers []Layer `toml:"layers"` // settings of single layers
}

// Length is how long a training is.
type Length struct {
	Epochs     int // at most, where training may stop early
	EpochSteps int // steps in an epoch
}

// Steps in all.
func (l Length) Steps() int { return l.Epochs * l.EpochSteps }

// New builds the solver and the schedule of its rate. An error names the field,
// what was found and what was expected.
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

// checkedSolver is one of ours, which knows its fields' bounds.
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
