package trainer_test

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// squares are images of 8×8 pixels with a bright square of 3×3. Its column is
// the class; its row is of no account and different in each image of a class.
func squares(columns ...int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "squares", Size: imaging.Size{Height: 8, Width: 8, Channels: 1}}
	for class, column := range columns {
		d.Classes = append(d.Classes, fmt.Sprint("column ", column))
		for row := range 6 {
			pixels := make([]uint8, 64)
			for i := range 9 {
				pixels[8*(row+i/3)+column+i%3] = 255
			}
			d.Images, d.Labels = append(d.Images, pixels), append(d.Labels, class)
		}
	}
	return d
}

// A small network learns to see in which column a square is, and validates on
// columns that it has not been trained on.
func Example() {
	images, others := squares(0, 2, 4), squares(1, 3, 5)
	network := backbone.Network{Name: "small", Size: images.Size, Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Activation: "relu"},
		graph.Flatten{},
		graph.Linear{Units: 8},
	}}
	model, err := likeness.New(network, heads.L2{}, images.Preprocessing(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	validation, err := trainer.Verification(others, 200, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	before, err := validation.Measure(model)
	if err != nil {
		fmt.Println(err)
		return
	}

	training := trainer.Trainer{
		Model: model, Loss: objectives.Contrastive{Margin: 1}, Images: images, Batch: 16,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-2, Schedule: "cosine"},
		Epochs: 10, EpochSteps: 10, Seed: 1, Validate: validation,
	}
	result, err := training.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	first, last, best := result.Epochs[0], result.Epochs[9], result.Epochs[result.BestEpoch-1]
	fmt.Println("loss fell:", last.Loss < first.Loss)
	fmt.Println("area under the ROC curve grew by 0.1 or more:", *best.Validation > before+0.1)
	// Output:
	// loss fell: true
	// area under the ROC curve grew by 0.1 or more: true
}
