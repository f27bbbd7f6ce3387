package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
)

// doubleMargin is the contrastive loss with a margin for pairs of one class, too (Lin et
// al. 2015, "DeepHash"): the mean of (1 − Y)·max(0, D − Near)² + Y·max(0, Far − D)².
type doubleMargin struct{ Near, Far float64 }

func (doubleMargin) Name() string        { return "double-margin" }
func (doubleMargin) Kind() datasets.Kind { return datasets.Pairs }

// Check allows the heads that the contrastive loss allows.
func (l doubleMargin) Check(head heads.Head) error {
	return objectives.Contrastive{Margin: l.Far}.Check(head)
}

func (l doubleMargin) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	d, y := batch.Paired(b, 0, 1), batch.Labels
	near := objectives.Hinge(b, b.Node(gorgonia.Sub(d, b.Constant(l.Near))))
	far := objectives.Hinge(b, b.Node(gorgonia.Sub(b.Constant(l.Far), d)))
	same := b.Node(gorgonia.HadamardProd(b.Node(gorgonia.Sub(b.Constant(1), y)), b.Node(gorgonia.Square(near))))
	different := b.Node(gorgonia.HadamardProd(y, b.Node(gorgonia.Square(far))))
	return objectives.Mean(b, b.Node(gorgonia.Add(same, different)))
}

// A pair loss of a user's own, its value for one batch, and the check of its gradient. A
// trainer.Trainer takes it as Loss.
func Example_ownPairLoss() {
	loss := doubleMargin{Near: 0.3, Far: 1.5}
	build := func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{
			Embeddings: []*graph.Node{b.Weight("left", graph.Bias, graph.Constant(0), 2, 2), b.Input("right", 2, 2)},
			Labels:     b.Input("different", 2), Head: heads.L2{},
		}
		return graph.Outputs{graph.Cost: loss.Cost(b, batch)}
	}
	inputs := map[string][]float64{"right": {1, 0, 0, 1}, "different": {0, 1}}
	program, err := graph.Build(graph.NewWeights(graph.Float64, 1), graph.Training, build)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	for name, values := range inputs {
		if err := program.Set(name, values); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	// Both distances are 1: (0.7² + 0.5²)/2.
	cost, err := program.Scalar(graph.Cost)
	fmt.Printf("%.2f %v\n", cost, err)
	fmt.Println("wrong gradients:", len(gradcheck.Find(graph.NewWeights(graph.Float64, 1), inputs, build)))
	// Output:
	// 0.37 <nil>
	// wrong gradients: 0
}
