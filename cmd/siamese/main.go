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
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// mapDigits are drawn on the map.
const mapDigits = 1500

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("siamese", flag.ExitOnError)
	features := flags.Int("features", 16, "dimensions of the embedding; the paper's maps have 2")
	margin := flags.Float64("margin", 1, "distance beyond which pairs of two classes cost nothing")
	batch := flags.Int("batch", 64, "pairs in a step")
	epochs := flags.Int("epochs", 20, "passes over the training images")
	rate := flags.Float64("rate", 3e-3, "learning rate at the start")
	limit := flags.Int("limit", 60000, "train and test on so many images each at most, for a quick look")
	seed := flags.Uint64("seed", 1, "of weights, pairs and trials")
	out := flags.String("out", "", "file to save the model in, such as siamese.safetensors")
	picture := flags.String("map", "", "file to draw the map of test digits in, such as map.png, with -features 2")
	if err := flags.Parse(args); err != nil {
		return err
	}

	// All ten digits are trained on, so there are no unseen classes.
	splits, err := datasets.MNIST("")
	if err != nil {
		return err
	}
	splits.Train, splits.Test = splits.Train.Limit(*limit, *seed), splits.Test.Limit(*limit, *seed)
	data, err := splits.Experiment(datasets.ExperimentOptions{UnseenClasses: []string{}, Seed: *seed})
	if err != nil {
		return err
	}

	// One backbone; the trainer binds it to the two inputs of a pair.
	network, head := backbone.Hadsell(*features), heads.L2{}
	model, err := likeness.New(network, head, data.Train.Preprocessing(), *seed)
	if err != nil {
		return err
	}
	untrained, err := likeness.New(network, head, data.Train.Preprocessing(), *seed)
	if err != nil {
		return err
	}
	loss := objectives.Contrastive{Margin: *margin}
	pairs, err := trainer.For(loss, data.Train, *batch, 0)
	if err != nil {
		return err
	}

	// The paper trains on the digits as they are; a little distortion makes up
	// for how few features its network has.
	distortion := datasets.Affine{Rotation: 10, ScaleMin: 0.9, ScaleMax: 1.1, Translation: 1.5, Probability: 0.8}
	training := trainer.Trainer{
		Model: model, Objective: loss, Examples: pairs, Augment: datasets.EachImage(distortion),
		Solver: solver.Config{Solver: "adam", LearningRate: *rate, Schedule: "cosine"},
		Epochs: *epochs, Seed: *seed,
		OnEpoch: func(e trainer.Epoch) {
			fmt.Fprintf(stdout, "epoch %2d of %d: loss %.4f, %.0f images/s\n", e.Epoch, *epochs, e.Cost, e.ImagesPerSecond)
		},
	}
	result, err := training.Run(ctx)
	if err != nil {
		return err
	}

	plan, err := report.NewPlan(data, *seed)
	if err != nil {
		return err
	}
	table, err := plan.Measure(model, untrained)
	if err != nil {
		return err
	}
	table.Dataset, table.Seed, table.Seconds, table.ImagesPerSecond = "MNIST", *seed, result.Seconds, result.ImagesPerSecond
	if err := table.WriteTable(stdout); err != nil {
		return err
	}
	if *picture != "" {
		shown := data.Seen.Limit(mapDigits, *seed)
		embeddings, err := model.EmbedPixels(shown.Images)
		if err != nil {
			return err
		}
		if err := plot.WriteScatter(*picture, embeddings, shown.Images, shown.Size.Width, shown.Labels); err != nil {
			return err
		}
	}
	if *out == "" {
		return nil
	}
	return model.Save(*out)
}
