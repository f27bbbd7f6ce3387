package trainer

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// ErrNotFinite marks a training that stopped because the cost, a gradient or a
// weight was no finite number. The weights are those of the step before.
var ErrNotFinite = errors.New("training diverged")

// learn moves the weights by the gradients at the inputs and returns the cost
// before that. After an error all weights are as before: a run of the graph
// moves batch norm's statistics before anyone has seen its cost.
func (r *run) learn(in inputs) (cost float64, err error) {
	weights := r.Model.Weights
	if err := r.before.CopyFrom(weights); err != nil {
		return 0, err
	}
	done := false
	defer func() {
		if !done { // after an error or a panic
			// The two have the same names and shapes, as the copy above found.
			_ = weights.CopyFrom(r.before)
		}
	}()
	if cost, err = r.differentiate(in); err != nil {
		return 0, err
	}
	if !finite(cost) {
		return 0, r.diverged(fmt.Sprintf("the cost is %v", cost))
	}
	r.solver.SetLearningRate(r.rate())
	if err := r.solver.Step(r.program.Gradients()); errors.Is(err, solver.ErrNotFinite) {
		return 0, r.diverged(err.Error())
	} else if err != nil {
		return 0, err
	}
	if name := weights.NotFinite(); name != "" {
		return 0, r.diverged(fmt.Sprintf("weight %q is not finite", name))
	}
	done = true
	return cost, nil
}

// differentiate runs the graph and returns the cost.
func (r *run) differentiate(in inputs) (float64, error) {
	for name, values := range in {
		if err := r.program.Set(name, values); err != nil {
			return 0, err
		}
	}
	if err := r.program.Run(); err != nil {
		return 0, err
	}
	return r.program.Scalar(graph.Cost)
}

// rate is the learning rate of the step at hand.
func (r *run) rate() float64 { return r.schedule.LearningRate(r.place.Steps, r.Epochs*r.epochSteps) }

// diverged says what to do about what was found.
func (r *run) diverged(found string) error {
	return errors.Wrapf(ErrNotFinite, "%s: take a lower rate than %v, clip the gradient (clip = 1) or look for extreme values in the data", found, r.rate())
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
