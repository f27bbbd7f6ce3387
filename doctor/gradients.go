package doctor

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
)

// network is small and has nearly all that networks are made of, for images
// (8, 8, 1).
var network = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1, Activation: "prelu"}}},
	graph.Flatten{},
	graph.Dropout{Rate: 0.2},
	graph.Linear{Units: 6, Activation: "sigmoid"},
	graph.Linear{Units: 3},
}

// gradientImages are those of a tower.
const gradientImages = 4

// gradients compares the gradients of a network whose towers share its weights,
// with a head and an objective, with finite differences in float64, after three
// runs that must be alike.
func gradients(network []graph.Block, towers int) (string, error) {
	names := []string{"anchor", "positive", "negative"}[:towers]
	inputs := map[string][]float64{}
	for _, name := range names {
		r := random.New(1, "doctor", name)
		for range gradientImages * 8 * 8 {
			inputs[name] = append(inputs[name], r.Float64())
		}
	}
	switch towers {
	case 1:
		inputs["labels"] = []float64{0, 0, 1, 1}
	case 2:
		inputs["different"] = []float64{0, 1, 1, 0}
	}
	weights := graph.NewWeights(graph.Float64, 3)
	wrong := gradcheck.Find(weights, inputs, func(b *graph.Builder) graph.Outputs {
		var embeddings []*graph.Node
		for _, name := range names {
			embeddings = append(embeddings, b.Sequence(network, b.Input(name, gradientImages, 8, 8, 1)))
		}
		return graph.Outputs{graph.Cost: cost(b, embeddings)}
	})
	if len(wrong) > 0 {
		return "", wrong[0]
	}
	return fmt.Sprintf("of %d weights, as finite differences say in float64 (%.0e allowed), in three runs alike", weights.Count(), gradcheck.Tolerance), nil
}

// cost is an objective for so many towers, with a head of its own.
func cost(b *graph.Builder, embeddings []*graph.Node) *graph.Node {
	switch len(embeddings) {
	case 1:
		return objectives.SupervisedContrastive{Temperature: 0.5}.BatchCost(b, heads.Cosine{}.Matrix(b, embeddings[0]), b.Input("labels", gradientImages))
	case 2:
		distance := heads.WeightedL1{}.Between(b, embeddings[0], embeddings[1])
		return objectives.Contrastive{Margin: 3}.PairCost(b, distance, b.Input("different", gradientImages))
	}
	between := func(i int) *graph.Node { return heads.L2{}.Between(b, embeddings[0], embeddings[i]) }
	return objectives.Triplet{Soft: true}.TripletCost(b, between(1), between(2))
}
