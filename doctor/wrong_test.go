package doctor

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/vector"
)

// Each check must detect a defect.

// wrongEngine is the portable engine with a defect.
type wrongEngine struct {
	vector.Portable[float32]
	wrong string
}

func (e wrongEngine) Dot(x, y []float32) float32 {
	if sum := e.Portable.Dot(x, y); e.wrong != "Dot" || len(x) < 100 {
		return sum
	}
	return e.Portable.Dot(x[1:], y[1:]) // forgets an element
}

func (e wrongEngine) ReLU(y, x []float32) {
	if e.Portable.ReLU(y, x); e.wrong == "ReLU" && len(y) == 17 {
		y[16] = 7 // the last lane
	}
}

func (e wrongEngine) Rows(r *vector.Rows[float32]) {
	if e.Portable.Rows(r); e.wrong == "Rows" {
		r.C[0] *= 1.001
	}
}

func (e wrongEngine) Outer(o *vector.Outer[float32]) {
	if e.Portable.Outer(o); e.wrong == "Outer" {
		o.C[0] = float32(math.NaN())
	}
}

func (e wrongEngine) SquaredDistance(x, y []float32) float64 {
	if e.wrong == "distances" {
		return e.AbsoluteDistance(x, y)
	}
	return e.Portable.SquaredDistance(x, y)
}

func TestInstructionsDetectWrongLoop(t *testing.T) {
	if found, err := instructions(wrongEngine{}); err != nil {
		t.Errorf("nothing wrong: found %s, %v", found, err)
	}
	for wrong, want := range map[string]string{
		"Dot": "Dot of 100 elements", "ReLU": "ReLU and its gradient of 17", "Rows": "Rows of", "Outer": "Outer of", "distances": "distances of",
	} {
		if _, err := instructions(wrongEngine{wrong: wrong}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a wrong %s: found %v, expected %q", wrong, err, want)
		}
	}
}

// wrongPairs has a defect in one of its products.
type wrongPairs struct {
	vector.EmulatedPairs
	wrong string
}

func (e wrongPairs) Rows(r *vector.Rows[float32]) {
	if e.EmulatedPairs.Rows(r); e.wrong == "Rows" && r.Length == 31 {
		r.C[0] *= 1.001
	}
}

func (e wrongPairs) Outer(o *vector.Outer[float32]) {
	if e.EmulatedPairs.Outer(o); e.wrong == "Outer" {
		o.C[0] = float32(math.NaN())
	}
}

func TestPairsDetectWrongProduct(t *testing.T) {
	emulated := vector.EmulatedPairs{Engine: vector.For[float32]()}
	if found, err := pairs(wrongPairs{EmulatedPairs: emulated}); err != nil {
		t.Errorf("nothing wrong: found %s, %v", found, err)
	}
	for wrong, want := range map[string]string{"Rows": "Rows of 31 pairs", "Outer": "Outer of 1 pairs"} {
		if _, err := pairs(wrongPairs{emulated, wrong}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a wrong %s: found %v, expected %q", wrong, err, want)
		}
	}
}

// scaled multiplies by a factor, and its gradient by another.
type scaled[T graph.Float] struct{ factor, slope T }

func (s *scaled[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		y[i] = s.factor * v
	}
}

func (s *scaled[T]) Backward(dx, _ [][]T, _, dy []T) {
	for i, v := range dy {
		dx[0][i] = s.slope * v
	}
}

// wrongBlock is a block whose float32 and float64 results, or whose gradient, differ.
type wrongBlock struct {
	factor, slope float32 // in float32
	wide          float64 // the slope in float64
}

func (wrongBlock) Kind() string { return "wrong" }
func (w wrongBlock) Apply(b *graph.Builder, _ int, x *graph.Node) *graph.Node {
	return b.Apply("wrong", x.Shape(), &scaled[float32]{w.factor, w.slope}, &scaled[float64]{1, w.wide}, x)
}

// NaN is the largest deviation in any order.
func TestWorst(t *testing.T) {
	for _, order := range [][]float64{{0.5, 2, 1}, {2, 0.5}, {1, math.NaN(), 2}, {math.NaN(), 0}} {
		var w worst
		for _, off := range order {
			w.add("it", off)
		}
		want := slices.Max(order)
		if slices.ContainsFunc(order, math.IsNaN) {
			want = math.NaN()
		}
		if w.off != want && !(math.IsNaN(w.off) && math.IsNaN(want)) || w.within(10) == nil && math.IsNaN(want) {
			t.Errorf("%v: found the worst to be %v, expected %v", order, w.off, want)
		}
	}
}

func TestLayerDetectsWrongKernel(t *testing.T) {
	for want, block := range map[string]wrongBlock{
		"":                          {1, 1, 1},
		"the output":                {1.001, 1, 1},
		"the gradient of the input": {1, 1.001, 1},
		"differs by NaN":            {float32(math.NaN()), 1, 1},
	} {
		_, err := layerCase{"wrong", [4]int{1, 2, 2, 1}, []graph.Block{block}}.run()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
}

func TestGradientsDetectWrongGradient(t *testing.T) {
	for towers := 1; towers <= 3; towers++ {
		for _, slope := range []float64{1, 1.0001} {
			blocks := append([]graph.Block{network[0], wrongBlock{1, 1, slope}}, network[2:]...)
			if _, err := gradients(blocks, towers); slope != 1 && err == nil || slope == 1 && err != nil {
				t.Errorf("%d towers, a gradient times %v: found %v", towers, slope, err)
			}
		}
	}
}

func TestSameBits(t *testing.T) {
	first, err := trained(1)
	if err != nil {
		t.Fatal(err)
	}
	second := first.Clone()
	if err := sameBits(second, first); err != nil {
		t.Error(err)
	}
	bias := second.Get("linear1.bias").Value.Float32s()
	bias[3] = math.Nextafter32(bias[3], 1)
	if err := sameBits(second, first); err == nil || !strings.Contains(err.Error(), "linear1.bias differs") {
		t.Errorf("one bit: found %v", err)
	}
	other, err := trained(2)
	if err != nil {
		t.Fatal(err)
	}
	if sameBits(other, first) == nil {
		t.Error("another seed gives the same weights")
	}
}

// Other numbers of trials than the published 400 are an error.
func TestHausdorffErrors(t *testing.T) {
	ink := make([]uint8, 105*105)
	ink[5] = 255
	run := datasets.OneShotRun{Name: "run01", Training: [][]uint8{ink}, Test: [][]uint8{ink}, Answers: []int{0}}
	if _, err := hausdorff([]datasets.OneShotRun{run}); err == nil || !strings.Contains(err.Error(), "has 0.00 % errors in 1 trials, expected 38.75 % of 400") {
		t.Errorf("found %v", err)
	}
	run.Test = [][]uint8{make([]uint8, 105*105)}
	if _, err := hausdorff([]datasets.OneShotRun{run}); err == nil || !strings.Contains(err.Error(), "run01: the image has no ink") {
		t.Errorf("found %v", err)
	}
	for _, folder := range []string{"", t.TempDir()} {
		if f := (check{"runs", func() (string, error) { return omniglot(folder) }}).finding(); f.Status != NotChecked {
			t.Errorf("folder %q: found %v, expected that nothing is checked", folder, f)
		}
	}
}
