package graph_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// pytorchBlocks are the blocks of testdata/torch_layers.py, by the names of its cases.
var pytorchBlocks = map[string]graph.Block{
	"relu6":       graph.Activate{Function: "relu6"},
	"silu":        graph.Activate{Function: "silu"},
	"gelu":        graph.Activate{Function: "gelu"},
	"hardswish":   graph.Activate{Function: "hardswish"},
	"hardsigmoid": graph.Activate{Function: "hardsigmoid"},
	"layernorm":   graph.LayerNorm{},

	"squeezeexcite silu":        graph.SqueezeExcite{Channels: 2, Activation: "silu"},
	"squeezeexcite hardsigmoid": graph.SqueezeExcite{Channels: 2, Gate: "hardsigmoid"},

	"maxpool":            graph.MaxPool{Size: 3, Stride: 2, Padding: 1},
	"gem":                graph.GeM{Epsilon: 1e-2},
	"scale":              graph.Scale{},
	"batchnorm training": graph.BatchNorm{Epsilon: 1e-3, Momentum: 0.01},
	"batchnorm frozen":   graph.BatchNorm{Epsilon: 1e-3, Momentum: 0.01},
	"conv silu":          graph.Conv{Filters: 3, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "silu", Epsilon: 1e-3, Momentum: 0.01},
	"conv relu6":         graph.Conv{Filters: 3, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu6", Epsilon: 1e-3, Momentum: 0.01},
	"conv hardswish":     graph.Conv{Filters: 3, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "hardswish", Epsilon: 1e-3, Momentum: 0.01},
}

// Results, gradients and running statistics are those that PyTorch computed in float64.
func TestLayersOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/torch_layers.json")
	if err != nil {
		t.Fatal(err)
	}
	type tensor struct {
		Shape  []int
		Values []float64
	}
	var file struct {
		Cases map[string]struct {
			Shape              []int
			X, Y, Dy, Dx       []float64
			Weights            map[string]tensor
			Gradients, Running values
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != len(pytorchBlocks) {
		t.Errorf("found %d cases, expected %d", len(file.Cases), len(pytorchBlocks))
	}
	for name, c := range file.Cases {
		t.Run(name, func(t *testing.T) {
			const tolerance = 1e-12
			weights := graph.NewWeights(graph.Float64, 1)
			for name, w := range c.Weights {
				role := graph.Gain
				switch {
				case strings.Contains(name, "running"):
					role = graph.Buffer
				case strings.HasSuffix(name, ".bias"):
					role = graph.Bias
				case len(w.Shape) > 1:
					role = graph.Kernel
				}
				if err := weights.Add(name, role, w.Shape, w.Values); err != nil {
					t.Fatal(err)
				}
			}
			if name == "batchnorm frozen" {
				if err := weights.FreezeStatistics(); err != nil {
					t.Fatal(err)
				}
			}
			if err := weights.Add("x", graph.Bias, c.Shape, c.X); err != nil {
				t.Fatal(err)
			}
			program := build(t, weights, graph.Training, func(b *graph.Builder) graph.Outputs {
				y := b.Sequence([]graph.Block{pytorchBlocks[name]}, b.Weight("x", graph.Bias, graph.Constant(0), c.Shape...))
				return graph.Outputs{"y": y, graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(y, b.Input("dy", y.Shape()...)))))}
			})
			set(t, program, values{"dy": c.Dy})
			run(t, program)
			expectNear(t, "the result", get(t, program, "y"), c.Y, tolerance)
			found := gradients(t, program)
			expectNear(t, "the gradient of the input", found["x"], c.Dx, tolerance)
			delete(found, "x")
			expectNear(t, "gradients", found, c.Gradients, tolerance)
			for name, want := range c.Running {
				expectNear(t, name, elements(weights.Get(name)), want, tolerance)
			}
		})
	}
}

// In evaluation, blocks with the settings of batch norm agree with training on frozen
// statistics.
func TestBatchNormSettingsInEvaluation(t *testing.T) {
	blocks := []graph.Block{
		graph.Conv{Filters: 3, Kernel: 1, BatchNorm: true, Activation: "silu", Epsilon: 0.1},
		graph.BatchNorm{Epsilon: 0.2},
	}
	x := normal(2*4*4*2, "x")
	weights := graph.NewWeights(graph.Float64, 1)
	want := apply(t, weights, graph.Evaluation, blocks, x, 2, 4, 4, 2)
	if err := weights.FreezeStatistics(); err != nil {
		t.Fatal(err)
	}
	expectNear(t, "training on frozen statistics", apply(t, weights, graph.Training, blocks, x, 2, 4, 4, 2), want, 1e-14)
	other := apply(t, weights, graph.Evaluation, []graph.Block{
		graph.Conv{Filters: 3, Kernel: 1, BatchNorm: true, Activation: "silu"}, graph.BatchNorm{},
	}, x, 2, 4, 4, 2)
	if other[0] == want[0] {
		t.Error("the epsilon has no effect")
	}
}

// FreezeStatistics freezes running statistics only: they do not change, and the gain and
// the shift have gradients.
func TestFreezeStatistics(t *testing.T) {
	blocks := []graph.Block{graph.Conv{Filters: 2, Kernel: 1, BatchNorm: true}, graph.BatchNorm{}}
	draw := func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{graph.Cost: sumOfSquares(b, b.Sequence(blocks, weight(b, "x", 2, 3, 3, 2)))}
	}
	for pattern, frozen := range map[string]string{
		"":       "norm1.running_mean norm1.running_var batchnorm1.running_mean batchnorm1.running_var",
		"conv1":  "norm1.running_mean norm1.running_var",
		"norm1":  "norm1.running_mean norm1.running_var",
		"batch*": "batchnorm1.running_mean batchnorm1.running_var",
	} {
		weights := graph.NewWeights(graph.Float64, 1)
		build(t, weights, graph.Training, draw)
		patterns := []string{pattern}
		if pattern == "" {
			patterns = nil
		}
		if err := weights.FreezeStatistics(patterns...); err != nil {
			t.Fatal(err)
		}
		program := build(t, weights, graph.Training, draw)
		before := weightValues(weights)
		run(t, program)
		var fixed []string
		for _, w := range weights.All() {
			if w.Frozen {
				fixed = append(fixed, w.Name)
			}
			if w.Role == graph.Buffer {
				same := elements(w)[0] == before[w.Name][0]
				if same != w.Frozen {
					t.Errorf("%q: %s is frozen: %v, and unchanged: %v", pattern, w.Name, w.Frozen, same)
				}
			}
		}
		expectEqual(t, "frozen by "+pattern, strings.Join(fixed, " "), frozen)
		if found := gradients(t, program); found["norm1.weight"] == nil || found["batchnorm1.bias"] == nil {
			t.Errorf("%q: found gradients %v, expected those of the gain and the shift, too", pattern, found)
		}
	}
	weights := graph.NewWeights(graph.Float64, 1)
	build(t, weights, graph.Training, draw)
	for pattern, want := range map[string]string{"linear1": `"linear1"`, "norm1.weight": "no batch norm", "[": "syntax"} {
		if err := weights.FreezeStatistics("conv1", pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found error %v, expected %q", pattern, err, want)
		}
		for _, w := range weights.All() {
			if w.Frozen {
				t.Errorf("%q: after an error %s is frozen", pattern, w.Name)
			}
		}
	}
	if err := graph.NewWeights(graph.Float32, 1).FreezeStatistics(); err == nil || !strings.Contains(err.Error(), "no batch norm") {
		t.Errorf("without batch norm: found error %v", err)
	}
}

// Residual graphs have the structure that earlier versions recorded in checkpoints, when the
// sum was an operation of Gorgonia's.
func TestStructureOfResidual(t *testing.T) {
	conv := func(filters int) graph.Conv { return graph.Conv{Filters: filters, Kernel: 3, Padding: 1} }
	norm := conv(3)
	norm.BatchNorm = true
	for want, r := range map[string]graph.Residual{
		"df0da59b31d3c3ba25e4ef21601b3506": {Body: []graph.Block{norm}, Activation: "relu"},
		"c85fa0ea7001cd404e0df09f87cdc148": {Body: []graph.Block{conv(3)}},
		"461a83ccafe78ef2f91f16c0338fd7c4": {Body: []graph.Block{conv(4)}, Shortcut: []graph.Block{graph.Conv{Filters: 4, Kernel: 1}}, Activation: "prelu", Pool: 2},
		"3ce253e8cc1f03dfc9d33454eb2b29c0": {Body: []graph.Block{graph.Linear{Units: 5}}, Activation: "tanh"},
	} {
		program := build(t, graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
			shape := []int{2, 6, 6, 3}
			if r.Activation == "tanh" {
				shape = []int{2, 5}
			}
			y := b.Sequence([]graph.Block{r}, b.Input("x", shape...))
			return graph.Outputs{"y": y, graph.Cost: sumOfSquares(b, y)}
		})
		expectEqual(t, r.Activation, program.Structure(), want)
	}
}

// droppedBody is a residual block whose body doubles its input and is dropped with
// probability 0.3, in two towers of many images, and dropout behind it.
func droppedBody(b *graph.Builder) graph.Outputs {
	outputs := graph.Outputs{}
	cost := b.Constant(0)
	block := graph.Residual{Body: []graph.Block{graph.Linear{Units: 2, NoBias: true, Weight: graph.Constant(1)}}, Drop: 0.3}
	for _, name := range []string{"left", "right"} {
		y := b.Sequence([]graph.Block{block}, weight(b, name, dropped/2, 2))
		outputs[name] = y
		cost = b.Node(gorgonia.Add(cost, b.Node(gorgonia.Sum(y))))
	}
	outputs[graph.Cost] = cost
	return outputs
}

// The body of an image is left out as a whole with the given probability, and divided by
// 1 − probability otherwise; the masks differ between towers and runs, and the number of the
// run gives them back.
func TestStochasticDepth(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Training, droppedBody)
	mask := func(tower string) (kept []bool) {
		t.Helper()
		x, y, gradient := elements(weights.Get(tower)), get(t, program, tower), gradients(t, program)[tower]
		for i := range y {
			image := i / 2
			body := (x[2*image] + x[2*image+1]) / 0.7
			if i%2 == 0 {
				kept = append(kept, y[i] != x[i])
			}
			want, slope := x[i], 1.0
			if kept[image] {
				want, slope = x[i]+body, 1+2/0.7
			}
			expectNear(t, "an element", y[i], want, 1e-12)
			expectNear(t, "its gradient", gradient[i], slope, 1e-12)
		}
		return kept
	}
	run(t, program)
	left, right := mask("left"), mask("right")
	count := 0
	for _, kept := range left {
		if kept {
			count++
		}
	}
	if images := float64(dropped / 2); float64(count) < 0.7*images-75 || float64(count) > 0.7*images+75 { // five standard deviations
		t.Errorf("%d of %v bodies are kept, expected about %v", count, images, 0.7*images)
	}
	same := func(x, y []bool) bool {
		for i := range x {
			if x[i] != y[i] {
				return false
			}
		}
		return true
	}
	if same(left, right) {
		t.Error("two towers have one mask")
	}
	run(t, program)
	if same(left, mask("left")) {
		t.Error("two runs have one mask")
	}
	program.SetStep(0)
	run(t, program)
	expectEqual(t, "the mask of run 0", mask("left"), left)

	evaluation := build(t, weights, graph.Evaluation, droppedBody)
	run(t, evaluation)
	x := elements(weights.Get("left"))
	expectNear(t, "in evaluation", get(t, evaluation, "left")[:2], []float64{2*x[0] + x[1], x[0] + 2*x[1]}, 1e-14)
}

// Residual blocks without an activation do not change the random numbers of dropout behind
// them, which depend on the number of operations before.
func TestDropoutBehindResidual(t *testing.T) {
	weights := graph.NewWeights(graph.Float32, 1)
	y := apply(t, weights, graph.Training, []graph.Block{
		graph.Residual{}, graph.Residual{Body: []graph.Block{graph.Activate{Function: "relu"}}}, graph.Dropout{Rate: 0.5},
	}, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, 10)
	mask := ""
	for _, v := range y {
		mask += map[bool]string{true: "1", false: "0"}[v != 0]
	}
	expectEqual(t, "the mask", mask, "00001001001100110110")
}
