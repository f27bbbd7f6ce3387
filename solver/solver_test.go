package solver_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// weight is a Parameter made by hand.
type weight struct {
	name        string
	decays      bool
	value, grad *tensor.Dense
}

func (w *weight) Name() string          { return w.name }
func (w *weight) Decays() bool          { return w.decays }
func (w *weight) Value() gorgonia.Value { return w.value }
func (w *weight) Grad() (gorgonia.Value, error) {
	if w.grad == nil {
		return nil, errors.New("not computed")
	}
	return w.grad, nil
}

// newWeight is a vector that decays, with a gradient of zeros.
func newWeight(name string, values ...float64) *weight {
	return &weight{name, true, vector(values...), vector(make([]float64, len(values))...)}
}

// newSingle is newWeight in single precision.
func newSingle(name string, values ...float64) *weight {
	return &weight{name, true, single(values...), single(make([]float64, len(values))...)}
}

func vector(values ...float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(append([]float64(nil), values...)))
}

func single(values ...float64) *tensor.Dense {
	rounded := make([]float32, len(values))
	for i, value := range values {
		rounded[i] = float32(value)
	}
	return tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(rounded))
}

// set overwrites a tensor's elements.
func set(d *tensor.Dense, values ...float64) {
	for i, value := range values {
		if d.Dtype() == tensor.Float32 {
			d.Float32s()[i] = float32(value)
		} else {
			d.Float64s()[i] = value
		}
	}
}

// elements copies them in double precision.
func elements(d *tensor.Dense) []float64 {
	if d.Dtype() == tensor.Float64 {
		return append([]float64(nil), d.Float64s()...)
	}
	values := make([]float64, d.Size())
	for i, value := range d.Float32s() {
		values[i] = float64(value)
	}
	return values
}

func model(weights ...*weight) []gorgonia.ValueGrad {
	list := make([]gorgonia.ValueGrad, len(weights))
	for i, w := range weights {
		list[i] = w
	}
	return list
}

// step sets the weight's gradient and takes a step with this weight alone.
func step(t *testing.T, s gorgonia.Solver, w *weight, gradient ...float64) {
	t.Helper()
	set(w.grad, gradient...)
	mustStep(t, s, model(w))
}

func mustStep(t *testing.T, s gorgonia.Solver, model []gorgonia.ValueGrad) {
	t.Helper()
	if err := s.Step(model); err != nil {
		t.Fatal(err)
	}
}

// wantNear compares element by element: |difference| ≤ tolerance · max(1, size).
func wantNear(t *testing.T, got, want []float64, tolerance float64) {
	t.Helper()
	near := cmp.Comparer(func(x, y float64) bool {
		return math.Abs(x-y) <= tolerance*max(1, math.Abs(x), math.Abs(y))
	})
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Fatalf("weights (-want +got):\n%s", diff)
	}
}

var _ = []solver.Solver{(*solver.SGD)(nil), (*solver.Adam)(nil)}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
