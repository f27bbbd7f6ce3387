package main

import (
	"context"
	"flag"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// heldDigits of MNIST's training images are what settings are chosen by.
const heldDigits = 10_000

// hoffer is the network and the loss of Hoffer & Ailon 2015 on digits as they
// are: all triplets of a batch of ten classes.
func hoffer(steps int) recipe {
	return recipe{
		network: func(imaging.Size) backbone.Network { return backbone.HofferMNIST() },
		head:    heads.L2{}, objective: objectives.BatchRatio{Scale: 1},
		classes: 10, images: 20, steps: steps,
		solver: solver.Config{
			Solver: "adamw", Rate: 2e-3, WeightDecay: 1e-4, Average: 0.999,
			Schedule: "cosine", Warmup: 0.5,
		},
	}
}

// bestDigits is the recipe of the best figure on MNIST.
func bestDigits(steps int) recipe {
	r := usual(steps)
	r.objective, r.classes, r.images = objectives.SupervisedContrastive{Temperature: 0.1}, 10, 13
	r.symmetries, r.grouped = false, false
	r.augment = datasets.Augmentation{Image: datasets.Distortion{
		Affine: datasets.Affine{
			Rotation: 12, Shear: 0.15, ScaleMin: 1 / 1.15, ScaleMax: 1.15, Translation: 2, Probability: 1,
		},
		Elastic: datasets.Elastic{Displacement: 1, Smoothness: 4, Probability: 1},
	}}
	return r
}

// mnistSteps of training.
var mnistSteps = map[string]int{"mnist-hoffer": 9000, "mnist": 9000, "mnist-three": 9000}

// mnistRecipe is the recipe of a job.
func mnistRecipe(name string) recipe {
	if name == "mnist-hoffer" {
		return hoffer(mnistSteps[name])
	}
	r := bestDigits(mnistSteps[name])
	if name == "mnist-three" {
		r.networks = 3
	}
	return r
}

// mnist trains on MNIST's 60,000 training images and measures the accuracy that
// a linear classifier, fitted to their embeddings, has on the test images.
func mnist(name string, row Row) func(context.Context, settings) ([]Row, error) {
	return func(ctx context.Context, s settings) ([]Row, error) {
		splits, err := datasets.MNIST("")
		if err != nil {
			return nil, err
		}
		row.Protocol = "MNIST, linear classifier on embeddings of the 60,000 training images, 10,000 test images" + row.Protocol
		return mnistRecipe(name).digits(ctx, s, row, splits.Train, splits.Test)
	}
}

// variedDigits is one of these recipes as arguments like a command's change it.
func variedDigits(arguments []string) (r recipe, err error) {
	flags := flag.NewFlagSet("validate-mnist", flag.ContinueOnError)
	name := flags.String("recipe", "mnist", "mnist, mnist-three or mnist-hoffer")
	steps := flags.Int("steps", 0, "of training")
	rate := flags.Float64("rate", 0, "learning rate")
	decay := flags.Float64("decay", -1, "of weights")
	momentum := flags.Float64("sgd", 0, "SGD of this `momentum` in place of AdamW; -decay is the λ of its penalty λ‖w‖²")
	images := flags.Int("images", 0, "of each class of a batch")
	scale := flags.Float64("scale", 0, "of the ratio loss")
	temperature := flags.Float64("temperature", 0, "of the softmax")
	head := flags.String("head", "", "cosine for that in place of the recipe's")
	elastic := flags.Float64("elastic", -1, "pixels")
	dropout := flags.Float64("dropout", -1, "after each pool of Hoffer's network")
	width := flags.Int("residual", 0, "the residual network of this width in place of the recipe's")
	networks := flags.Int("networks", 0, "trained one by one and asked together")
	if err := flags.Parse(arguments); err != nil {
		return r, errors.WithStack(err)
	}
	if _, known := mnistSteps[*name]; !known || flags.NArg() > 0 {
		return r, errors.Errorf("found the recipe %q and %q, expected mnist, mnist-three or mnist-hoffer and nothing else", *name, flags.Args())
	}
	r = mnistRecipe(*name)
	if *networks > 0 {
		r.networks = *networks
	}
	if *steps > 0 {
		r.steps = *steps
	}
	if *rate > 0 {
		r.solver.Rate = *rate
	}
	if *decay >= 0 {
		r.solver.WeightDecay = *decay
	}
	if *momentum > 0 {
		r.solver.Solver, r.solver.Momentum = "sgd", *momentum
		r.solver.L2, r.solver.WeightDecay = r.solver.WeightDecay, 0
	}
	if *images > 0 {
		r.images = *images
	}
	if *scale > 0 {
		r.objective = objectives.BatchRatio{Scale: *scale}
	}
	if *temperature > 0 {
		r.objective = objectives.SupervisedContrastive{Temperature: *temperature}
	}
	if *head == "cosine" {
		r.head = heads.Cosine{}
	}
	if *elastic >= 0 {
		r.augment.Image.Elastic.Displacement = *elastic
	}
	if *dropout >= 0 {
		r.network = func(imaging.Size) backbone.Network { return dropping(backbone.HofferMNIST(), *dropout) }
	}
	if *width > 0 {
		r.network = func(size imaging.Size) backbone.Network { return backbone.Residual(size, *width) }
	}
	return r, nil
}

// validateDigits tries settings of one of these on training images that are held
// out.
func validateDigits(ctx context.Context, s settings) ([]Row, error) {
	r, err := variedDigits(s.arguments)
	if err != nil {
		return nil, err
	}
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, err
	}
	kept, held, err := splits.Train.SplitSamples(float64(heldDigits)/float64(splits.Train.Len()), trialSeed)
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "validation: MNIST, linear classifier, 10,000 training images held out", Method: strings.Join(s.arguments, " "), Validation: true}
	return r.digits(ctx, s, row, kept, held)
}

// dropping is a network with another rate of dropout.
func dropping(network backbone.Network, rate float64) backbone.Network {
	for i, block := range network.Blocks {
		if _, ok := block.(graph.Dropout); ok {
			network.Blocks[i] = graph.Dropout{Rate: rate}
		}
	}
	return network
}

// digits trains, and fits and judges linear classifiers. What is saved has the
// threshold that is best for pairs of training images, since all are trained on.
func (r recipe) digits(ctx context.Context, s settings, row Row, train, test *datasets.Dataset) ([]Row, error) {
	networks, took, err := r.trainAll(ctx, s, train)
	if err != nil {
		return nil, err
	}
	if s.save != "" {
		for _, n := range networks {
			if n.trained.Threshold, err = threshold(n.trained, train.Limit(heldDigits, trialSeed)); err != nil {
				return nil, err
			}
		}
	}
	if err := s.keepAll(networks); err != nil {
		return nil, err
	}
	field, err := newField(networks...)
	if err != nil {
		return nil, err
	}
	row = s.fill(row, row.Method, took)
	if row.Validation {
		for i := range networks[:len(networks)-1] {
			first, err := newField(networks[:i+1]...)
			if err != nil {
				return nil, err
			}
			score, err := linear(train, test, regularisation)(first.trained)
			if err != nil {
				return nil, err
			}
			s.note("%.2f by the first %d of the networks", 100*score.Value, i+1)
		}
		for _, other := range []float64{1e-5, 1e-3, 1e-2, 1e-1} {
			score, err := linear(train, test, other)(field.trained)
			if err != nil {
				return nil, err
			}
			s.note("%.2f by a classifier of λ = %g", 100*score.Value, other)
		}
	}
	return field.measure(row, linear(train, test, regularisation), false)
}

// regularisation λ of linear classifiers.
const regularisation = 1e-4

// linear is the accuracy of a linear classifier.
func linear(train, test *datasets.Dataset, lambda float64) measurement {
	return judged(train, test, func(_ evaluate.Metric, known, asked evaluate.Labelled) (evaluate.Score, error) {
		classifier := evaluate.LinearClassifier{Regularisation: lambda}
		if err := classifier.Fit(known); err != nil {
			return evaluate.Score{}, err
		}
		return classifier.Accuracy(asked)
	})
}
