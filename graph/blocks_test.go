package graph_test

import (
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
)

// Every block passes a finite-difference check by its weights and its input,
// in one tower, in two and in three that share the weights. The weights are moved
// away from their first values, ones and zeros, where some mistakes do not show.
func TestBlockGradients(t *testing.T) {
	image, vector := []int{3, 6, 7, 2}, []int{4, 5}
	tests := map[string]struct {
		shape  []int
		blocks []graph.Block
	}{
		"convolution":         {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3}}},
		"stride and padding":  {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Stride: 2, Padding: 1}}},
		"without bias":        {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, NoBias: true}}},
		"relu":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "relu"}}},
		"prelu":               {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "prelu"}}},
		"sigmoid":             {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "sigmoid"}}},
		"tanh":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "tanh"}}},
		"pool":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "tanh", Pool: 2}}},
		"batch norm":          {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Padding: 1, BatchNorm: true, NoBias: true, Activation: "tanh", Pool: 2}}},
		"batch norm alone":    {image, []graph.Block{graph.BatchNorm{}}},
		"batch norm of rows":  {vector, []graph.Block{graph.BatchNorm{}}},
		"max pool":            {image, []graph.Block{graph.MaxPool{Size: 2}}},
		"overlapping pool":    {image, []graph.Block{graph.MaxPool{Size: 3, Stride: 2}}},
		"average pool":        {image, []graph.Block{graph.AveragePool{Size: 2}}},
		"trainable average":   {image, []graph.Block{graph.AveragePool{Size: 2, Trainable: true}}},
		"global average":      {image, []graph.Block{graph.GlobalAveragePool{}}},
		"flatten and linear":  {image, []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}},
		"linear without bias": {vector, []graph.Block{graph.Linear{Units: 3, NoBias: true, Activation: "sigmoid"}}},
		"dropout":             {vector, []graph.Block{graph.Dropout{Rate: 0.4}}},
		"normalize":           {vector, []graph.Block{graph.Normalize{}}},
		"prelu alone":         {vector, []graph.Block{graph.Activate{Function: "prelu"}}},
		"residual":            {image, []graph.Block{graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 3, Padding: 1, Activation: "tanh"}}, Activation: "sigmoid", Pool: 2}}},
		"residual, shortcut": {image, []graph.Block{graph.Residual{
			Body:     []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "tanh"}, graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true}},
			Shortcut: []graph.Block{graph.Conv{Filters: 4, Kernel: 1, BatchNorm: true}},
		}}},
	}
	for name, test := range tests {
		for towers := 1; towers <= 3; towers++ {
			t.Run(name, func(t *testing.T) {
				draw := func(b *graph.Builder) graph.Outputs {
					var cost *graph.Node
					for tower := range towers {
						x := b.Weight([]string{"left", "right", "third"}[tower], graph.Bias, graph.Normal(0, 1), test.shape...)
						y := b.Sequence(test.blocks, x)
						// A cost without symmetry: every element counts differently.
						weight := b.Weight("importance", graph.Bias, graph.Normal(0, 1), y.Shape()...)
						term := b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(weight, b.Node(gorgonia.Square(y))))))
						if cost == nil {
							cost = term
						} else {
							cost = b.Node(gorgonia.Add(cost, term))
						}
					}
					return graph.Outputs{graph.Cost: cost}
				}
				weights := graph.NewWeights(graph.Float64, 1)
				build(t, weights, graph.Training, draw)
				for _, w := range weights.All() {
					for i, change := range normal(w.Value.Size(), w.Name) {
						if w.Trainable() {
							w.Value.Data().([]float64)[i] += 0.3 * change
						}
					}
				}
				gradcheck.Check(t, weights, nil, draw)
			})
		}
	}
}
