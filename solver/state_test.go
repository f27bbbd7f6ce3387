package solver_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
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

type tensors = map[string]*tensor.Dense

// averageOf reads one average out of the state.
func averageOf(a *solver.Average, name string) []float64 { return elements(a.State()["average/"+name]) }

func mustUpdate(t *testing.T, a *solver.Average, weights tensors) {
	t.Helper()
	if err := a.Update(weights); err != nil {
		t.Fatal(err)
	}
}

// The weight goes 8, 0, 0, 0; the warm-up has d = 2/11, 3/12, 4/13, and the
// decay of 0.3 cuts the last one.
func TestAverageByHand(t *testing.T) {
	for _, newTensor := range []func(...float64) *tensor.Dense{vector, single} {
		a := &solver.Average{Decay: 0.3}
		weights := tensors{"conv.weight": newTensor(8), "norm.mean": newTensor(1)}
		for i, want := range []float64{8, 8 * 2. / 11, 8 * 2. / 11 * 3 / 12, 8 * 2. / 11 * 3 / 12 * 0.3} {
			if i == 1 {
				set(weights["conv.weight"], 0)
			}
			mustUpdate(t, a, weights)
			wantNear(t, averageOf(a, "conv.weight"), []float64{want}, 1e-6)
			wantNear(t, averageOf(a, "norm.mean"), []float64{1}, 0)
		}
	}
}

// During an evaluation the tensors hold the averages, and after it, however it
// ends, their own values.
func TestEvaluateSwapsInAndOut(t *testing.T) {
	a := &solver.Average{Decay: 0.5}
	weights := tensors{"w": vector(1, 2)}
	mustUpdate(t, a, weights)
	for _, failure := range []error{nil, errors.New("no data")} {
		set(weights["w"], 10, 20)
		err := a.Evaluate(weights, func() error {
			wantNear(t, elements(weights["w"]), []float64{1, 2}, 0)
			wantNear(t, averageOf(a, "w"), []float64{1, 2}, 0)
			wantError(t, a.Update(weights), nil, "an evaluation is running")
			wantError(t, a.Restore(a.State()), nil, "an evaluation is running")
			wantError(t, a.Evaluate(weights, func() error { return nil }), nil, "an evaluation is running")
			return failure
		})
		if err != failure {
			t.Errorf("found %v, expected %v", err, failure)
		}
		wantNear(t, elements(weights["w"]), []float64{10, 20}, 0)
	}
	mustUpdate(t, a, weights)
}

func TestEvaluateSwapsOutAfterAPanic(t *testing.T) {
	a := &solver.Average{}
	weights := tensors{"w": vector(1)}
	mustUpdate(t, a, weights)
	set(weights["w"], 10)
	func() {
		defer func() { recover() }()
		a.Evaluate(weights, func() error { panic("broken") })
	}()
	wantNear(t, elements(weights["w"]), []float64{10}, 0)
	mustUpdate(t, a, weights)
}

func TestAverageRestoreGoesOn(t *testing.T) {
	feed := func(a *solver.Average, from, to int) {
		for i := from; i < to; i++ {
			mustUpdate(t, a, tensors{"w": single(float64(i), 1/float64(i+1)), "v": vector(float64(i * i))})
		}
	}
	whole, before, after := &solver.Average{Decay: 0.9}, &solver.Average{Decay: 0.9}, &solver.Average{Decay: 0.9}
	feed(whole, 0, 10)
	feed(before, 0, 6)
	state := before.State()
	feed(before, 6, 7) // a state is a copy
	if err := after.Restore(state); err != nil {
		t.Fatal(err)
	}
	feed(after, 6, 10)
	wantSameState(t, after.State(), whole.State())
}

func TestAverageOnThreads(t *testing.T) {
	feed := func(threads int) []float64 {
		defer parallel.SetThreads(parallel.Threads())
		parallel.SetThreads(threads)
		a := &solver.Average{Decay: 0.9}
		for i := range 3 {
			mustUpdate(t, a, tensors{"w": single(normal(i)...)})
		}
		return averageOf(a, "w")
	}
	if !cmp.Equal(feed(1), feed(4)) {
		t.Error("averages differ on four threads")
	}
}

func TestAverageRefuses(t *testing.T) {
	trained := &solver.Average{}
	mustUpdate(t, trained, tensors{"w": vector(1, 2)})
	cases := map[string]struct {
		weights  tensors
		sentinel error
		words    []string
	}{
		"another name":  {tensors{"v": vector(1, 2)}, solver.ErrChanged, []string{`"w"`}},
		"one more":      {tensors{"w": vector(1, 2), "v": vector(1)}, solver.ErrChanged, []string{"found 2 tensors, expected 1"}},
		"another shape": {tensors{"w": vector(1)}, solver.ErrChanged, []string{`"w"`, "found float64 (1), expected float64 (2)"}},
		"another dtype": {tensors{"w": single(1, 2)}, solver.ErrChanged, []string{`"w"`, "found float32"}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			wantError(t, trained.Update(each.weights), each.sentinel, each.words...)
			wantNear(t, averageOf(trained, "w"), []float64{1, 2}, 0)
		})
	}
	fresh := &solver.Average{Decay: 1}
	wantError(t, fresh.Update(tensors{"w": vector(1)}), nil, "average: found 1")
	fresh.Decay = 0.5
	wantError(t, fresh.Update(nil), nil, "found no tensors")
	wantError(t, fresh.Update(tensors{"w": tensor.New(tensor.WithShape(1), tensor.Of(tensor.Int))}), nil, `"w"`, "dtype int")
	wantError(t, fresh.Evaluate(tensors{"w": vector(1)}, func() error { return nil }), nil, "found no update")
	wantError(t, fresh.Restore(solver.State{}), nil, `"step"`)
	state := trained.State()
	state["velocity/w"] = vector(1)
	wantError(t, fresh.Restore(state), nil, `"velocity/w"`)
}
