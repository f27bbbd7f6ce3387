package solver_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
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
		defer parallel.SetThreads(parallel.Threads())
		parallel.SetThreads(threads)
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

// On one thread: testing.AllocsPerRun sets GOMAXPROCS to 1, too.
func TestStepsAllocateNothing(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
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

// A finite gradient whose square is infinite in float32 would make Adam's second
// moment infinite for good: the step is refused, whether the gradient is large or
// the penalty's pull is, and nothing changes. Clipped it is as small as any, and
// gradient descent squares nothing.
func TestAdamRefusesSquaresThatOverflow(t *testing.T) {
	for _, test := range []struct {
		name         string
		solver       solver.Solver
		value, slope float64
		refused      bool
	}{
		{"large", &solver.Adam{LearningRate: 0.1}, 1, 1e20, true},
		{"pulled", &solver.Adam{LearningRate: 0.1, L2: 0.01}, 1e25, 1, true},
		{"as large as may be", &solver.Adam{LearningRate: 0.1, L2: 0.01}, 1e18, 1e18, false},
		{"clipped", &solver.Adam{LearningRate: 0.1, Clip: 1}, 1, 1e20, false},
		{"decayed", &solver.Adam{LearningRate: 0.1, WeightDecay: 0.01}, 1e25, 1, false},
		{"descent", &solver.SGD{LearningRate: 0.1, L2: 0.01}, 1e25, 1e20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, second := newSingle("first", 1), newSingle("second", 3, 1)
			mustStep(t, test.solver, model(first, second))
			set(second.value, 3, test.value)
			set(second.grad, 0, test.slope)
			state, values := test.solver.State(), elements(second.value)
			err := test.solver.Step(model(first, second))
			if !test.refused {
				if err != nil {
					t.Errorf("found %v", err)
				}
				return
			}
			wantError(t, err, solver.ErrNotFinite, `"second"`, "the square of the gradient")
			if diff := cmp.Diff(values, elements(second.value)); diff != "" {
				t.Errorf("the weights changed:\n%s", diff)
			}
			wantSameState(t, test.solver.State(), state)
		})
	}
}

// ofGraph is a Parameter in a Gorgonia graph whose gradient is a node.
type ofGraph struct {
	*gorgonia.Node
	gradient *gorgonia.Node
}

func (p ofGraph) Decays() bool                  { return true }
func (p ofGraph) Grad() (gorgonia.Value, error) { return p.gradient.Value(), nil }

// train minimizes Σ(Xw − y)² + λ‖w‖² for ten steps and returns w. The penalty
// is a term of the graph; a λ of zero leaves it out.
func train(t *testing.T, s gorgonia.Solver, penalty float64) []float64 {
	t.Helper()
	g := gorgonia.NewGraph()
	matrix := tensor.New(tensor.WithShape(4, 3), tensor.WithBacking([]float64{0.5, -1, 2, 1.5, 0.25, -0.5, -0.75, 1.25, 1, 0.1, 0.2, -0.3}))
	x := gorgonia.NodeFromAny(g, matrix, gorgonia.WithName("x"))
	y := gorgonia.NodeFromAny(g, vector(1, 0.5, -1.5, 2), gorgonia.WithName("y"))
	w := gorgonia.NodeFromAny(g, vector(0.3, -0.2, 0.1), gorgonia.WithName("w"))
	must := gorgonia.Must

	residual := must(gorgonia.Sub(must(gorgonia.Mul(x, w)), y))
	cost := must(gorgonia.Sum(must(gorgonia.Square(residual))))
	if penalty > 0 {
		norm := must(gorgonia.Sum(must(gorgonia.Square(w))))
		cost = must(gorgonia.Add(cost, must(gorgonia.Mul(gorgonia.NewConstant(penalty), norm))))
	}
	gradients, err := gorgonia.Grad(cost, w)
	if err != nil {
		t.Fatal(err)
	}
	machine := gorgonia.NewTapeMachine(g)
	defer machine.Close()
	for range 10 {
		machine.Reset()
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		mustStep(t, s, []gorgonia.ValueGrad{ofGraph{w, gradients[0]}})
	}
	return elements(w.Value().(*tensor.Dense))
}

// The solver's L2 and the objective's term are one penalty: 2λw.
func TestL2IsTheGraphsTerm(t *testing.T) {
	const penalty = 0.2
	solvers := map[string]func(l2 float64) solver.Solver{
		"sgd":  func(l2 float64) solver.Solver { return &solver.SGD{LearningRate: 0.02, Momentum: 0.9, L2: l2} },
		"adam": func(l2 float64) solver.Solver { return &solver.Adam{LearningRate: 0.1, L2: l2} },
	}
	for name, newSolver := range solvers {
		t.Run(name, func(t *testing.T) {
			inSolver, inGraph := train(t, newSolver(penalty), 0), train(t, newSolver(0), penalty)
			wantNear(t, inSolver, inGraph, 1e-12)
			if without := train(t, newSolver(0), 0); without[0]-inGraph[0] < 0.01 && inGraph[0]-without[0] < 0.01 {
				t.Errorf("the penalty changes nothing: %v with it, %v without", inGraph, without)
			}
		})
	}
}

// A Gorgonia solver takes the same parameters, and takes the same steps where
// it is right: Adam.
func TestGorgoniasSolverIsInterchangeable(t *testing.T) {
	theirs := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.1))
	ours := &solver.Adam{LearningRate: 0.1}
	wantNear(t, train(t, ours, 0), train(t, theirs, 0), 1e-9)
}
