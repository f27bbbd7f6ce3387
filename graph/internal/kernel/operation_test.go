package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"
)

// operation is a kernel as a function y of arrays x, with its gradient.
type operation[T Float] struct {
	forward  func(y []T, x ...[]T)
	backward func(dx, x [][]T, y, dy []T)
}

// subject is a kernel of one shape in both precisions, with a naive reference.
type subject struct {
	arguments   []int // lengths of the arguments
	result      int   // length of the result
	single      operation[float32]
	double      operation[float64]
	naive       operation[float64]
	naiveSingle operation[float32]  // the reference in float32, if it is not naive, rounded
	prepare     func(x [][]float64) // adjusts random arguments; may be nil
	tolerance   float64             // of the float32 results, relative to the largest; 1e-5 if 0
}

// check compares a subject with its reference, and checks the promises of the package's
// documentation. The reference is computed once: both precisions get the same numbers.
func check(t rapid.TB, s subject, seed uint64) {
	t.Helper()
	x, dy := s.draw(seed)
	singleX, singleDy := convertAll[float32](x), convert[float32](dy)
	if s.tolerance == 0 {
		s.tolerance = 1e-5
	}
	wantY, wantDx := run(s.naive, x, dy, nil)
	singleY, singleDx := convert[float32](wantY), convertAll[float32](wantDx)
	if s.naiveSingle.forward != nil {
		singleY, singleDx = run(s.naiveSingle, singleX, singleDy, nil)
	}
	checkAgainst(t, "float64", s.double, x, dy, wantY, wantDx, 1e-12)
	checkAgainst(t, "float32", s.single, singleX, singleDy, singleY, singleDx, s.tolerance)
	checkPromises(t, s.single, singleX, singleDy)
	checkPromises(t, s.double, x, dy)
}

// checkDrawn is check on random shapes.
func checkDrawn(t *testing.T, draw func(t *rapid.T) subject) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) { check(t, draw(t), rapid.Uint64().Draw(t, "seed")) })
}

// draw returns random arguments and a random gradient of the result.
func (s subject) draw(seed uint64) (x [][]float64, dy []float64) {
	random := rand.New(rand.NewPCG(seed, 0))
	for _, n := range s.arguments {
		x = append(x, normal(random, n))
	}
	if s.prepare != nil {
		s.prepare(x)
	}
	for i := range x { // so that both precisions get the same numbers
		x[i] = convert[float64](convert[float32](x[i]))
	}
	return x, convert[float64](convert[float32](normal(random, s.result)))
}

// checkAgainst compares the result and the gradients of a kernel with expected ones.
func checkAgainst[T Float](t rapid.TB, name string, got operation[T], x [][]T, dy, wantY []T, wantDx [][]T, tolerance float64) {
	t.Helper()
	gotY, gotDx := run(got, x, dy, nil)
	near(t, name+" result", gotY, wantY, tolerance)
	for i := range x {
		near(t, name+" gradient", gotDx[i], wantDx[i], tolerance)
	}
}

// checkPromises checks that results are equal, bit for bit, each time and for any number
// of threads, that arguments are not changed, that outputs are overwritten, and that
// outputs may be nil.
func checkPromises[T Float](t rapid.TB, f operation[T], x [][]T, dy []T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	before := make([][]T, len(x))
	for i := range x {
		before[i] = slices.Clone(x[i])
	}
	wantY, wantDx := run(f, x, dy, nil)
	for i := range x {
		if !slices.Equal(before[i], x[i]) {
			t.Fatalf("argument %d was changed", i)
		}
	}
	for _, threads := range []int{1, 2, 3} {
		parallel.SetThreads(threads)
		y, dx := run(f, x, dy, nil)
		sameBits(t, "the result", y, wantY)
		for i := range x {
			sameBits(t, "a gradient", dx[i], wantDx[i])
		}
	}
	for i := range x {
		_, dx := run(f, x, dy, func(j int) bool { return i != j })
		sameBits(t, "a gradient computed alone", dx[i], wantDx[i])
	}
}

// run returns the result and the gradients, written to memory that was filled with NaN.
// Gradients for which skip returns true are nil.
func run[T Float](f operation[T], x [][]T, dy []T, skip func(i int) bool) (y []T, dx [][]T) {
	nan := func(n int) []T { return slices.Repeat([]T{T(math.NaN())}, n) }
	y, dx = nan(len(dy)), make([][]T, len(x))
	for i := range x {
		if skip == nil || !skip(i) {
			dx[i] = nan(len(x[i]))
		}
	}
	f.forward(y, x...)
	f.backward(dx, x, y, slices.Clone(dy))
	return y, dx
}

// checkGradient compares backward with finite differences of forward. With -short it does not:
// the differences repeat the same calls, which shows nothing of goroutines.
func checkGradient(t *testing.T, s subject) {
	t.Helper()
	if testing.Short() {
		return
	}
	x, dy := s.draw(1)
	_, gradients := run(s.double, x, dy, nil)
	y := make([]float64, s.result)
	for i := range x {
		point := slices.Clone(x[i])
		numeric := fd.Gradient(nil, func(at []float64) float64 {
			copy(x[i], at)
			s.double.forward(y, x...)
			return floats.Dot(y, dy)
		}, point, &fd.Settings{Formula: fd.Central})
		copy(x[i], point)
		near(t, "finite differences", gradients[i], numeric, 1e-7)
	}
}

// near fails the test unless got equals want up to the tolerance, relative to the largest
// element of want, or to 1 if that is larger.
func near[T Float](t rapid.TB, what string, got, want []T, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, want %d", what, len(got), len(want))
	}
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-float64(want[i])) <= tolerance*scale) {
			t.Fatalf("%s: element %d of %d is %v, want %v; the largest is %g", what, i, len(want), got[i], want[i], scale)
		}
	}
}

func sameBits[T Float](t rapid.TB, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if math.Float64bits(float64(got[i])) != math.Float64bits(float64(want[i])) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func normal(random *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	return x
}

// convert returns x in another precision; nil if x is nil.
func convert[To, From Float](x []From) []To {
	if x == nil {
		return nil
	}
	y := make([]To, len(x))
	for i, v := range x {
		y[i] = To(v)
	}
	return y
}

func convertAll[To, From Float](x [][]From) [][]To {
	y := make([][]To, len(x))
	for i := range x {
		y[i] = convert[To](x[i])
	}
	return y
}
