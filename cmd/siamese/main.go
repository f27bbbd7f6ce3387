// Siamese trains the network of Hadsell, Chopra & LeCun 2006 ("Dimensionality
// Reduction by Learning an Invariant Mapping") on MNIST: two towers that share
// their weights, the Euclidean distance, the contrastive loss.
//
//	go run ./cmd/siamese
//
// It prints the nearest-neighbor accuracy of the embeddings on the test set
// beside that of the untrained network and of raw pixels.
package main

import (
	"context"
	"io"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/cmd/internal/paper"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

// mapDigits is the number of images on the map.
const mapDigits = 1500

func main() { paper.Main(train) }

func train(ctx context.Context, args []string, stdout io.Writer) error {
	flags := paper.NewFlags("siamese", "pairs per step", paper.Flags{Batch: 64, Epochs: 20, LearningRate: 3e-3, Limit: 60000})
	features := flags.Int("features", 16, "embedding dimension; the paper's maps have 2")
	margin := flags.Float64("margin", 1, "margin of the contrastive loss")
	picture := flags.String("map", "", "file for the map of test digits, such as map.png, with -features 2")
	if err := flags.Parse(args); err != nil {
		return err
	}

	// All ten digits are trained on, so there are no unseen classes.
	splits, err := flags.MNIST()
	if err != nil {
		return err
	}
	data, err := splits.Experiment(datasets.ExperimentOptions{NoUnseen: true, Seed: flags.Seed})
	if err != nil {
		return err
	}

	// One backbone; the trainer binds it to the two inputs of a pair.
	model, err := likeness.New(backbone.Hadsell(*features), heads.L2{}, data.Train.Preprocessing(), flags.Seed)
	if err != nil {
		return err
	}
	loss := objectives.Contrastive{Margin: *margin}

	// The paper trains on the digits as they are; a little augmentation makes up for
	// the few features of its network.
	augmentation := datasets.Affine{Rotation: 10, ScaleMin: 0.9, ScaleMax: 1.1, Translation: 1.5, Probability: 0.8}
	training := trainer.Trainer{
		Model: model, Loss: loss, Images: data.Train, Batch: flags.Batch, Augment: datasets.EachImage(augmentation),
		Solver: flags.Adam(), Epochs: flags.Epochs, Seed: flags.Seed,
		OnEpoch: func(e trainer.Epoch) { flags.PrintEpoch(stdout, e, "") },
	}
	result, err := training.Run(ctx)
	if err != nil {
		return err
	}

	plan, err := report.NewPlan(data, flags.Seed)
	if err != nil {
		return err
	}
	table, err := run.Measure(plan, &training, result)
	if err != nil {
		return err
	}
	table.Dataset = "MNIST"
	if err := table.WriteTable(stdout); err != nil {
		return err
	}
	if *picture != "" {
		shown := data.Seen.Limit(mapDigits, flags.Seed)
		embeddings, err := model.EmbedPixels(shown.Images)
		if err != nil {
			return err
		}
		if err := plot.WriteScatter(*picture, embeddings, shown.Images, shown.Size.Width, shown.Labels); err != nil {
			return err
		}
	}
	return flags.Save(model)
}
