package solver_test

import (
	"testing"

	"github.com/likeness-go/likeness/solver"
)

func TestSchedulesByHand(t *testing.T) {
	exponential := solver.Exponential{Initial: 1, Factor: 0.5, EpochSteps: 2}
	cases := map[string]struct {
		schedule solver.Schedule
		want     []float64 // of eight steps
	}{
		"constant":    {solver.Constant{Initial: 0.1}, []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}},
		"step":        {solver.Step{Initial: 1, Factor: 0.1, Epochs: 2, EpochSteps: 2}, []float64{1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1}},
		"exponential": {exponential, []float64{1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125}},
		// 1 + cos(π·step/8)/2: 1.5, 1 + 0.92388/2, 1 + 0.70711/2, 1 + 0.38268/2, 1, …
		"cosine": {solver.Cosine{Initial: 1.5, Final: 0.5}, []float64{1.5, 1.461939766, 1.353553391, 1.191341716, 1, 0.808658284, 0.646446609, 0.538060234}},
		"warmup": {solver.Warmup{Steps: 4, Of: exponential}, []float64{0.25, 0.5, 0.375, 0.5, 0.25, 0.25, 0.125, 0.125}},
		// A zero EpochSteps counts every step as an epoch.
		"zero epoch": {solver.Exponential{Initial: 1, Factor: 0.5}, []float64{1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			rates := make([]float64, 8)
			for step := range rates {
				rates[step] = each.schedule.LearningRate(step, len(rates))
			}
			wantNear(t, rates, each.want, 1e-9)
		})
	}
}

func TestCosineStaysAtItsEnd(t *testing.T) {
	cosine := solver.Cosine{Initial: 1, Final: 0.25}
	for _, step := range []int{8, 9, 100} {
		if rate := cosine.LearningRate(step, 8); rate != 0.25 {
			t.Errorf("step %d of 8: found %v, expected 0.25", step, rate)
		}
	}
}

// Layers ramp to their own momentum, and the zero Ramp is there at once.
func TestRampByHand(t *testing.T) {
	ramp := solver.Ramp{From: 0.5, Epochs: 4, EpochSteps: 3}
	for target, want := range map[float64][]float64{
		0.9: {0.5, 0.6, 0.7, 0.8, 0.9, 0.9},
		0.1: {0.5, 0.4, 0.3, 0.2, 0.1, 0.1},
	} {
		got := make([]float64, 6)
		for epoch := range got {
			first, last := ramp.At(3*epoch, target), ramp.At(3*epoch+2, target)
			if first != last {
				t.Errorf("epoch %d: found %v at its start and %v at its end", epoch, first, last)
			}
			got[epoch] = first
		}
		wantNear(t, got, want, 1e-15)
	}
	if got := (solver.Ramp{}).At(0, 0.9); got != 0.9 {
		t.Errorf("zero Ramp: found %v, expected 0.9", got)
	}
}
