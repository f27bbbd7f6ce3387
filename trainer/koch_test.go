package trainer_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"gorgonia.org/gorgonia"
)

// probed is cross-entropy plus a weight of its own, head.probe, whose gradient
// is 1 in every step: what becomes of it tells the rate and the momentum.
type probed struct{ objectives.CrossEntropy }

func (p probed) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	probe := b.Weight("head.probe", graph.Bias, graph.Constant(0), 1)
	return b.Node(gorgonia.Add(p.CrossEntropy.Cost(b, batch), b.Node(gorgonia.Sum(probe))))
}

// Koch's recipe: the rate falls by a hundredth an epoch, from 0.01, and the
// momentum rises from 0.5, here by 0.01 an epoch (Koch, Zemel & Salakhutdinov
// 2015, section 3.2).
func TestKochsRecipe(t *testing.T) {
	head := heads.WeightedL1{Signed: true}
	network := tiny(graph.Activate{Function: "sigmoid"})
	training := &trainer.Trainer{
		Model: newModel(t, network, head), Loss: probed{}, Images: seen, Batch: 16,
		Solver: solver.Koch(), Epochs: 60, EpochSteps: 2, Seed: 1,
	}
	var velocity, want float64
	training.OnStep = func(step trainer.Step) {
		epoch := float64(step.Epoch - 1)
		rate, momentum := 0.01*math.Pow(0.99, epoch), min(0.5+0.01*epoch, 0.9)
		velocity = momentum*velocity - rate
		want += velocity
		found := float64(training.Model.Weights.Get("head.probe").Value.Data().([]float32)[0])
		if math.Abs(found-want) > 1e-5*math.Abs(want) {
			t.Fatalf("head.probe after step %d: found %v, expected %v", step.Number, found, want)
		}
	}
	result := run(t, training)
	for i, epoch := range result.Epochs {
		if want := 0.01 * math.Pow(0.99, float64(i)); math.Abs(epoch.Rate-want) > 1e-12 {
			t.Errorf("rate of epoch %d: found %v, expected %v", epoch.Epoch, epoch.Rate, want)
		}
	}
	if first, last := result.Epochs[0].Cost, result.Epochs[59].Cost; last >= first {
		t.Errorf("mean cost: found %v in the first epoch and %v in the last, expected it to fall", first, last)
	}
}
