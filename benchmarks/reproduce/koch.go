package main

import (
	"context"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
)

// kochRun is a training of the network of Koch, Zemel & Salakhutdinov 2015.
type kochRun struct {
	name      string
	method    string
	objective objectives.Objective
	batch     int // pairs, or images where all pairs of them are compared
	perClass  int
	grouped   bool    // the classes of a batch of images come from one alphabet
	clip      float64 // greatest norm over all gradients; 0 for no limit, as in the paper
	epoch     int     // steps: fewer where a step looks at more images
	ramp      int     // epochs, in which the momenta rise
}

// kochRuns are their recipe as written, and the same with all pairs of each
// batch: 64 images give 2,016.
var kochRuns = []kochRun{
	{"koch", "Koch's network and recipe, single pairs", objectives.CrossEntropy{}, 128, 0, false, 0, 50, 12},
	{"koch-all-pairs", "Koch's network, all pairs of a batch", objectives.BatchCrossEntropy{Balanced: true}, 64, 4, true, 1, 150, 10},
}

// train runs for so many minutes and measures.
func (k kochRun) train(ctx context.Context, s settings) ([]Row, error) {
	choice, err := k.parse(s.arguments)
	if err != nil {
		return nil, err
	}
	splits, runs, err := s.openAs(datasets.Options{Size: backbone.Koch().Size, Background: "background"})
	if err != nil {
		return nil, err
	}
	kept, held, err := holdOut(splits.Train, validationAlphabets)
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
	examples, err := k.examples(kept)
	if err != nil {
		return nil, err
	}
	seconds, err := k.learn(ctx, s, choice, model, examples, asked, lake(runs, kept.Size))
	if err != nil {
		return nil, err
	}
	field, err := newField(outcome{trained: model, untrained: untrained})
	if err != nil {
		return nil, err
	}
	settings, err := k.settings(choice)
	if err != nil {
		return nil, err
	}
	row := Row{Settings: settings, Protocol: "Lake's 20 runs, 105×105 pixels, 24 background alphabets", Published: "Koch 92.0"}
	return field.measure(s.fill(row, k.described(), time.Duration(seconds*float64(time.Second))), lake(runs, kept.Size), false)
}

// learn trains for the choice's minutes, and leaves a curve of what asked and runs
// measure on the way; its last point is where the training ends.
func (k kochRun) learn(ctx context.Context, s settings, c kochChoice, model *likeness.Model, examples *trainer.Examples, asked, runs measurement) (seconds float64, err error) {
	limited, stop := context.WithCancel(ctx)
	defer stop()
	var curve []Point
	var failed error
	loss, since, images := 0., 0, 0 // since: epochs that loss is the sum of
	training := trainer.Trainer{
		Model: model, Objective: k.objective, Examples: examples, Solver: c.solver(),
		Epochs: 1 << 20, EpochSteps: c.epoch, Seed: s.seed,
		Augment: datasets.EachImage(datasets.KochAffine()),
		OnStep:  func(step trainer.Step) { images += step.Images },
		OnEpoch: func(e trainer.Epoch) {
			seconds += e.Seconds
			loss, since = loss+e.Cost, since+1
			last := seconds > 60*c.minutes
			if e.Epoch%c.every != 0 && !last {
				return
			}
			point := Point{Steps: e.Epoch * c.epoch, Images: images, Minutes: seconds / 60, Loss: loss / float64(since)}
			loss, since = 0, 0
			if failed = point.measure(model, asked, runs); failed == nil {
				curve = append(curve, point)
				s.note("%6.1f min, %d images: loss %.4f, validation %.2f, Lake's runs %.2f", point.Minutes, point.Images, point.Loss, point.Validation, point.Runs)
				failed = writeCurve(s.out, k.name, curve)
			}
			if failed != nil || last {
				stop()
			}
		},
	}
	if _, err := training.Run(limited); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return seconds, ctx.Err() // a run that was cut short keeps its curve, but has no row
}

// kochValidation images are drawn validation episodes from.
const kochValidation = 1000

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
