package solver_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/likeness-go/likeness/solver"
)

// The gradients (3) and (0, −4) have the norm 5. With a limit of 1 they become
// 0.6 and −0.8; with one of 5 or of 6 they stay.
func TestClipByHand(t *testing.T) {
	for limit, scale := range map[float64]float64{1: 0.2, 5: 1, 6: 1, 0: 1} {
		s := &solver.SGD{LearningRate: 1, Clip: limit}
		a, b := newWeight("a", 0), newSingle("b", 0, 0)
		set(a.grad, 3)
		set(b.grad, 0, -4)
		mustStep(t, s, model(a, b))
		wantNear(t, elements(a.value), []float64{-3 * scale}, 1e-15)
		wantNear(t, elements(b.value), []float64{0, 4 * scale}, 1e-7)
		if norm := s.Progress().GradientNorm; norm != 5 {
			t.Errorf("limit %v: found the norm %v, expected 5 as before clipping", limit, norm)
		}
	}
}

// A plain step of rate 1 is as long as the clipped gradient.
func TestClippedStepsAreNoLongerThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gradient := rapid.SliceOfN(rapid.Float64Range(-1e3, 1e3), 7, 7).Draw(t, "gradient")
		limit := rapid.Float64Range(1e-3, 1e3).Draw(t, "limit")
		w := newWeight("w", make([]float64, 7)...)
		set(w.grad, gradient...)
		if err := (&solver.SGD{LearningRate: 1, Clip: limit}).Step(model(w)); err != nil {
			t.Fatal(err)
		}
		var length, norm float64
		for i, value := range elements(w.value) {
			length = math.Hypot(length, value)
			norm = math.Hypot(norm, gradient[i])
		}
		if want := min(norm, limit); math.Abs(length-want) > 1e-12*want {
			t.Fatalf("found a step of %v, expected %v", length, want)
		}
	})
}

// L2 is added after clipping: 2λw = 10 is not cut to the limit.
func TestClipLeavesL2Alone(t *testing.T) {
	s := &solver.SGD{LearningRate: 1, L2: 5, Clip: 0.5}
	w := newWeight("w", 1)
	step(t, s, w, 2)
	wantNear(t, elements(w.value), []float64{1 - (0.5 + 10)}, 1e-15)
}

// Single-precision squares would overflow; their sum in double precision does
// not, and its order is fixed.
func TestNormOfLargeSingles(t *testing.T) {
	s := &solver.SGD{LearningRate: 0}
	w := newSingle("w", 0, 0, 0, 0, 0)
	step(t, s, w, 2e30, 1e30, 1e30, 1e30, 3e30) // squares 4 + 1 + 1 + 1 + 9 = 16
	if norm := s.Progress().GradientNorm; math.Abs(norm/4e30-1) > 1e-6 {
		t.Errorf("found the norm %v, expected 4e30", norm)
	}
}
