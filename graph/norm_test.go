package graph_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
)

// normTowers are one batch norm of one feature on each named input, of four
// elements, with a cost that every weight leads to.
func normTowers(names ...string) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		outputs := graph.Outputs{}
		cost := b.Constant(0)
		for _, name := range names {
			outputs[name] = b.Sequence([]graph.Block{graph.BatchNorm{}}, b.Input(name, 4, 1))
			cost = b.Node(gorgonia.Add(cost, b.Node(gorgonia.Sum(b.Node(gorgonia.Exp(outputs[name]))))))
		}
		outputs[graph.Cost] = cost
		return outputs
	}
}

// Mean 5, variance 20/4 = 5, unbiased 20/3; mean 10, variance 8/4 = 2, unbiased 8/3.
var left, right = []float64{2, 4, 6, 8}, []float64{8, 10, 10, 12}

func running(weights *graph.Weights) (mean, variance float64) {
	return elements(weights.Get("batchnorm1.running_mean"))[0], elements(weights.Get("batchnorm1.running_var"))[0]
}

// Each tower is normalized by its own batch, and the running statistics follow
// the towers in the order of building, with the unbiased variance.
func TestBatchNormOfTwoTowers(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Training, normTowers("left", "right"))
	set(t, program, values{"left": left, "right": right})
	run(t, program)
	for name, batch := range map[string]struct {
		x              []float64
		mean, variance float64
	}{"left": {left, 5, 5}, "right": {right, 10, 2}} {
		for i, y := range get(t, program, name) {
			expectNear(t, name, y, (batch.x[i]-batch.mean)/math.Sqrt(batch.variance+1e-5), 1e-14)
		}
	}
	mean, variance := running(weights)
	expectNear(t, "running mean", mean, 0.9*(0.9*0+0.1*5)+0.1*10, 1e-14)
	expectNear(t, "running variance", variance, 0.9*(0.9*1+0.1*20/3)+0.1*8/3, 1e-14)

	weights = graph.NewWeights(graph.Float64, 1)
	program = build(t, weights, graph.Training, normTowers("right", "left"))
	set(t, program, values{"left": left, "right": right})
	run(t, program)
	mean, _ = running(weights)
	expectNear(t, "running mean of the other order", mean, 0.9*(0.9*0+0.1*10)+0.1*5, 1e-14)
}

// The mode belongs to a graph: an evaluation graph on the same weights sees the
// running statistics and changes nothing for the training graph.
func TestBatchNormModes(t *testing.T) {
	record := func(program *graph.Program) (values, values) {
		run(t, program)
		return values{"y": get(t, program, "left"), "cost": get(t, program, graph.Cost)}, gradients(t, program)
	}
	alone := graph.NewWeights(graph.Float64, 1)
	expected := build(t, alone, graph.Training, normTowers("left"))
	set(t, expected, values{"left": left})

	shared := graph.NewWeights(graph.Float64, 1)
	training := build(t, shared, graph.Training, normTowers("left"))
	set(t, training, values{"left": left})
	for range 3 {
		mean, variance := running(shared)
		evaluation := build(t, shared, graph.Evaluation, normTowers("left"))
		set(t, evaluation, values{"left": right})
		run(t, evaluation)
		for i, y := range get(t, evaluation, "left") {
			expectNear(t, "evaluation", y, (right[i]-mean)/math.Sqrt(variance+1e-5), 1e-14)
		}
		outputs, slopes := record(training)
		expectedOutputs, expectedSlopes := record(expected)
		expectEqual(t, "training outputs", outputs, expectedOutputs)
		expectEqual(t, "training gradients", slopes, expectedSlopes)
		expectEqual(t, "weights", weightValues(shared), weightValues(alone))
	}
}

// What an image is embedded as does not depend on the images beside it.
func TestEvaluationOfOneImage(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	training := build(t, weights, graph.Training, twins(4))
	set(t, training, values{"left": normal(4*72, "left"), "right": normal(4*72, "right")})
	for range 3 {
		run(t, training)
	}
	images := normal(3*72, "images")
	embed := func(x []float64, n int) []float64 {
		return apply(t, weights, graph.Evaluation, everything, x, n, 6, 6, 2)
	}
	together := embed(images, 3)
	for i := range 3 {
		expectNear(t, "embedding", embed(images[i*72:(i+1)*72], 1), together[i*3:(i+1)*3], 1e-13)
	}
}

// A run that fails after the batch norm leaves the statistics as they were.
func TestFailedRunKeepsStatistics(t *testing.T) {
	fragile := &fragile{}
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		outputs := normTowers("left")(b)
		outputs[graph.Cost] = fragile.apply(b, b.Reshape(outputs[graph.Cost], 1))
		outputs[graph.Cost] = b.Node(gorgonia.Sum(outputs[graph.Cost]))
		return outputs
	})
	set(t, program, values{"left": left})
	run(t, program)
	before := weightValues(weights)
	for _, where := range []*bool{&fragile.forward, &fragile.backward} {
		*where = true
		if program.Run() == nil {
			t.Fatal("the run did not fail")
		}
		*where = false
		expectEqual(t, "weights", weightValues(weights), before)
	}
}

// The gradient through running statistics, which do not follow the batch.
func TestGradientOfFixedStatistics(t *testing.T) {
	for name, block := range map[string]graph.Block{
		"batchnorm1": graph.BatchNorm{}, "norm1": graph.Conv{Filters: 2, Kernel: 2, BatchNorm: true, Activation: "tanh"},
	} {
		weights := givenWeights(t,
			given{name + ".running_mean", graph.Buffer, []int{2}, []float64{0.5, -0.2}},
			given{name + ".running_var", graph.Buffer, []int{2}, []float64{0.4, 2}},
			given{name + ".weight", graph.Gain, []int{2}, []float64{-1.5, 0.7}},
		)
		if err := weights.Freeze(name + ".running_*"); err != nil {
			t.Fatal(err)
		}
		gradcheck.Check(t, weights, nil, func(b *graph.Builder) graph.Outputs {
			y := b.Sequence([]graph.Block{block}, weight(b, "x", 2, 4, 3, 2))
			return graph.Outputs{graph.Cost: sumOfSquares(b, y, weight(b, "importance", y.Shape()...))}
		})
	}
}

// Frozen, a batch norm uses its running statistics in training too, and leaves
// them alone.
func TestFrozenBatchNorm(t *testing.T) {
	weights := givenWeights(t,
		given{"batchnorm1.weight", graph.Gain, []int{1}, []float64{3}}, given{"batchnorm1.bias", graph.Bias, []int{1}, []float64{-1}},
		given{"batchnorm1.running_mean", graph.Buffer, []int{1}, []float64{2}}, given{"batchnorm1.running_var", graph.Buffer, []int{1}, []float64{4}},
	)
	if err := weights.Freeze("batchnorm1"); err != nil {
		t.Fatal(err)
	}
	before := weightValues(weights)
	y := apply(t, weights, graph.Training, []graph.Block{graph.BatchNorm{}}, left, 4, 1)
	for i, x := range left {
		expectNear(t, "output", y[i], 3*(x-2)/math.Sqrt(4+1e-5)-1, 1e-14)
	}
	for name, value := range before {
		expectEqual(t, name, elements(weights.Get(name)), value)
	}
}
