package trainer_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// Frozen layers stay as they are to the bit, statistics included, also under a
// weight average and weight decay; the others move.
func TestFrozenLayersStay(t *testing.T) {
	training := newTrainer(t, everything())
	training.Solver = solver.Config{Solver: "adamw", LearningRate: 1e-2, WeightDecay: 0.1, Average: 0.7}
	if err := training.Model.Weights.Freeze("conv1", "norm1"); err != nil {
		t.Fatal(err)
	}
	before := values(training.Model)
	run(t, training)
	after := values(training.Model)
	for _, name := range []string{"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "norm1.running_mean", "norm1.running_var"} {
		if before[name] == nil {
			t.Errorf("there is no weight %s; there are %v", name, training.Model.Weights.All())
		}
		if diff := cmp.Diff(before[name], after[name]); diff != "" {
			t.Errorf("frozen %s (-before +after):\n%s", name, diff)
		}
	}
	if cmp.Equal(before["linear1.weight"], after["linear1.weight"]) {
		t.Error("linear1.weight has not moved")
	}
}

// A penalty as a term of the cost moves the weights as the solver's own L2
// does, and the cost has grown by it.
func TestPenaltiesAreTheSolversL2(t *testing.T) {
	const lambda = 0.05
	var cost [2]float64
	var weights [2]map[string][]float32
	for i := range 2 {
		training := newTrainer(t, tiny())
		training.Epochs, training.EpochSteps = 1, 1
		training.Solver = solver.Config{Solver: "sgd", LearningRate: 0.1}
		if i == 0 {
			training.Solver.L2 = lambda
		} else {
			training.Penalties = []objectives.WeightPenalty{{Pattern: "*", Lambda: lambda}}
		}
		training.OnStep = func(step trainer.Step) { cost[i] = step.Cost }
		run(t, training)
		weights[i] = values(training.Model)
	}
	if diff := cmp.Diff(weights[0], weights[1], cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("weights (-the solver's L2 +penalty):\n%s", diff)
	}
	var squares float64
	for _, weight := range newModel(t, tiny(), heads.L2{}).Weights.All() {
		if weight.Role == graph.Kernel {
			for _, v := range weight.Value.Data().([]float32) {
				squares += float64(v) * float64(v)
			}
		}
	}
	if want := cost[0] + lambda*squares; math.Abs(cost[1]-want) > 1e-5 {
		t.Errorf("cost with the penalty: found %v, expected %v", cost[1], want)
	}
}
