package solver_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/likeness-go/likeness/solver"
)

// The problem of benchmarks/peers/solver_reference.py, which says how
// testdata/pytorch.json came about: W and b minimise Σ‖Wx + b − y‖²/2.
var (
	inputs  = [][]float64{{0.5, -1.0, 2.0}, {1.5, 0.25, -0.5}, {-0.75, 1.25, 1.0}, {0.1, 0.2, -0.3}}
	targets = [][]float64{{1.0, -2.0}, {0.5, 0.25}, {-1.5, 1.0}, {2.0, 0.75}}
)

func leastSquares() (weights, bias *weight) {
	weights, bias = newWeight("W", 0.3, -0.2, 0.1, -0.4, 0.6, 0.05), newWeight("b", 0.5, -0.5)
	bias.decays = false
	return weights, bias
}

// setGradients: with residuals r = Wx + b − y they are Σ r xᵀ and Σ r.
func setGradients(weights, bias *weight) {
	w, b := weights.value.Float64s(), bias.value.Float64s()
	gw, gb := weights.grad.Float64s(), bias.grad.Float64s()
	clear(gw)
	clear(gb)
	for sample, x := range inputs {
		for i := range b {
			residual := b[i] - targets[sample][i]
			for j := range x {
				residual += w[3*i+j] * x[j]
			}
			for j := range x {
				gw[3*i+j] += residual * x[j]
			}
			gb[i] += residual
		}
	}
}

func TestTrajectoriesArePyTorchs(t *testing.T) {
	var reference struct {
		Source       string
		Trajectories map[string][][]float64
	}
	content, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &reference); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		solver   solver.Solver
		schedule solver.Schedule
	}{
		"sgd":              {solver: &solver.SGD{LearningRate: 0.05}},
		"sgd momentum":     {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9}},
		"sgd nesterov":     {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9, Nesterov: true}},
		"sgd momentum l2":  {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9, L2: 0.1}},
		"adam":             {solver: &solver.Adam{LearningRate: 0.1}},
		"adam settings":    {solver: &solver.Adam{LearningRate: 0.1, Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-3}},
		"adam l2":          {solver: &solver.Adam{LearningRate: 0.1, L2: 0.1}},
		"adamw":            {solver: &solver.Adam{LearningRate: 0.1, WeightDecay: 0.1}},
		"adam exponential": {&solver.Adam{}, solver.Exponential{Initial: 0.1, Factor: 0.9}},
		"adam step":        {&solver.Adam{}, solver.Step{Initial: 0.1, Factor: 0.5, Epochs: 4}},
		"adam cosine":      {&solver.Adam{}, solver.Cosine{Initial: 0.1, Final: 0.01}},
	}
	if len(cases) != len(reference.Trajectories) {
		t.Errorf("%d cases for %d trajectories", len(cases), len(reference.Trajectories))
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			weights, bias := leastSquares()
			trajectory := reference.Trajectories[name]
			if len(trajectory) != 20 {
				t.Fatalf("found %d steps in the reference, expected 20", len(trajectory))
			}
			for i, want := range trajectory {
				setGradients(weights, bias)
				if each.schedule != nil {
					each.solver.SetLearningRate(each.schedule.LearningRate(i, len(trajectory)))
				}
				mustStep(t, each.solver, model(weights, bias))
				wantNear(t, append(elements(weights.value), elements(bias.value)...), want, 1e-12)
			}
		})
	}
}
