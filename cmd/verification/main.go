// Verification trains the network of Koch, Zemel & Salakhutdinov 2015
// ("Siamese Neural Networks for One-shot Image Recognition") on MNIST: two
// towers that share their weights, a learned weighted L1 distance, regularised
// cross-entropy, affine distortions. Three digits are not seen in training;
// it prints how well pairs of them are verified.
//
//	go run ./cmd/verification
//
// The paper's network costs 0.9 billion multiply-adds an image; -narrow 16, the
// default, divides all widths by 16, -narrow 1 is the paper's. -paper takes the
// paper's solver too, which needs many more epochs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
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
	flags := flag.NewFlagSet("verification", flag.ExitOnError)
	unseen := flags.String("unseen", "0,1,2", "digits to keep out of training and to test on")
	narrow := flags.Int("narrow", 16, "what the paper's widths are divided by")
	limit := flags.Int("limit", 4000, "training images, before their symmetries; each test part has 1000 at most")
	batch := flags.Int("batch", 16, "pairs in a step; the paper has 128")
	all := flags.Bool("all-pairs", false, "compare all images of a batch, not drawn pairs: more is learned from each")
	symmetries := flags.Bool("symmetries", true, "learn turned and mirrored digits as classes of their own")
	rate := flags.Float64("rate", 2e-3, "learning rate at the start")
	epochs := flags.Int("epochs", 3, "passes over the training images; the paper has at most 200")
	paper := flags.Bool("paper", false, "momentum SGD as in the paper's section 3.2 in place of Adam")
	lambda := flags.Float64("l2", 1e-5, "penalty on the squares of kernels; the paper has one a layer, up to 0.1")
	seed := flags.Uint64("seed", 1, "of weights, pairs, distortions and trials")
	out := flags.String("out", "", "file to save the model in, such as verification.safetensors")
	if err := flags.Parse(args); err != nil {
		return err
	}

	data, err := digits(strings.Split(*unseen, ","), *limit, *seed)
	if err != nil {
		return err
	}
	network := backbone.Koch()
	if *narrow > 1 {
		network = network.Narrow(*narrow)
	}
	head := heads.WeightedL1{Signed: true}
	var loss objectives.Objective = objectives.CrossEntropy{}
	if *all {
		loss = objectives.BatchCrossEntropy{Balanced: true}
	}
	model, err := likeness.New(network, head, data.Train.Preprocessing(), *seed)
	if err != nil {
		return err
	}
	untrained, err := likeness.New(network, head, data.Train.Preprocessing(), *seed)
	if err != nil {
		return err
	}
	// Seven digits teach a network to know these seven. With their symmetries
	// there are 56 classes, and it learns to compare.
	images := data.Train
	if *symmetries {
		if images, err = images.Symmetries(); err != nil {
			return err
		}
	}
	pairs, err := trainer.For(loss, images, *batch, 0)
	if err != nil {
		return err
	}

	training := trainer.Trainer{
		Model: model, Objective: loss, Examples: pairs, Epochs: *epochs, Seed: *seed,
		Augment:   datasets.EachImage(datasets.KochAffine()),
		Solver:    solver.Config{Solver: "adam", Rate: *rate, Schedule: "cosine"},
		Penalties: []objectives.L2{{Pattern: "*", Lambda: *lambda}},
		OnEpoch: func(e trainer.Epoch) {
			fmt.Fprintf(stdout, "epoch %2d of %d: loss %.4f, %.0f images/s\n", e.Epoch, *epochs, e.Cost, e.ImagesPerSecond)
		},
	}
	if *paper {
		training.Solver = solver.Koch()
		training.Solver.L2 = 0 // the penalty is a term of the cost
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
	if err := table.WriteTable(stdout); err != nil || *out == "" {
		return err
	}
	return model.Save(*out)
}

// digits are MNIST without the unseen ones, limited, at the 105×105 pixels of
// the paper.
func digits(unseen []string, limit int, seed uint64) (datasets.Experiment, error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return datasets.Experiment{}, err
	}
	data, err := splits.Experiment(datasets.ExperimentOptions{UnseenClasses: unseen, Seed: seed})
	if err != nil {
		return data, err
	}
	size := backbone.Koch().Size
	for _, part := range []**datasets.Dataset{&data.Train, &data.Validation, &data.Seen, &data.Unseen} {
		most := limit
		if part != &data.Train {
			most = min(most, 1000)
		}
		*part = (*part).Limit(most, seed).Resize(size.Height, size.Width)
	}
	data.Protocol += fmt.Sprintf("; limited to %d training images and %d of each test part", data.Train.Len(), min(limit, 1000))
	return data, nil
}
