package trainer_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// A trained model is fine-tuned for embeddings of another size: its first convolution, with
// the batch norm and the PReLU, is frozen, and the new last layer has a larger learning
// rate. A loaded model (likeness.Load) is fine-tuned in the same way.
func ExampleWithFeatures() {
	images := squares(0, 2, 4) // in example_test.go: 18 drawings of 3 classes
	network := backbone.Network{Name: "small", Size: images.Size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, BatchNorm: true, Activation: "prelu"}, graph.Flatten{}, graph.Linear{Units: 8},
	}}
	trained, err := likeness.New(network, heads.Cosine{}, images.Preprocessing(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := trainer.WithFeatures(trained, 5, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := model.Weights.Freeze("conv1"); err != nil {
		fmt.Println(err)
		return
	}
	training := trainer.Trainer{
		Model: model, Loss: objectives.BatchAll{Margin: 0.2}, Images: images, Batch: 12,
		Solver: solver.Config{
			Solver: "adam", LearningRate: 1e-3,
			Layers: []solver.Layer{{Name: "linear1", LearningRateScale: new(10.0)}},
		},
		Epochs: 1, EpochSteps: 10, Seed: 1,
	}
	if _, err := training.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, weight := range model.Weights.All() {
		old := trained.Weights.Get(weight.Name)
		fmt.Println(weight.Name, weight.Value.Shape(), "unchanged:", slices.Equal(old.Value.Float32s(), weight.Value.Float32s()))
	}
	// Output:
	// norm1.weight (4) unchanged: true
	// norm1.bias (4) unchanged: true
	// norm1.running_mean (4) unchanged: true
	// norm1.running_var (4) unchanged: true
	// conv1.weight (4, 1, 3, 3) unchanged: true
	// conv1.bias (4) unchanged: true
	// conv1_prelu.weight (4) unchanged: true
	// linear1.weight (5, 144) unchanged: false
	// linear1.bias (5) unchanged: false
}
