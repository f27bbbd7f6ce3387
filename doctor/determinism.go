package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// determinismSteps are enough for a difference of a bit to spread.
const determinismSteps = 12

// determinism trains a small network from one seed: on one thread, on all, on
// more than there are, and on all once more. All weights must be the same to the
// bit.
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
			return "", errors.Wrapf(err, "on %d threads, other than on one", threads)
		}
	}
	return fmt.Sprintf("%d steps of training, on 1, %d and %d threads and once more: the same bits in %d weights", determinismSteps, all, all+1, first.Count()), nil
}

// trained are the weights of a training on generated images.
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
	objective := objectives.Contrastive{Margin: 1}
	examples, err := trainer.For(objective, images, 8, 0)
	if err != nil {
		return nil, err
	}
	training := &trainer.Trainer{
		Model: model, Objective: objective, Examples: examples, Seed: seed,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-3, Average: 0.9}, Epochs: 1, EpochSteps: determinismSteps,
		Augment: datasets.EachImage(datasets.Affine{Rotation: 10, Probability: 0.5}),
	}
	if _, err := training.Run(context.Background()); err != nil {
		return nil, err
	}
	return model.Weights, nil
}

// sameBits says where two sets of weights differ.
func sameBits(found, expected *graph.Weights) error {
	for _, weight := range expected.All() {
		a, b := found.Get(weight.Name).Value.Float32s(), weight.Value.Float32s()
		if !slices.Equal(a, b) {
			return errors.Errorf("%s differs", weight.Name)
		}
	}
	return nil
}
