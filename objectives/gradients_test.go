package objectives_test

import (
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Every loss passes a finite-difference check with every head that it can be combined
// with, by the embeddings of anchors and references and by the trainable weights of head
// and loss.
func TestGradients(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if _, detached := o.(objectives.Circle); detached {
			return // its gradient is no derivative, see TestCircleGradient
		}
		for name, p := range problemFor(o, 1, 6, 2).forms(o) {
			t.Run(name, func(t *testing.T) {
				gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(o, head))
			})
		}
	})
}

// As in training: the embeddings come out of towers that share their weights.
func TestGradientsThroughTowers(t *testing.T) {
	towers := []string{"first", "second", "third"}
	network := []graph.Block{graph.Linear{Units: 5, Activation: "tanh"}, graph.Linear{Units: 3, Activation: "sigmoid"}}
	for _, o := range every {
		t.Run(o.Name(), func(t *testing.T) {
			if _, detached := o.(objectives.Circle); detached {
				return
			}
			p := problemFor(o, 2, 6, 4)
			inputs := p.inputs()
			for i, tower := range p.towers {
				inputs[towers[i]] = tower
			}
			gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), inputs, func(b *graph.Builder) graph.Outputs {
				var embeddings []*graph.Node
				for i := range p.towers {
					embeddings = append(embeddings, b.Sequence(network, b.Input(towers[i], p.rows, p.features)))
				}
				return graph.Outputs{graph.Cost: p.cost(b, o, plainHead(o), embeddings)}
			})
		})
	}
}
