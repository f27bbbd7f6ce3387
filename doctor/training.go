package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// network is a small network with nearly all kinds of blocks, for images (8, 8, 1).
var network = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1, Activation: "prelu"}}},
	graph.Flatten{},
	graph.Dropout{Rate: 0.2},
	graph.Linear{Units: 6, Activation: "sigmoid"},
	graph.Linear{Units: 3},
}

// gradientImages is the number of images of a tower.
const gradientImages = 4

// gradients compares the gradients of a network in towers with shared weights, a head and a
// loss with finite differences in float64, after three runs that must be equal.
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
	return fmt.Sprintf("gradients of %d weights agree with finite differences in float64 (tolerance %.0e), equal in three runs", weights.Count(), gradcheck.Tolerance), nil
}

// cost returns a loss for the number of towers, each with another head.
func cost(b *graph.Builder, embeddings []*graph.Node) *graph.Node {
	batch := objectives.Batch{Embeddings: embeddings}
	switch len(embeddings) {
	case 1:
		batch.Head, batch.Labels = heads.Cosine{}, b.Input("labels", gradientImages)
		return objectives.SupervisedContrastive{Temperature: 0.5}.Cost(b, batch)
	case 2:
		batch.Head, batch.Labels = heads.WeightedL1{}, b.Input("different", gradientImages)
		return objectives.Contrastive{Margin: 3}.Cost(b, batch)
	}
	batch.Head = heads.L2{}
	return objectives.Triplet{Soft: true}.Cost(b, batch)
}

// determinismSteps is the number of training steps, enough for a difference of one bit to spread.
const determinismSteps = 12

// determinism trains a small network with one random seed: on one thread, on all threads,
// on one more, and on all again. All weights must be equal bit for bit.
func determinism() (string, error) {
	all := graph.Threads()
	defer graph.SetThreads(all)
	var first *graph.Weights
	for _, threads := range []int{1, all, all + 1, all} {
		graph.SetThreads(threads)
		weights, err := trained(1)
		if err != nil {
			return "", err
		}
		if first == nil {
			first = weights
		}
		if err := sameBits(weights, first); err != nil {
			return "", errors.Wrapf(err, "training on %d threads differs from training on one", threads)
		}
	}
	return fmt.Sprintf("%d training steps on 1, %d and %d threads and repeated: %d weights are equal bit for bit", determinismSteps, all, all+1, first.Count()), nil
}

// trained returns the weights after training on generated images.
func trained(seed uint64) (*graph.Weights, error) {
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	images := &datasets.Dataset{Name: "noise", Size: size}
	for class := range 4 {
		images.Classes = append(images.Classes, fmt.Sprint(class))
		for i := range 8 {
			r := random.New(1, "doctor", class, i)
			pixels := make([]uint8, size.Len())
			for j := range pixels {
				pixels[j] = uint8(r.IntN(128) + 32*class)
			}
			images.Images, images.Labels = append(images.Images, pixels), append(images.Labels, class)
		}
	}
	network := backbone.Network{Name: "doctor", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 16, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		graph.Conv{Filters: 16, Kernel: 3, Padding: 1, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.2}, graph.Flatten{}, graph.Linear{Units: 16},
	}}
	model, err := likeness.New(network, heads.L2{}, images.Preprocessing(), seed)
	if err != nil {
		return nil, err
	}
	training := &trainer.Trainer{
		Model: model, Loss: objectives.Contrastive{Margin: 1}, Images: images, Batch: 8, Seed: seed,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-3, Average: 0.9}, Epochs: 1, EpochSteps: determinismSteps,
		Augment: datasets.EachImage(datasets.Affine{Rotation: 10, Probability: 0.5}),
	}
	if _, err := training.Run(context.Background()); err != nil {
		return nil, err
	}
	return model.Weights, nil
}

// sameBits returns an error that names the first weight that differs.
func sameBits(found, expected *graph.Weights) error {
	for _, weight := range expected.All() {
		a, b := found.Get(weight.Name).Value.Float32s(), weight.Value.Float32s()
		if !slices.Equal(a, b) {
			return errors.Errorf("%s differs", weight.Name)
		}
	}
	return nil
}
