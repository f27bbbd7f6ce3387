package main

import (
	"context"
	"flag"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

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
		r.solver.LearningRate = *rate
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
