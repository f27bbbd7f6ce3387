package graph_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gonum.org/v1/gonum/stat"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// draw brings weights into being without running anything.
func draw(t *testing.T, weights *graph.Weights, use func(b *graph.Builder) *graph.Node) {
	t.Helper()
	build(t, weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs { return graph.Outputs{"y": use(b)} })
}

// A first value depends on the seed and the weight's name alone: neither on the
// order of building nor on what else there is.
func TestInitialValues(t *testing.T) {
	first := graph.NewWeights(graph.Float64, 1)
	draw(t, first, func(b *graph.Builder) *graph.Node {
		return b.Sequence([]graph.Block{graph.Conv{Filters: 3, Kernel: 2}, graph.Flatten{}, graph.Linear{Units: 2}}, b.Input("x", 1, 3, 3, 1))
	})
	second := graph.NewWeights(graph.Float64, 1)
	draw(t, second, func(b *graph.Builder) *graph.Node { return weight(b, "other", 5) })
	draw(t, second, func(b *graph.Builder) *graph.Node {
		return b.Sequence([]graph.Block{graph.Linear{Units: 2}}, b.Input("x", 7, 12))
	})
	draw(t, second, func(b *graph.Builder) *graph.Node {
		return b.Sequence([]graph.Block{graph.Conv{Filters: 3, Kernel: 2, BatchNorm: true}}, b.Input("x", 4, 9, 9, 1))
	})
	for _, name := range []string{"conv1.weight", "linear1.weight"} {
		expectEqual(t, name, elements(second.Get(name)), elements(first.Get(name)))
	}

	third := graph.NewWeights(graph.Float64, 2)
	draw(t, third, func(b *graph.Builder) *graph.Node {
		x := b.Input("x", 1, 12)
		b.Scope("head", func() *graph.Node { return b.Sequence([]graph.Block{graph.Linear{Units: 2}}, x) })
		return b.Sequence([]graph.Block{graph.Linear{Units: 2}}, x)
	})
	if elements(third.Get("linear1.weight"))[0] == elements(first.Get("linear1.weight"))[0] {
		t.Error("two seeds give one value")
	}
	if elements(third.Get("linear1.weight"))[0] == elements(third.Get("head.linear1.weight"))[0] {
		t.Error("two names give one value")
	}
}

// Without initial values weights are zero; after Reseed new ones are those of the seed.
func TestZeroWeights(t *testing.T) {
	layer := func(b *graph.Builder) *graph.Node {
		return b.Sequence([]graph.Block{graph.Linear{Units: 2}}, b.Input("x", 1, 12))
	}
	zero, usual := graph.NewZeroWeights(graph.Float64), graph.NewWeights(graph.Float64, 3)
	draw(t, zero, func(b *graph.Builder) *graph.Node { return weight(b, "first", 5) })
	for _, v := range elements(zero.Get("first")) {
		if v != 0 {
			t.Errorf("found the value %v, expected 0", v)
		}
	}
	zero.Reseed(3)
	draw(t, zero, layer)
	draw(t, usual, layer)
	expectEqual(t, "linear1.weight", elements(zero.Get("linear1.weight")), elements(usual.Get("linear1.weight")))
	var none *graph.Weights
	none.Reseed(1)
}

// The mean and the deviation of a scheme, within five standard errors. The fans
// of a convolution (out, in, height, width) count its window.
func TestInitialMoments(t *testing.T) {
	const size = 40 * 25 * 4 * 5
	fanIn, fanOut := 25.0*4*5, 40.0*4*5
	tests := map[string]struct {
		initial                   graph.Initializer
		mean, deviation, kurtosis float64
	}{
		"he":     {graph.He, 0, math.Sqrt(2 / fanIn), 3},
		"xavier": {graph.Xavier, 0, math.Sqrt(2 / (fanIn + fanOut)), 1.8},
		"normal": {graph.Normal(0.5, 0.01), 0.5, 0.01, 3},
	}
	for name, test := range tests {
		weights := graph.NewWeights(graph.Float64, 1)
		draw(t, weights, func(b *graph.Builder) *graph.Node {
			return b.Weight("w", graph.Kernel, test.initial, 40, 25, 4, 5)
		})
		values := elements(weights.Get("w"))
		mean, deviation := stat.MeanStdDev(values, nil)
		if math.Abs(mean-test.mean) > 5*test.deviation/math.Sqrt(size) {
			t.Errorf("%s: found mean %v, expected %v", name, mean, test.mean)
		}
		// A sample variance has the standard error σ²·√((kurtosis − 1)/n).
		variance := test.deviation * test.deviation
		if math.Abs(deviation*deviation-variance) > 5*variance*math.Sqrt((test.kurtosis-1)/size) {
			t.Errorf("%s: found deviation %v, expected %v", name, deviation, test.deviation)
		}
		// That of a normal one's kurtosis is √(24/n); the others are further apart.
		if kurtosis := stat.ExKurtosis(values, nil) + 3; math.Abs(kurtosis-test.kurtosis) > 5*math.Sqrt(24./size) {
			t.Errorf("%s: found kurtosis %v, expected %v", name, kurtosis, test.kurtosis)
		}
	}
	weights := graph.NewWeights(graph.Float64, 1)
	draw(t, weights, func(b *graph.Builder) *graph.Node { return b.Weight("w", graph.Gain, graph.Constant(0.25), 3) })
	expectEqual(t, "constant", elements(weights.Get("w")), []float64{0.25, 0.25, 0.25})
}

// weightsOf is a set of the named weights of two elements each.
func weightsOf(t *testing.T, names ...string) *graph.Weights {
	t.Helper()
	weights := graph.NewWeights(graph.Float64, 1)
	for i, name := range names {
		if err := weights.Add(name, graph.Kernel, []int{1, 2}, []float64{float64(i), float64(i) + 0.1}); err != nil {
			t.Fatal(err)
		}
	}
	return weights
}

func TestFreeze(t *testing.T) {
	names := []string{"conv1.weight", "conv1.bias", "conv2.weight", "conv10.weight", "linear1.weight"}
	tests := map[string]struct {
		patterns []string
		expected []string // frozen
		err      string
	}{
		"name":           {[]string{"conv1.bias"}, []string{"conv1.bias"}, ""},
		"block":          {[]string{"conv1"}, []string{"conv1.weight", "conv1.bias"}, ""},
		"pattern":        {[]string{"conv[12].*"}, []string{"conv1.weight", "conv1.bias", "conv2.weight"}, ""},
		"all":            {[]string{"*"}, names, ""},
		"two":            {[]string{"linear1", "conv10"}, []string{"conv10.weight", "linear1.weight"}, ""},
		"none":           {nil, nil, ""},
		"unknown":        {[]string{"conv1", "conv3"}, nil, `freeze "conv3": no weight has such a name; there are [conv1.weight`},
		"part of a name": {[]string{"conv"}, nil, `freeze "conv"`},
		"bad pattern":    {[]string{"conv1", "conv[1"}, nil, `freeze "conv[1": syntax error`},
	}
	for name, test := range tests {
		weights := weightsOf(t, names...)
		err := weights.Freeze(test.patterns...)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: found error %v, expected %q", name, err, test.err)
		}
		var frozen []string
		for _, weight := range weights.All() {
			if weight.Frozen {
				frozen = append(frozen, weight.Name)
			}
		}
		expectEqual(t, name, frozen, test.expected)
	}
}

func TestCopyFrom(t *testing.T) {
	weights := weightsOf(t, "a", "b")
	other := weightsOf(t, "zero", "b", "a").Clone()
	missing, longer := weightsOf(t, "a"), weightsOf(t, "b", "a", "c")
	reshaped := weightsOf(t, "b")
	if err := reshaped.Add("a", graph.Kernel, []int{2, 1}, []float64{8, 9}); err != nil {
		t.Fatal(err)
	}
	for expected, source := range map[string]*graph.Weights{
		`weight "b" is missing`:                           missing,
		`weight "c" is not part of the network`:           longer,
		`weight "a": found shape (2, 1), expected (1, 2)`: reshaped,
		`weight "zero" is not part of the network`:        other,
	} {
		if err := weights.CopyFrom(source); err == nil || err.Error() != expected {
			t.Errorf("found error %v, expected %s", err, expected)
		}
		expectEqual(t, "weights after an error", weightValues(weights), values{"a": {0, 0.1}, "b": {1, 1.1}})
	}

	program := build(t, weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"a": b.Weight("a", graph.Kernel, graph.He, 1, 2)}
	})
	if err := weights.CopyFrom(weightsOf(t, "b", "a").Convert(graph.Float32)); err != nil {
		t.Fatal(err)
	}
	run(t, program)
	expectNear(t, "a weight in a graph", get(t, program, "a"), []float64{1, 1.1}, 1e-6)
}

func TestNotFinite(t *testing.T) {
	for _, arithmetic := range []tensor.Dtype{graph.Float32, graph.Float64} {
		weights := graph.NewWeights(arithmetic, 1)
		expectEqual(t, "no weights", weights.NotFinite(), "")
		for _, weight := range []struct {
			name     string
			shape    []int
			elements []float64
			found    string
		}{
			{"a", []int{1, 2}, []float64{0, math.MaxFloat32}, ""},
			{"b", nil, []float64{math.Inf(-1)}, "b"},
			{"c", []int{2}, []float64{math.NaN(), 1}, "b"}, // the first
		} {
			if err := weights.Add(weight.name, graph.Kernel, weight.shape, weight.elements); err != nil {
				t.Fatal(err)
			}
			expectEqual(t, "with "+weight.name, weights.NotFinite(), weight.found)
		}
	}
}

func TestConvertAndClone(t *testing.T) {
	weights := weightsOf(t, "b", "a")
	if err := weights.Add("mean", graph.Buffer, []int{3}, []float64{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := weights.Add("slope", graph.Gain, nil, []float64{0.25}); err != nil {
		t.Fatal(err)
	}
	if err := weights.Freeze("a"); err != nil {
		t.Fatal(err)
	}
	if n := weights.Count(); n != 5 {
		t.Errorf("found %d parameters, expected 5: statistics are none", n)
	}
	for _, twin := range []*graph.Weights{weights.Clone(), weights.Convert(graph.Float32).Convert(graph.Float64)} {
		for i, weight := range weights.All() {
			other := twin.All()[i]
			if other.Name != weight.Name || other.Role != weight.Role || other.Frozen != weight.Frozen || !other.Value.Shape().Eq(weight.Value.Shape()) {
				t.Errorf("found %+v, expected %+v", other, weight)
			}
		}
		expectNear(t, "values", weightValues(twin), weightValues(weights), 1e-7)
		expectEqual(t, "a single number", twin.Get("slope").Value.Float64s(), []float64{0.25})
		twin.Get("a").Value.Data().([]float64)[0] = 77
	}
	expectEqual(t, "the original", elements(weights.Get("a")), []float64{1, 1.1})

	// A twin draws the same new weights.
	narrow := weights.Convert(graph.Float32)
	for _, w := range []*graph.Weights{weights, narrow} {
		draw(t, w, func(b *graph.Builder) *graph.Node { return weight(b, "new", 5) })
	}
	if narrow.Dtype() != graph.Float32 {
		t.Errorf("found arithmetic %v", narrow.Dtype())
	}
	expectNear(t, "a new weight", elements(narrow.Get("new")), elements(weights.Get("new")), 1e-6)
}

func TestAdd(t *testing.T) {
	weights := weightsOf(t, "a")
	for expected, err := range map[string]error{
		`weight "a" exists already`:                                weights.Add("a", graph.Kernel, []int{1}, []float64{1}),
		`weight "b": found 3 elements, expected 4 for shape [2 2]`: weights.Add("b", graph.Kernel, []int{2, 2}, []float64{1, 2, 3}),
	} {
		if err == nil || err.Error() != expected {
			t.Errorf("found error %v, expected %s", err, expected)
		}
	}
	if weights.Get("b") != nil || len(weights.All()) != 1 {
		t.Error("a refused weight is in the set")
	}
	source := []float64{1, 2}
	if err := weights.Add("c", graph.Bias, []int{2}, source); err != nil {
		t.Fatal(err)
	}
	source[0] = 9
	expectEqual(t, "added", elements(weights.Get("c")), []float64{1, 2})
}

// An evaluation program sees every change of a weight that Get, All, a Parameter or Changed
// reports, also of a single element.
func TestEvaluationSeesChanges(t *testing.T) {
	weights := graph.NewWeights(graph.Float32, 1)
	draw := func(mode graph.Mode) *graph.Program {
		p, err := graph.Build(weights, mode, func(b *graph.Builder) graph.Outputs {
			y := graph.Conv{Filters: 64, Kernel: 3, BatchNorm: true, Activation: "relu"}.Apply(b, 1, b.Input("x", 2, 6, 6, 8))
			if mode == graph.Evaluation {
				return graph.Outputs{"y": y}
			}
			return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(y))}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		x := make([]float32, 2*6*6*8)
		for i := range x {
			x[i] = float32(i%7) - 2
		}
		if err := p.Set("x", x); err != nil {
			t.Fatal(err)
		}
		return p
	}
	run := func(p *graph.Program) []float32 {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		y, err := p.Float32s("y")
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	program, training := draw(graph.Evaluation), draw(graph.Training)
	kept := weights.Get("conv1.weight").Value.Float32s()
	const middle = 64 * 72 / 2
	for name, change := range map[string]func(){
		"Get": func() { weights.Get("conv1.weight").Value.Float32s()[middle] += 3 },
		"All": func() {
			for _, w := range weights.All() {
				if w.Name == "conv1.weight" {
					w.Value.Float32s()[middle+1] += 3
				}
			}
		},
		"a Parameter": func() {
			for _, p := range training.Parameters() {
				if p.Name() == "conv1.weight" {
					p.Value().(*tensor.Dense).Float32s()[middle+2] += 3
				}
			}
		},
		"Changed": func() { kept[middle+3] += 3; weights.Changed() },
		"training": func() { // moves the running statistics
			if err := training.Run(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		before := run(program)
		change()
		after, fresh := run(program), run(draw(graph.Evaluation))
		if slices.Equal(before, after) {
			t.Errorf("%s: the change had no effect", name)
		}
		if !slices.Equal(after, fresh) {
			t.Errorf("%s: the result is not that of a new program", name)
		}
	}
}
