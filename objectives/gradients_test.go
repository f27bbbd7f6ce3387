package objectives_test

import (
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/gradcheck"
	"github.com/likeness-go/likeness/objectives"
)

// Every objective passes a finite-difference check with every head that goes
// with it, by the embeddings and by what head and objective learn.
func TestGradients(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Objective, head heads.Head) {
		p := problemFor(o, 1, 7, 3)
		gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(o, head))
	})
}

// As in training: the embeddings come out of towers that share their weights.
func TestGradientsThroughTowers(t *testing.T) {
	for _, o := range every {
		t.Run(o.Name(), func(t *testing.T) {
			head, err := objectives.HeadFor(o, "l2")
			if err != nil {
				t.Fatal(err)
			}
			p := problemFor(o, 2, 6, 4)
			network := []graph.Block{graph.Linear{Units: 5, Activation: "tanh"}, graph.Linear{Units: 3, Activation: "sigmoid"}}
			inputs := map[string][]float64{"labels": p.labels}
			embed := func(b *graph.Builder, tower int) *graph.Node {
				name := []string{"first", "second", "third"}[tower]
				inputs[name] = p.towers[tower]
				return b.Sequence(network, b.Input(name, p.rows, p.features))
			}
			if towersOf(o) == 3 {
				delete(inputs, "labels")
			}
			w := graph.NewWeights(graph.Float64, 1)
			for tower := range p.towers {
				inputs[[]string{"first", "second", "third"}[tower]] = p.towers[tower]
			}
			gradcheck.Check(t, w, inputs, func(b *graph.Builder) graph.Outputs {
				var cost *graph.Node
				switch o := o.(type) {
				case objectives.PairObjective:
					cost = o.PairCost(b, head.Between(b, embed(b, 0), embed(b, 1)), b.Input("labels", p.rows))
				case objectives.TripletObjective:
					anchor := embed(b, 0)
					cost = o.TripletCost(b, head.Between(b, anchor, embed(b, 1)), head.Between(b, anchor, embed(b, 2)))
				case objectives.BatchObjective:
					cost = o.BatchCost(b, head.Matrix(b, embed(b, 0)), b.Input("labels", p.rows))
				}
				return graph.Outputs{graph.Cost: cost}
			})
		})
	}
}
