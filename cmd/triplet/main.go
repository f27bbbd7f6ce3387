// Triplet trains the MNIST network of Hoffer & Ailon 2015 ("Deep metric
// learning using triplet network"): three towers that share their weights, the
// Euclidean distance, the softmax ratio of the two distances as the loss.
//
//	go run ./cmd/triplet
//
// As in the paper, the embeddings are measured by a linear classifier that is fitted to
// those of the training set, beside the same for the untrained network's embeddings and
// for raw pixels.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/cmd/internal/paper"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

func main() { paper.Main(train) }

func train(ctx context.Context, args []string, stdout io.Writer) error {
	flags := paper.NewFlags("triplet", "triplets per step", paper.Flags{Batch: 64, Epochs: 30, LearningRate: 1e-3, Limit: 60000})
	if err := flags.Parse(args); err != nil {
		return err
	}
	data, err := flags.MNIST()
	if err != nil {
		return err
	}

	// One backbone; the trainer binds it to the three inputs of a triplet.
	model, err := likeness.New(backbone.HofferMNIST(), heads.L2{}, data.Train.Preprocessing(), flags.Seed)
	if err != nil {
		return err
	}
	loss := objectives.TripletRatio{Scale: 1}
	training := trainer.Trainer{
		Model: model, Loss: loss, Images: data.Train, Batch: flags.Batch,
		Solver: flags.Adam(), Epochs: flags.Epochs, Seed: flags.Seed,
		OnEpoch: func(e trainer.Epoch) { flags.PrintEpoch(stdout, e, "") },
	}
	if _, err := training.Run(ctx); err != nil {
		return err
	}
	untrained, err := run.Untrained(&training)
	if err != nil {
		return err
	}

	fmt.Fprintf(stdout, "linear classifier on embeddings of %d training images of MNIST, tested on %d others, seed %d:\n", data.Train.Len(), data.Test.Len(), flags.Seed)
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
	return flags.Save(model)
}

// classify fits a linear classifier to the embeddings of the training images and returns
// its accuracy on those of the test images.
func classify(embed func([][]uint8) ([][]float32, error), data datasets.Splits) (evaluate.Score, error) {
	labeled := func(d *datasets.Dataset) (evaluate.Labeled, error) {
		rows, err := embed(d.Images)
		if err != nil {
			return evaluate.Labeled{}, err
		}
		embeddings, err := evaluate.FromRows(rows)
		return evaluate.Labeled{Embeddings: embeddings, Labels: d.Labels}, err
	}
	known, err := labeled(data.Train)
	if err != nil {
		return evaluate.Score{}, err
	}
	asked, err := labeled(data.Test)
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
