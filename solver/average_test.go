package solver_test

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/solver"
)

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
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
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
