// Triplet trains the MNIST network of Hoffer & Ailon 2015 ("Deep metric
// learning using triplet network"): three towers that share their weights, the
// Euclidean distance, the softmax ratio of the two distances as the loss.
//
//	go run ./cmd/triplet
//
// As in the paper, a linear classifier on the embeddings of the training set
// says how good they are; it stands beside the same on the untrained network's
// embeddings and on raw pixels.
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
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("triplet", flag.ExitOnError)
	batch := flags.Int("batch", 64, "triplets in a step")
	epochs := flags.Int("epochs", 30, "passes over the training images")
	rate := flags.Float64("rate", 1e-3, "learning rate at the start")
	limit := flags.Int("limit", 60000, "train and test on so many images each at most, for a quick look")
	seed := flags.Uint64("seed", 1, "of weights and triplets")
	out := flags.String("out", "", "file to save the model in, such as triplet.safetensors")
	if err := flags.Parse(args); err != nil {
		return err
	}

	data, err := datasets.MNIST("")
	if err != nil {
		return err
	}
	data.Train, data.Test = data.Train.Limit(*limit, *seed), data.Test.Limit(*limit, *seed)
	preprocessing := data.Train.Preprocessing()
	model, err := likeness.New(backbone.HofferMNIST(), heads.L2{}, preprocessing, *seed)
	if err != nil {
		return err
	}
	untrained, err := likeness.New(backbone.HofferMNIST(), heads.L2{}, preprocessing, *seed)
	if err != nil {
		return err
	}

	loss := objectives.TripletRatio{Scale: 1}
	triplets, err := trainer.For(loss, data.Train, *batch, 0)
	if err != nil {
		return err
	}
	training := trainer.Trainer{
		Model: model, Objective: loss, Examples: triplets,
		Solver: solver.Config{Solver: "adam", LearningRate: *rate, Schedule: "cosine"},
		Epochs: *epochs, Seed: *seed,
		OnEpoch: func(e trainer.Epoch) {
			fmt.Fprintf(stdout, "epoch %d of %d: loss %.4f, %.0f images/s\n", e.Epoch, *epochs, e.Cost, e.ImagesPerSecond)
		},
	}
	if _, err := training.Run(ctx); err != nil {
		return err
	}

	fmt.Fprintf(stdout, "linear classifier on embeddings of %d training images of MNIST, tested on %d others, seed %d:\n", data.Train.Len(), data.Test.Len(), *seed)
	for _, contender := range []struct {
		name  string
		embed func([][]uint8) ([][]float32, error)
	}{{"trained", model.EmbedPixels}, {"untrained", untrained.EmbedPixels}, {"raw pixels", pixels}} {
		score, err := classify(contender.embed, data)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%-10s  %.2f %%  [%.2f, %.2f]\n", contender.name, 100*score.Value, 100*score.Low, 100*score.High)
	}
	if *out == "" {
		return nil
	}
	return model.Save(*out)
}

// classify fits a linear classifier on the training images' embeddings and
// gives its accuracy on those of the test images.
func classify(embed func([][]uint8) ([][]float32, error), data datasets.Splits) (evaluate.Score, error) {
	labelled := func(d *datasets.Dataset) (evaluate.Labeled, error) {
		rows, err := embed(d.Images)
		if err != nil {
			return evaluate.Labeled{}, err
		}
		embeddings, err := evaluate.FromRows(rows)
		return evaluate.Labeled{Embeddings: embeddings, Labels: d.Labels}, err
	}
	known, err := labelled(data.Train)
	if err != nil {
		return evaluate.Score{}, err
	}
	asked, err := labelled(data.Test)
	if err != nil {
		return evaluate.Score{}, err
	}
	var classifier evaluate.LinearClassifier
	if err := classifier.Fit(known); err != nil {
		return evaluate.Score{}, err
	}
	return classifier.Accuracy(asked)
}

// pixels is the embedding of an image as its own pixels, from 0 to 1.
func pixels(images [][]uint8) ([][]float32, error) {
	rows := make([][]float32, len(images))
	for i, image := range images {
		rows[i] = make([]float32, len(image))
		for j, v := range image {
			rows[i][j] = float32(v) / 255
		}
	}
	return rows, nil
}
