package solver

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// plain is a Parameter of given numbers.
type plain struct{ value, gradient *tensor.Dense }

func (p plain) Name() string                   { return "plain" }
func (p plain) Decays() bool                   { return true }
func (p plain) Value() gorgonia.Value          { return p.value }
func (p plain) Grad() (gorgonia.Value, error)  { return p.gradient, nil }
func vectorOf(values ...float32) *tensor.Dense { return tensor.New(tensor.WithBacking(values)) }

// overflowing are solvers whose step makes infinite weights of the gradient 1.
var overflowing = map[string]Solver{
	"sgd":                     &SGD{LearningRate: 1e39},
	"sgd, weights at the end": &SGD{LearningRate: 1e38, Nesterov: true},
	"adam":                    &Adam{LearningRate: 1e39},
	"adam, at the end":        &Adam{LearningRate: 3e38},
	"adamw":                   &Adam{LearningRate: 1, WeightDecay: 1e39},
	"adam without an epsilon": &Adam{LearningRate: 1e-3, Epsilon: 1e-60},
}

// A step that makes an infinite weight is an error, and the weights and the moments
// are as before it.
func TestOverflowIsAnErrorAndChangesNothing(t *testing.T) {
	for name, s := range overflowing {
		p := plain{vectorOf(3e38, 1, -2), vectorOf(-1, 1, 0)}
		before := s.State()
		err := s.Step([]gorgonia.ValueGrad{p})
		if !errors.Is(err, ErrNotFinite) {
			t.Errorf("%s: found %v and %v, expected ErrNotFinite", name, p.value, err)
		}
		if diff := cmp.Diff([]float32{3e38, 1, -2}, p.value.Float32s()); diff != "" {
			t.Errorf("%s: weights:\n%s", name, diff)
		}
		for key, moment := range s.State() {
			if key == stepKey || key == rateKey {
				continue
			}
			if diff := cmp.Diff(make([]float32, 3), moment.Float32s()); diff != "" {
				t.Errorf("%s: %s:\n%s", name, key, diff)
			}
		}
		if steps := s.Progress().Steps; steps != 0 {
			t.Errorf("%s: found %d steps, from %v", name, steps, before)
		}
	}
}

// What bounds the weights from above does so in every step, and steps far from the
// end of the arithmetic are not copied.
func TestBoundsHold(t *testing.T) {
	for name, s := range map[string]interface {
		Solver
		shared() *core
	}{
		"sgd":      &SGD{LearningRate: 0.3, Momentum: 0.9, L2: 0.01, Ramp: Ramp{From: 0.5, Epochs: 20, EpochSteps: 1}},
		"nesterov": &SGD{LearningRate: 0.3, Momentum: 0.9, Nesterov: true},
		"clip":     &SGD{LearningRate: 10, Clip: 0.5},
		"adam":     &Adam{LearningRate: 0.1, L2: 0.01},
		"adamw":    &Adam{LearningRate: 0.1, WeightDecay: 0.5},
		"layer":    &SGD{LearningRate: 0.1, Layers: []Layer{{Name: "plain", LearningRateScale: new(5.)}}},
		"huge":     &SGD{LearningRate: 1e30},
	} {
		r := random.New(1, name)
		p := plain{vectorOf(make([]float32, 64)...), vectorOf(make([]float32, 64)...)}
		for step := range 300 {
			for i := range p.gradient.Float32s() {
				p.gradient.Float32s()[i] = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(7)-4)))
				if name == "huge" && step > 0 {
					p.gradient.Float32s()[i] = 0
				}
			}
			if err := s.Step([]gorgonia.ValueGrad{p}); err != nil {
				t.Fatalf("%s, step %d: %v", name, step, err)
			}
			c := s.shared()
			if !c.size.known {
				t.Fatalf("%s, step %d: a step that cannot overflow was taken for one that may", name, step)
			}
			if found := c.measureSize(); found.weight > c.size.weight*(1+1e-5) || found.moment > c.size.moment*(1+1e-5) && name[0] != 'a' {
				t.Fatalf("%s, step %d: found %+v, beyond the bounds %+v", name, step, found, c.size)
			}
		}
	}
}

func (s *SGD) shared() *core  { return &s.core }
func (a *Adam) shared() *core { return &a.core }
