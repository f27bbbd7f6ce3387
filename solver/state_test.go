package solver_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/solver"
)

// wantSameState compares names, dtypes, shapes and bits.
func wantSameState(t *testing.T, got, want solver.State) {
	t.Helper()
	describe := func(state solver.State) map[string]any {
		all := map[string]any{}
		for name, value := range state {
			all[name] = []any{value.Dtype().String(), []int(value.Shape()), value.Data()}
		}
		return all
	}
	if diff := cmp.Diff(describe(want), describe(got)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// Ten steps in one go, and six steps, a state, four steps of another solver on
// the restored state, are the same bits.
func TestRestoreGoesOn(t *testing.T) {
	settings := map[string]func() solver.Solver{
		"sgd": func() solver.Solver {
			return &solver.SGD{LearningRate: 0.03, Momentum: 0.9, Nesterov: true, L2: 0.01, Ramp: solver.Ramp{From: 0.5, Epochs: 4, EpochSteps: 2}}
		},
		"adam": func() solver.Solver { return &solver.Adam{LearningRate: 0.1, WeightDecay: 0.1} },
	}
	for name, newSolver := range settings {
		t.Run(name, func(t *testing.T) {
			weights, bias := leastSquares()
			run := func(s solver.Solver, steps int) {
				for range steps {
					setGradients(weights, bias)
					mustStep(t, s, model(weights, bias))
				}
			}
			run(newSolver(), 10)
			want := append(elements(weights.value), elements(bias.value)...)

			weights, bias = leastSquares()
			before, after := newSolver(), newSolver()
			after.SetLearningRate(12) // the state's rate takes its place
			run(before, 6)
			state := before.State()
			run(before, 1) // a state is a copy
			weights, bias = leastSquares()
			run(newSolver(), 6)
			if err := after.Restore(state); err != nil {
				t.Fatal(err)
			}
			wantSameState(t, after.State(), state)
			copied := after.State()
			run(after, 4)
			wantSameState(t, state, copied) // and is not taken over by Restore

			if diff := cmp.Diff(want, append(elements(weights.value), elements(bias.value)...)); diff != "" {
				t.Errorf("weights (-in one go +restored):\n%s", diff)
			}
			if steps := after.Progress().Steps; steps != 10 {
				t.Errorf("found %d steps, expected 10", steps)
			}
		})
	}
}

func TestStateBeforeTheFirstStep(t *testing.T) {
	forEverySolver(t, func(t *testing.T, s solver.Solver) {
		if err := s.Restore(s.State()); err != nil {
			t.Fatal(err)
		}
		step(t, s, newWeight("w", 1), 1)
	})
}

func TestRestoreRefuses(t *testing.T) {
	whole := func() solver.State {
		s := &solver.SGD{LearningRate: 0.1, Momentum: 0.9}
		step(t, s, newWeight("w", 1, 2), 1, 1)
		return s.State()
	}
	cases := map[string]struct {
		spoil func(solver.State)
		words []string
	}{
		"no step":            {func(s solver.State) { delete(s, "step") }, []string{`"step"`, "expected one int64"}},
		"step of floats":     {func(s solver.State) { s["step"] = vector(1) }, []string{`"step"`, "expected one int64"}},
		"step below zero":    {func(s solver.State) { s["step"].Int64s()[0] = -1 }, []string{`"step"`, "at least 0"}},
		"no rate":            {func(s solver.State) { delete(s, "rate") }, []string{`"rate"`, "expected one float64"}},
		"another solver's":   {func(s solver.State) { s["second/w"] = vector(1) }, []string{`"second/w"`, "another solver"}},
		"moment of integers": {func(s solver.State) { s["velocity/w"] = s["step"] }, []string{`"velocity/w"`, "dtype int64"}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			state := whole()
			each.spoil(state)
			s := &solver.SGD{LearningRate: 0.5}
			wantError(t, s.Restore(state), nil, each.words...)
			if got := s.Progress(); got != (solver.Progress{LearningRate: 0.5}) {
				t.Errorf("the solver has changed: %+v", got)
			}
		})
	}
}

// Whether the moments are those of the model shows on the next step.
func TestRestoredMomentsMustFit(t *testing.T) {
	trained := &solver.SGD{LearningRate: 0.1, Momentum: 0.9}
	step(t, trained, newWeight("w", 1, 2), 1, 1)
	cases := map[string]struct {
		model []*weight
		words []string
	}{
		"shape":   {[]*weight{newWeight("w", 1)}, []string{`"velocity/w"`, "found float64 (2), expected float64 (1)"}},
		"dtype":   {[]*weight{newSingle("w", 1, 2)}, []string{`"velocity/w"`, "expected float32"}},
		"name":    {[]*weight{newWeight("v", 1, 2)}, []string{`found no "velocity/v"`}},
		"a spare": {[]*weight{newWeight("w", 1, 2), newWeight("v", 1)}, []string{`found no "velocity/v"`}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			s := &solver.SGD{}
			if err := s.Restore(trained.State()); err != nil {
				t.Fatal(err)
			}
			wantError(t, s.Step(model(each.model...)), solver.ErrChanged, each.words...)
		})
	}
	s := &solver.SGD{}
	state := trained.State()
	state["velocity/gone"] = tensor.New(tensor.WithShape(1), tensor.Of(tensor.Float64))
	if err := s.Restore(state); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Step(model(newWeight("w", 1, 2))), solver.ErrChanged, `"velocity/gone"`)
}

func TestStateNames(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1}
	step(t, s, newWeight("conv1.weight", 1), 1)
	var names []string
	for name := range s.State() {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"first/conv1.weight", "rate", "second/conv1.weight", "step"}, names); diff != "" {
		t.Error(diff)
	}
}
