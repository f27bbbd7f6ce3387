package solver_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/solver"
)

// everySolver is one of each, with the features that touch all elements.
func everySolver() map[string]solver.Solver {
	return map[string]solver.Solver{
		"sgd":  &solver.SGD{LearningRate: 0.1, Momentum: 0.9, L2: 0.01, Clip: 1},
		"adam": &solver.Adam{LearningRate: 0.1, WeightDecay: 0.01, L2: 0.01, Clip: 1},
	}
}

func forEverySolver(t *testing.T, test func(t *testing.T, s solver.Solver)) {
	for name, s := range everySolver() {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// wantError also looks for the words that tell the user what is wrong.
func wantError(t *testing.T, err, sentinel error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("found no error")
	}
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("%v: expected it to be %q", err, sentinel)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: expected it to say %q", err, word)
		}
	}
}

// What is wrong with the second parameter fails the step, also a later one,
// before the first parameter is touched; after it has been put right, the
// solver goes on as if nothing had been.
func TestBadStepChangesNothing(t *testing.T) {
	cases := map[string]struct {
		spoil    func(w *weight)
		sentinel error
		words    []string
	}{
		"no gradient":       {func(w *weight) { w.grad = nil }, solver.ErrNoGradient, []string{`"second"`}},
		"NaN":               {func(w *weight) { set(w.grad, 0, math.NaN()) }, solver.ErrNotFinite, []string{`"second"`, "NaN at element 1"}},
		"infinite":          {func(w *weight) { set(w.grad, math.Inf(-1)) }, solver.ErrNotFinite, []string{`"second"`, "-Inf at element 0"}},
		"overflow":          {func(w *weight) { set(w.grad, 1e200) }, solver.ErrNotFinite, []string{`"second"`, "overflows"}},
		"another shape":     {func(w *weight) { *w = *newWeight("second", 1, 2, 3) }, solver.ErrChanged, []string{`"second"`, "(3)", "(2)"}},
		"another dtype":     {func(w *weight) { *w = *newSingle("second", 1, 2) }, solver.ErrChanged, []string{`"second"`, "float32", "float64"}},
		"another name":      {func(w *weight) { w.name = "third" }, solver.ErrChanged, []string{`"second"`, `"third"`}},
		"gradient's shape":  {func(w *weight) { w.grad = vector(1, 2, 3) }, nil, []string{`"second"`, "gradient", "(3)"}},
		"gradient's dtype":  {func(w *weight) { w.grad = single(1, 2) }, nil, []string{`"second"`, "gradient", "float32"}},
		"value not a Dense": {func(w *weight) { w.value = nil }, nil, []string{`"second"`, "expected a *tensor.Dense"}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			forEverySolver(t, func(t *testing.T, s solver.Solver) {
				first, second := newWeight("first", 1, 2), newWeight("second", 3, 4)
				set(first.grad, 1, 1)
				mustStep(t, s, model(first, second))
				state, values := s.State(), elements(first.value)

				sound := *second
				soundGradient := elements(second.grad)
				each.spoil(second)
				wantError(t, s.Step(model(first, second)), each.sentinel, each.words...)

				if diff := cmp.Diff(values, elements(first.value)); diff != "" {
					t.Errorf("the first parameter changed:\n%s", diff)
				}
				wantSameState(t, s.State(), state)
				*second = sound
				set(second.grad, soundGradient...)
				mustStep(t, s, model(first, second))
			})
		})
	}
}

func TestTheModelIsFixed(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		a, b := newWeight("a", 1), newWeight("b", 1)
		mustStep(t, s, model(a, b))
		wantError(t, s.Step(model(a)), solver.ErrChanged, "found 1 parameters, expected 2")
		wantError(t, s.Step(model(b, a)), solver.ErrChanged, `"a"`)
	})
}

func TestFirstStepRefuses(t *testing.T) {
	transposed := newWeight("w", 1, 2, 3, 4, 5, 6)
	transposed.value = tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float64))
	if err := transposed.value.T(); err != nil {
		t.Fatal(err)
	}
	integers := newWeight("w", 1)
	integers.value = tensor.New(tensor.WithShape(1), tensor.Of(tensor.Int))
	cases := map[string]struct {
		model []gorgonia.ValueGrad
		words string
	}{
		"nothing":      {nil, "found no parameters"},
		"a name twice": {model(newWeight("w", 1), newWeight("w", 1)), `"w": found twice`},
		"a transpose":  {model(transposed), "expected contiguous"},
		"integers":     {model(integers), "found dtype int"},
		"no name":      {[]gorgonia.ValueGrad{struct{ gorgonia.ValueGrad }{newWeight("w", 1)}}, "without a name"},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			forEverySolver(t, func(t *testing.T, s solver.Solver) {
				wantError(t, s.Step(each.model), nil, each.words)
			})
		})
	}
}

func TestBadRateIsRefused(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		for _, rate := range []float64{-1, math.NaN(), math.Inf(1)} {
			s.SetLearningRate(rate)
			wantError(t, s.Step(model(newWeight("w", 1))), nil, "learning_rate: found")
		}
	})
}

// Larger than one chunk and no multiple of it, so that threads share the work.
const manyElements = 100_001

func normal(index int) []float64 {
	stream := random.New(1, "solver test", index)
	values := make([]float64, manyElements)
	for i := range values {
		values[i] = stream.NormFloat64()
	}
	return values
}

func TestThreadsDoNotMatter(t *testing.T) {
	train := func(s solver.Solver, threads int) ([]float64, solver.State) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		w, small := newSingle("w", normal(0)...), newSingle("small", 1, 2, 3)
		for i := range 3 {
			set(w.grad, normal(1+i)...)
			set(small.grad, 1, -1, 0.5)
			mustStep(t, s, model(w, small))
		}
		return elements(w.value), s.State()
	}
	for name := range everySolver() {
		one, four := everySolver()[name], everySolver()[name]
		wantValues, wantState := train(one, 1)
		values, state := train(four, 4)
		if diff := cmp.Diff(wantValues, values); diff != "" {
			t.Errorf("%s: weights differ on four threads", name)
		}
		wantSameState(t, state, wantState)
		if one.Progress() != four.Progress() {
			t.Errorf("%s: found %+v, expected %+v", name, four.Progress(), one.Progress())
		}
	}
}

// With a rate of one and the weights as their gradients, every element becomes
// zero and the norm counts each once.
func TestEveryElementIsUpdatedOnce(t *testing.T) {
	values := normal(0)
	w := newWeight("w", values...)
	s := &solver.SGD{LearningRate: 1, Momentum: 0.9}
	step(t, s, w, values...)
	wantNear(t, elements(w.value), make([]float64, len(values)), 0)
	if got, want := s.Progress().GradientNorm, floats.Norm(values, 2); math.Abs(got-want) > 1e-12*want {
		t.Errorf("found the norm %v, expected %v", got, want)
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		w := newSingle("w", normal(0)...)
		list := model(w)
		mustStep(t, s, list)
		if allocations := testing.AllocsPerRun(5, func() { mustStep(t, s, list) }); allocations != 0 {
			t.Errorf("found %v allocations in a step, expected none", allocations)
		}
	})
}

// Two parameters may share one gradient: steps read it and do not write it.
func TestGradientsAreNotWritten(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		a, b := newWeight("a", 1, 2), newWeight("b", 1, 2)
		b.grad = a.grad
		set(a.grad, 30, -40)
		mustStep(t, s, model(a, b))
		wantNear(t, elements(a.grad), []float64{30, -40}, 0)
		wantNear(t, elements(a.value), elements(b.value), 0)
	})
}

func TestProgress(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		a, b := newWeight("a", 0), newSingle("b", 0)
		set(a.grad, 3)
		set(b.grad, -4)
		mustStep(t, s, model(a, b))
		mustStep(t, s, model(a, b))
		want := solver.Progress{Steps: 2, LearningRate: 0.1, GradientNorm: 5}
		if got := s.Progress(); got != want {
			t.Errorf("found %+v, expected %+v", got, want)
		}
	})
}
