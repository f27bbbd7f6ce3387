package solver

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// What a caller of Step or Restore may want to tell apart.
var (
	ErrNoGradient = errors.New("no gradient")
	ErrNotFinite  = errors.New("gradient is not finite")
	ErrChanged    = errors.New("not the parameters of the earlier steps")
)

// Parameter is a weight with the gradient of the last run. Value and Grad
// return contiguous row-major *tensor.Dense of one shape and one dtype, Float32
// or Float64.
type Parameter interface {
	gorgonia.ValueGrad

	// Name tells the parameter from all others of the model, as
	// "conv1.weight".
	Name() string

	// Decays says whether L2 and weight decay apply: true for convolution
	// kernels and fully connected matrices, false for biases and for the
	// parameters of a normalisation, which have no scale to shrink.
	Decays() bool
}

// Solver takes steps from gradients to the next weights. The elements given to
// Step are Parameters; where nothing decays, Decays may be missing, so that a
// *gorgonia.Node does too. The first step fixes which parameters there are and
// their order.
type Solver interface {
	gorgonia.Solver

	// SetRate sets the learning rate from the next step on.
	SetLearningRate(rate float64)

	// Progress tells of the steps taken.
	Progress() Progress

	// State copies what the solver remembers, to go on from later.
	State() State

	// Restore makes the solver go on from a state of a solver with the same
	// settings, bit for bit. After an error nothing has changed.
	Restore(state State) error
}

// Progress tells how far a solver has come.
type Progress struct {
	Steps        int     // steps taken, with those before a Restore
	LearningRate float64 // the learning rate, before a layer's RateScale
	GradientNorm float64 // Euclidean norm over all gradients of the last step, before clipping; 0 before the first
}
