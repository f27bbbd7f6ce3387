// Verification trains the network of Koch, Zemel & Salakhutdinov 2015
// ("Siamese Neural Networks for One-shot Image Recognition") on MNIST: two
// towers that share their weights, a learned weighted L1 distance, regularised
// cross-entropy, affine distortions. Three digits are not seen in training;
// it prints how well pairs of them are verified.
//
//	go run ./cmd/verification
//
// As in the paper the network has learned from Omniglot's characters before it
// sees a digit: it begins with the weights of the zoo's model koch, whose widths
// are an eighth of the paper's, and goes on with digits. -scratch begins with
// drawn weights, whose widths -narrow divides (-narrow 1 is the paper's, 0.9
// billion multiply-adds an image); seven digits alone teach it to know these
// seven, not to compare others. -paper takes the paper's solver too, which needs
// many more epochs.
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
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/likeness-go/likeness/zoo"
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
	scratch := flags.Bool("scratch", false, "begin with drawn weights, not with those of the zoo's model koch")
	narrow := flags.Int("narrow", 16, "what the paper's widths are divided by, with -scratch")
	limit := flags.Int("limit", 4000, "training images, before their symmetries; each test part has 1000 at most")
	batch := flags.Int("batch", 64, "images in a step, all of which are compared, or pairs with -pairs; the paper has 128 pairs")
	single := flags.Bool("pairs", false, "compare drawn pairs, as in the paper, not all pairs of a batch: less is learned from each image")
	symmetries := flags.Bool("symmetries", false, "learn turned and mirrored digits as classes of their own, which 0, 1 and 8 are not")
	rate := flags.Float64("rate", 3e-5, "learning rate at the start: low, lest the characters be forgotten; 1e-3 with -scratch")
	epochs := flags.Int("epochs", 2, "passes over the training images; the paper has at most 200")
	paper := flags.Bool("paper", false, "momentum SGD as in the paper's section 3.2 in place of Adam")
	lambda := flags.Float64("l2", 1e-5, "penalty on the squares of kernels; the paper has one a layer, up to 0.1")
	seed := flags.Uint64("seed", 1, "of weights, pairs, distortions and trials")
	out := flags.String("out", "", "file to save the model in, such as verification.safetensors")
	if err := flags.Parse(args); err != nil {
		return err
	}

	start, err := zoo.Load("koch")
	if err != nil {
		return err
	}
	data, err := digits(strings.Split(*unseen, ","), *limit, *seed, start.Preprocessing)
	if err != nil {
		return err
	}
	var loss objectives.Objective = objectives.BatchCrossEntropy{Balanced: true}
	if *single {
		loss = objectives.CrossEntropy{}
	}
	model, preprocessing, network := start, start.Preprocessing, start.Backbone
	if *scratch {
		koch := backbone.Koch()
		if *narrow > 1 {
			koch = koch.Narrow(*narrow)
		}
		preprocessing, network = data.Train.Preprocessing(), koch
		if model, err = likeness.New(network, heads.WeightedL1{Signed: true}, preprocessing, *seed); err != nil {
			return err
		}
	}
	untrained, err := likeness.New(network, model.Head, preprocessing, *seed)
	if err != nil {
		return err
	}
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
	if err := training.Check(); err != nil {
		return err
	}
	plan, err := report.NewPlan(data, *seed)
	if err != nil {
		return err
	}
	before, err := plan.Measure(model, untrained)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "before a digit was seen: ROC AUC %.2f %% on digits %s\n", 100*before.Metrics["verification_auc"].Value, *unseen)

	result, err := training.Run(ctx)
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

// digits are MNIST without the unseen ones, limited, cut to the ink as the
// characters were and brought to the 105×105 pixels of the paper.
func digits(unseen []string, limit int, seed uint64, like imaging.Preprocessing) (datasets.Experiment, error) {
	path, err := datasets.FindMNIST("")
	if err != nil {
		return datasets.Experiment{}, err
	}
	splits, err := datasets.Open(path, datasets.Options{Crop: like.Crop})
	if err != nil {
		return datasets.Experiment{}, err
	}
	data, err := splits.Experiment(datasets.ExperimentOptions{UnseenClasses: unseen, Seed: seed})
	if err != nil {
		return data, err
	}
	size := like.Size
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
