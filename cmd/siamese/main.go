// Siamese trains the network of Hadsell, Chopra & LeCun 2006 ("Dimensionality
// Reduction by Learning an Invariant Mapping") on MNIST: two towers that share
// their weights, the Euclidean distance, the contrastive loss.
//
//	go run ./cmd/siamese
//
// It prints the nearest-neighbour accuracy of the embeddings on the test set
// beside that of the untrained network and of raw pixels.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

var (
	features = flag.Int("features", 16, "dimensions of the embedding; the paper's maps have 2")
	margin   = flag.Float64("margin", 1, "distance beyond which pairs of two classes cost nothing")
	batch    = flag.Int("batch", 64, "pairs in a step")
	epochs   = flag.Int("epochs", 10, "passes over the 60,000 training images")
	rate     = flag.Float64("rate", 1e-2, "learning rate at the start")
	seed     = flag.Uint64("seed", 1, "of weights, pairs and trials")
	out      = flag.String("out", "", "file to save the model in, such as siamese.safetensors")
	picture  = flag.String("map", "", "file to draw the map of test digits in, such as map.png, with -features 2")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// All ten digits are trained on, so there are no unseen classes.
	splits, err := datasets.MNIST("")
	if err != nil {
		return err
	}
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

	training := trainer.Trainer{
		Model: model, Objective: loss, Examples: pairs,
		Solver: solver.Config{Solver: "adam", Rate: *rate, Schedule: "cosine"},
		Epochs: *epochs, Seed: *seed,
		OnEpoch: func(e trainer.Epoch) {
			fmt.Printf("epoch %2d of %d: loss %.4f, %.0f images/s\n", e.Epoch, *epochs, e.Cost, e.ImagesPerSecond)
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
	if err := table.WriteTable(os.Stdout); err != nil {
		return err
	}
	if *picture != "" {
		shown := data.Seen.Limit(mapDigits, *seed)
		embeddings, err := model.EmbedPixels(shown.Images)
		if err != nil {
			return err
		}
		if err := drawMap(*picture, embeddings, shown); err != nil {
			return err
		}
	}
	if *out == "" {
		return nil
	}
	return model.Save(*out)
}
