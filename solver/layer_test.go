package solver_test

import (
	"testing"

	"github.com/likeness-go/likeness/solver"
)

// Gradient 1 and weight 1 everywhere; rate 0.1 and no L2 but where a layer says
// so. "conv1" is not "conv10", and the first layer that matches counts.
func TestLayersByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5, Layers: []solver.Layer{
		{Name: "conv1", LearningRateScale: new(2.0)},
		{Name: "*.bias", Momentum: new(0.0)},
		{Name: "fc.weight", L2: new(0.5)},
		{Name: "conv*", LearningRateScale: new(0.0)},
	}}
	want := map[string]float64{
		"conv1.weight":  1 - 0.2 - (0.1 + 0.2),
		"conv1.bias":    1 - 0.2 - (0.1 + 0.2),
		"conv10.weight": 1,
		"fc.bias":       1 - 0.1 - 0.1,
		"fc.weight":     1 - 0.2 - (0.1 + 0.18), // g + w = 2, then 1.8
		"head.weight":   1 - 0.1 - (0.05 + 0.1),
	}
	var weights []*weight
	for name := range want {
		w := newWeight(name, 1)
		set(w.grad, 1)
		weights = append(weights, w)
	}
	mustStep(t, s, model(weights...))
	mustStep(t, s, model(weights...))
	for _, w := range weights {
		t.Run(w.name, func(t *testing.T) { wantNear(t, elements(w.value), []float64{want[w.name]}, 1e-15) })
	}
}

func TestLayersOfAdam(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1, WeightDecay: 1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1, Layers: []solver.Layer{
		{Name: "slow", LearningRateScale: new(0.5)},
		{Name: "free", WeightDecay: new(0.0)},
	}}
	slow, free, rest := newWeight("slow.weight", 1), newWeight("free.weight", 1), newWeight("rest.weight", 1)
	for _, w := range []*weight{slow, free, rest} {
		set(w.grad, 1)
	}
	mustStep(t, s, model(slow, free, rest))
	wantNear(t, elements(slow.value), []float64{0.95 - 0.025}, 1e-15)
	wantNear(t, elements(free.value), []float64{1 - 0.05}, 1e-15)
	wantNear(t, elements(rest.value), []float64{0.9 - 0.05}, 1e-15)
}

func TestBadLayersAreRefused(t *testing.T) {
	cases := map[string]struct {
		solver solver.Solver
		words  []string
	}{
		"no such parameter": {&solver.SGD{Layers: []solver.Layer{{Name: "conv2"}}}, []string{`"conv2"`, `"conv1.weight"`}},
		"no name":           {&solver.SGD{Layers: []solver.Layer{{}}}, []string{"name", `found ""`}},
		"pattern":           {&solver.SGD{Layers: []solver.Layer{{Name: "conv["}}}, []string{"name", `"conv["`}},
		"rate":              {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", LearningRateScale: new(-1.0)}}}, []string{`"conv1"`, "rate_scale", "-1"}},
		"momentum":          {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", Momentum: new(1.0)}}}, []string{`"conv1"`, "momentum", "at least 0 and below 1"}},
		"decay of SGD":      {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", WeightDecay: new(0.1)}}}, []string{`"conv1"`, "weight_decay"}},
		"momentum of Adam":  {&solver.Adam{Layers: []solver.Layer{{Name: "conv1", Momentum: new(0.1)}}}, []string{`"conv1"`, "momentum"}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			wantError(t, each.solver.Step(model(newWeight("conv1.weight", 1))), nil, each.words...)
		})
	}
}
