package main

import (
	"context"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
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
			Solver: "adamw", LearningRate: 2e-3, WeightDecay: 1e-4, Average: 0.999,
			Schedule: "cosine", Warmup: 0.5,
		},
	}
}

// bestDigits is the recipe of the best figure on MNIST.
func bestDigits(steps int) recipe {
	r := defaultRecipe(steps)
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

// digits trains, and fits and evaluates linear classifiers. What is saved has the
// threshold that is best for pairs of training images, since all are trained on.
func (r recipe) digits(ctx context.Context, s settings, row Row, train, test *datasets.Dataset) ([]Row, error) {
	var err error
	s.side = train.Size.Width
	if row.Settings, err = r.settings(s); err != nil {
		return nil, err
	}
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
	fields, err := newFields(networks)
	if err != nil {
		return nil, err
	}
	field := joined(fields)
	row = s.fill(row, row.Method, took)
	if row.Validation {
		for i := range fields[:len(fields)-1] {
			score, err := linear(train, test, regularization)(joined(fields[:i+1]).trained)
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
	byViews := r.head.Name() == "cosine" && !row.Validation // other distances have no mean of views
	return field.measure(row, linear(train, test, regularization), byViews)
}

// regularization λ of linear classifiers.
const regularization = 1e-4

// linear is the accuracy of a linear classifier.
func linear(train, test *datasets.Dataset, lambda float64) measurement {
	return scoreOf(train, test, func(_ evaluate.Metric, known, asked evaluate.Labeled) (evaluate.Score, error) {
		classifier := evaluate.LinearClassifier{Regularization: lambda}
		if err := classifier.Fit(known); err != nil {
			return evaluate.Score{}, err
		}
		return classifier.Accuracy(asked)
	})
}

// cifar trains the CIFAR network of Hoffer & Ailon 2015 by their loss on the
// 50,000 images as they are, and measures the accuracy of a linear classifier
// on the embeddings.
func cifar(ctx context.Context, s settings) ([]Row, error) { return cifarRecipe().cifar(ctx, s) }

func cifarRecipe() recipe {
	r := hoffer(20_000)
	r.network = func(imaging.Size) backbone.Network { return backbone.HofferCIFAR() }
	return r
}

func (r recipe) cifar(ctx context.Context, s settings) ([]Row, error) {
	if s.data == "" {
		return nil, errors.New("-data is missing: the folder of CIFAR-10's binary version (data_batch_1.bin to test_batch.bin), from https://www.cs.toronto.edu/~kriz/cifar.html")
	}
	splits, err := datasets.Open(s.data, datasets.Options{})
	if err != nil {
		return nil, err
	}
	size := backbone.HofferCIFAR().Size
	if splits.Train == nil || splits.Test == nil || splits.Train.Size != size {
		return nil, errors.Errorf("%s: expected CIFAR-10's training and test images of %v", s.data, size)
	}
	row := Row{
		Protocol: "CIFAR-10, linear classifier on embeddings of the 50,000 training images, 10,000 test images, without augmentation",
		Method:   "ratio, l2, all triplets of a batch, Hoffer's network", Published: "Hoffer & Ailon 87.1",
	}
	return r.digits(ctx, s, row, splits.Train, splits.Test)
}
