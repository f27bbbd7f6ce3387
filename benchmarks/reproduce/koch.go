package main

import (
	"context"
	"flag"
	"path/filepath"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// kochRun is a training of the network of Koch, Zemel & Salakhutdinov 2015.
type kochRun struct {
	name      string
	method    string
	demand    float64
	objective objectives.Objective
	batch     int // pairs, or images where all pairs of them are compared
	perClass  int
}

// kochRuns are their recipe as written, and the same with all pairs of each
// batch: the 256 images of 128 pairs give 32,640 pairs.
var kochRuns = []kochRun{
	{"koch", "Koch's network and recipe, single pairs", 0, objectives.CrossEntropy{}, 128, 0},
	{"koch-all-pairs", "Koch's network, all pairs of a batch", 85, objectives.BatchCrossEntropy{Balanced: true}, 256, 8},
}

// train runs for so many minutes at most. Every fifty steps it measures, and the
// curve is written anew.
func (k kochRun) train(ctx context.Context, s settings) ([]Row, error) {
	flags := flag.NewFlagSet(k.name, flag.ContinueOnError)
	minutes := flags.Float64("minutes", 120, "of training, at most")
	rate := flags.Float64("rate", solver.Koch().Rate, "learning rate at the start")
	every := flags.Int("every", 50, "steps between two points of the curve")
	adam := flags.Bool("adam", false, "AdamW in place of SGD with momentum and the penalty")
	grouped := flags.Bool("grouped", false, "classes of a batch come from one alphabet, where there are batches")
	linear := flags.Float64("linear-penalty", kochPenalty, "of the fully connected layer's weights")
	scale := flags.Float64("linear-rate", 1, "of the fully connected layer, as a multiple of the others'")
	flags.IntVar(&k.batch, "batch", k.batch, "pairs, or images where all pairs of them are compared")
	flags.IntVar(&k.perClass, "per-class", k.perClass, "images of each class of a batch of images")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, errors.WithStack(err)
	}
	size := backbone.Koch().Size
	splits, err := datasets.Open(s.data, datasets.Options{Size: size, Background: "background"})
	if err != nil {
		return nil, err
	}
	runs, err := datasets.OpenRuns(filepath.Join(s.data, "all_runs.zip"), datasets.Options{Size: size})
	if err != nil {
		return nil, err
	}
	kept, held, err := holdOut(splits.Train)
	if err != nil {
		return nil, err
	}
	asked, err := episodes(held.Limit(kochValidation, trialSeed), 20, 1, 1, 320, true)
	if err != nil {
		return nil, err
	}
	head := heads.WeightedL1{Signed: true}
	untrained, err := likeness.New(backbone.Koch(), head, kept.Preprocessing(), s.seed)
	if err != nil {
		return nil, err
	}
	model, err := likeness.New(backbone.Koch(), head, kept.Preprocessing(), s.seed)
	if err != nil {
		return nil, err
	}
	examples, err := trainer.For(k.objective, kept, k.batch, k.perClass)
	if batch, ok := k.objective.(objectives.BatchObjective); ok && *grouped {
		examples, err = trainer.ForGroups(batch, kept, k.batch, k.perClass)
	}
	if err != nil {
		return nil, err
	}
	config, penalties := solver.Koch(), []objectives.L2{{Pattern: kochLinear, Lambda: *linear}, {Pattern: "*", Lambda: kochPenalty}}
	config.L2 = 0 // the penalty is a term of the cost
	if *adam {
		config, penalties = solver.Config{Solver: "adamw", WeightDecay: kochPenalty}, nil
	}
	config.Rate, config.Layers = *rate, []solver.Layer{{Name: "linear1", RateScale: scale}}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var curve []Point
	var failed error
	seconds, images := 0., 0
	training := trainer.Trainer{
		Model: model, Objective: k.objective, Examples: examples, Solver: config,
		Penalties: penalties, Epochs: 1 << 20, EpochSteps: *every, Seed: s.seed,
		Augment: datasets.EachImage(datasets.KochAffine()),
		OnStep:  func(step trainer.Step) { images += step.Images },
		OnEpoch: func(e trainer.Epoch) {
			seconds += e.Seconds
			point := Point{Steps: e.Epoch * *every, Images: images, Minutes: seconds / 60, Loss: e.Cost}
			if penalties != nil {
				point.Penalty = penaltyOf(model.Weights, *linear)
			}
			if failed = point.measure(model, asked, lake(runs)); failed == nil {
				curve = append(curve, point)
				s.note("%6.1f min, %d images: loss %.4f without the penalty, validation %.2f, Lake's runs %.2f", point.Minutes, point.Images, point.Loss-point.Penalty, point.Validation, point.Runs)
				failed = writeCurve(s.out, k.name, curve)
			}
			if failed != nil || seconds > 60**minutes {
				stop()
			}
		},
	}
	if _, err := training.Run(ctx); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	field, err := newField(model, untrained)
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "Lake's 20 runs, 105×105 pixels, 24 background alphabets", Published: "Koch 92.0", Demand: k.demand}
	return field.measure(s.fill(row, k.method, time.Duration(seconds*float64(time.Second))), lake(runs), false)
}

const (
	kochPenalty    = 1e-4 // of the kernels of every layer; the paper has one for each, in [0, 0.1]
	kochLinear     = "linear1.weight"
	kochValidation = 1000 // images to draw validation episodes from
)

// penaltyOf weights is the term of the cost that knows no images.
func penaltyOf(weights *graph.Weights, linear float64) float64 {
	penalty := 0.
	for _, w := range weights.All() {
		lambda := kochPenalty
		if w.Name == kochLinear {
			lambda = linear
		}
		if w.Role == graph.Kernel {
			penalty += lambda * sumOfSquares(w.Value.Data().([]float32))
		}
	}
	return penalty
}

func sumOfSquares(values []float32) (sum float64) {
	for _, value := range values {
		sum += float64(value) * float64(value)
	}
	return sum
}

// measure fills in the accuracies.
func (p *Point) measure(model *likeness.Model, asked, runs measurement) error {
	c, err := plain(model)
	if err != nil {
		return err
	}
	validation, err := asked(c)
	if err != nil {
		return err
	}
	official, err := runs(c)
	p.Validation, p.Runs = 100*validation.Value, 100*official.Value
	return err
}
