package main

import (
	"context"
	"flag"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// defaultVerification verifies pairs with the recipe of the best figures.
func defaultVerification(ctx context.Context, s settings) ([]Row, error) {
	return defaultRecipe(backgroundSteps).verification(ctx, s, "n-pair, cosine, Conv7, 24 alphabets")
}

// longVerification is the same with the larger network and longer training.
func longVerification(ctx context.Context, s settings) ([]Row, error) {
	return long().verification(ctx, s, "n-pair, cosine, residual, 24 alphabets")
}

// headVerification is defaultVerification with Koch's head and loss in place of cosine
// and n-pair.
func headVerification(ctx context.Context, s settings) ([]Row, error) {
	r := defaultRecipe(backgroundSteps)
	losses["cross-entropy"].change(&r)
	return r.verification(ctx, s, "cross-entropy, weighted l1, Conv7, 24 alphabets")
}

// kochVerification verifies pairs with Koch's network at an eighth of its width, which
// trains in minutes, with Koch's head and loss over all pairs of a batch.
func kochVerification(ctx context.Context, s settings) ([]Row, error) {
	s.side = backbone.Koch().Size.Width
	r := defaultRecipe(3200)
	r.network = func(imaging.Size) backbone.Network { return backbone.Koch().Narrow(8) }
	r.head, r.objective = heads.WeightedL1{Signed: true}, objectives.BatchCrossEntropy{Balanced: true}
	r.augment = datasets.Augmentation{Image: datasets.Distortion{Affine: distortion(s.side, 1)}}
	r.solver.LearningRate = 1e-3
	flags := flag.NewFlagSet("koch-verification", flag.ContinueOnError)
	flags.IntVar(&r.steps, "steps", r.steps, "number of training `steps`")
	flags.Float64Var(&r.solver.LearningRate, "rate", r.solver.LearningRate, "learning rate")
	flags.BoolVar(&r.grouped, "grouped", r.grouped, "take all classes of a batch from one alphabet")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, errors.WithStack(err)
	}
	return r.verification(ctx, s, "cross-entropy, weighted l1, Koch's network at an eighth of its widths, 24 alphabets")
}

// threshold returns the best distance threshold for balanced pairs of the images.
func threshold(model *likeness.Model, images *datasets.Dataset) (*float64, error) {
	c, err := plain(model)
	if err != nil {
		return nil, err
	}
	pairs, err := pairsOf(images, 10_000, false)
	if err != nil {
		return nil, err
	}
	known, err := verificationOf(c, images, pairs)
	if err != nil {
		return nil, err
	}
	best := known.BestThreshold()
	return &best, nil
}

// verification trains on 24 background alphabets, chooses a threshold on the other six and
// verifies pairs of the evaluation alphabets with it.
func (r recipe) verification(ctx context.Context, s settings, method string) ([]Row, error) {
	splits, _, err := s.open("background")
	if err != nil {
		return nil, err
	}
	kept, held, err := holdOut(splits.Train, validationAlphabets)
	if err != nil {
		return nil, err
	}
	network, took, err := r.train(ctx, s, kept)
	if err != nil {
		return nil, err
	}
	if network.trained.Threshold, err = threshold(network.trained, held); err != nil {
		return nil, err
	}
	if err := s.keep(network.trained); err != nil {
		return nil, err
	}
	field, err := newField(network)
	if err != nil {
		return nil, err
	}
	var rows []Row
	settings, err := r.settings(s)
	if err != nil {
		return nil, err
	}
	for _, within := range []bool{false, true} {
		row := Row{Settings: settings, Protocol: "10,000 balanced pairs of the evaluation alphabets, negatives from all alphabets, threshold from six background alphabets", Published: "Koch 93.42"}
		if within {
			row.Protocol = "10,000 balanced pairs of the evaluation alphabets, negatives of the same alphabet, threshold from six background alphabets"
		}
		known, err := pairsOf(held, 10_000, within)
		if err != nil {
			return nil, err
		}
		asked, err := pairsOf(splits.Test, 10_000, within)
		if err != nil {
			return nil, err
		}
		more, err := field.measure(s.fill(row, method, took), verify(held, splits.Test, known, asked), r.head.Name() == "cosine")
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
