package solver_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/likeness-go/likeness/solver"
)

// A finite gradient whose square is infinite in float32 would make Adam's second
// moment infinite for good: the step is refused, whether the gradient is large or
// the penalty's pull is, and nothing changes. Clipped it is as small as any, and
// gradient descent squares nothing.
func TestAdamRefusesSquaresThatOverflow(t *testing.T) {
	for _, test := range []struct {
		name         string
		solver       solver.Solver
		value, slope float64
		refused      bool
	}{
		{"large", &solver.Adam{LearningRate: 0.1}, 1, 1e20, true},
		{"pulled", &solver.Adam{LearningRate: 0.1, L2: 0.01}, 1e25, 1, true},
		{"as large as may be", &solver.Adam{LearningRate: 0.1, L2: 0.01}, 1e18, 1e18, false},
		{"clipped", &solver.Adam{LearningRate: 0.1, Clip: 1}, 1, 1e20, false},
		{"decayed", &solver.Adam{LearningRate: 0.1, WeightDecay: 0.01}, 1e25, 1, false},
		{"descent", &solver.SGD{LearningRate: 0.1, L2: 0.01}, 1e25, 1e20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, second := newSingle("first", 1), newSingle("second", 3, 1)
			mustStep(t, test.solver, model(first, second))
			set(second.value, 3, test.value)
			set(second.grad, 0, test.slope)
			state, values := test.solver.State(), elements(second.value)
			err := test.solver.Step(model(first, second))
			if !test.refused {
				if err != nil {
					t.Errorf("found %v", err)
				}
				return
			}
			wantError(t, err, solver.ErrNotFinite, `"second"`, "the square of the gradient")
			if diff := cmp.Diff(values, elements(second.value)); diff != "" {
				t.Errorf("the weights changed:\n%s", diff)
			}
			wantSameState(t, test.solver.State(), state)
		})
	}
}
