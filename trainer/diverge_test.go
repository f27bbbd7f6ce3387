package trainer_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// A training that leaves the finite numbers stops, says what to do, and leaves
// the weights of the last step that went well: batch norm's statistics too,
// which a run of the graph moves before its cost is known.
func TestDivergenceKeepsTheLastFiniteWeights(t *testing.T) {
	for _, test := range []struct {
		name      string
		network   backbone.Network
		rate      float64
		deviation float64 // of the preprocessing
		steps     int     // that go well
		found     string
	}{
		{"a step makes weights overflow", everything(), 1e39, 1, 0, "is not finite"},
		{"a step makes the next cost overflow", tiny(), 1e30, 1, 1, "the loss is"},
		{"a step makes the next statistics overflow", everything(), 1e30, 1, 1, `weight "norm1.running_var" is not finite`},
		{"the data are infinite", everything(), 1e-3, 1e-300, 0, "the loss is NaN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			training := newTrainer(t, test.network)
			training.Solver = solver.Config{Solver: "sgd", LearningRate: test.rate}
			training.Model.Preprocessing.StdDev = []float64{test.deviation}
			want, steps := values(training.Model), 0
			training.OnStep = func(trainer.Step) { want, steps = values(training.Model), steps+1 }

			_, err := training.Run(context.Background())
			if !errors.Is(err, trainer.ErrNotFinite) {
				t.Fatalf("found error %v, expected ErrNotFinite", err)
			}
			for _, part := range []string{test.found, "use a lower learning rate", "clip the gradient", "extreme values"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if steps != test.steps {
				t.Errorf("found %d steps before the end, expected %d", steps, test.steps)
			}
			found := values(training.Model)
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("weights (-after the last step +found):\n%s", diff)
			}
			for name, elements := range found {
				for _, v := range elements {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						t.Fatalf("%s holds %v", name, v)
					}
				}
			}
		})
	}
}
