package graph_test

import (
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

const dropped = 2_000 // elements

func dropoutTowers(b *graph.Builder) graph.Outputs {
	outputs := graph.Outputs{}
	cost := b.Constant(0)
	for _, name := range []string{"left", "right"} {
		y := b.Sequence([]graph.Block{graph.Dropout{Rate: 0.3}}, weight(b, name, 10, dropped/10))
		outputs[name] = y
		cost = b.Node(gorgonia.Add(cost, b.Node(gorgonia.Sum(y))))
	}
	outputs[graph.Cost] = cost
	return outputs
}

// An element is kept with probability 1 − rate and then divided by 1 − rate,
// and the gradient goes the same way.
func TestDropoutScale(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Training, dropoutTowers)
	run(t, program)
	x, y, gradient := elements(weights.Get("left")), get(t, program, "left"), gradients(t, program)["left"]
	kept := 0
	for i := range x {
		if y[i] != 0 {
			kept++
			expectNear(t, "kept", y[i], x[i]/0.7, 1e-14)
			expectNear(t, "gradient of a kept element", gradient[i], 1/0.7, 1e-14)
		} else if gradient[i] != 0 {
			t.Errorf("gradient of a dropped element is %v", gradient[i])
		}
	}
	// Five standard deviations of the binomial distribution.
	if deviation := math.Sqrt(dropped * 0.3 * 0.7); math.Abs(float64(kept)-0.7*dropped) > 5*deviation {
		t.Errorf("%d of %d elements are kept, expected about %v", kept, dropped, 0.7*dropped)
	}
}

func TestNoDropoutInEvaluation(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Evaluation, dropoutTowers)
	run(t, program)
	expectEqual(t, "left", get(t, program, "left"), elements(weights.Get("left")))
}

// Masks differ between towers and between runs, and the number of the run
// gives them back, in another program too.
func TestDropoutMasks(t *testing.T) {
	masks := func(program *graph.Program) (left, right []bool) {
		t.Helper()
		run(t, program)
		others := get(t, program, "right")
		for i, y := range get(t, program, "left") {
			left, right = append(left, y != 0), append(right, others[i] != 0)
		}
		return left, right
	}
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, dropoutTowers)
	left, right := masks(program)
	if slices.Equal(left, right) {
		t.Error("two towers have one mask")
	}
	second, _ := masks(program)
	if slices.Equal(left, second) {
		t.Error("two runs have one mask")
	}
	if step := program.Step(); step != 2 {
		t.Errorf("found step %d after two runs", step)
	}
	program.SetStep(0)
	again, _ := masks(program)
	expectEqual(t, "mask of run 0", again, left)

	resumed := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, dropoutTowers)
	resumed.SetStep(1)
	again, _ = masks(resumed)
	expectEqual(t, "mask of run 1 in another program", again, second)

	other := build(t, graph.NewWeights(graph.Float64, 2), graph.Training, dropoutTowers)
	foreign, _ := masks(other)
	if slices.Equal(left, foreign) {
		t.Error("two seeds have one mask")
	}
}
