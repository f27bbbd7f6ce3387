package main

import (
	"context"
	"path/filepath"
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
	demand    float64
	objective objectives.Objective
	batch     int // pairs, or images where all pairs of them are compared
	perClass  int
	grouped   bool // the classes of a batch of images come from one alphabet
}

// kochRuns are their recipe as written, and the same with all pairs of each
// batch: 64 images give 2,016.
var kochRuns = []kochRun{
	{"koch", "Koch's network and recipe, single pairs", 0, objectives.CrossEntropy{}, 128, 0, false},
	{"koch-all-pairs", "Koch's network, all pairs of a batch", 85, objectives.BatchCrossEntropy{Balanced: true}, 64, 4, true},
}

// train runs for so many minutes at most. Now and then it measures, and the curve is
// written anew.
func (k kochRun) train(ctx context.Context, s settings) ([]Row, error) {
	choice, err := k.parse(s.arguments)
	if err != nil {
		return nil, err
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
	examples, err := k.examples(kept)
	if err != nil {
		return nil, err
	}
	limited, stop := context.WithCancel(ctx)
	defer stop()
	var curve []Point
	var failed error
	seconds, loss, since, images := 0., 0., 0, 0 // since: epochs that loss is the sum of
	training := trainer.Trainer{
		Model: model, Objective: k.objective, Examples: examples, Solver: choice.solver(),
		Epochs: 1 << 20, EpochSteps: choice.epoch, Seed: s.seed,
		Augment: datasets.EachImage(datasets.KochAffine()),
		OnStep:  func(step trainer.Step) { images += step.Images },
		OnEpoch: func(e trainer.Epoch) {
			seconds += e.Seconds
			loss, since = loss+e.Cost, since+1
			last := seconds > 60*choice.minutes
			if e.Epoch%choice.every != 0 && !last {
				return
			}
			point := Point{Steps: e.Epoch * choice.epoch, Images: images, Minutes: seconds / 60, Loss: loss / float64(since)}
			loss, since = 0, 0
			if failed = point.measure(model, asked, lake(runs)); failed == nil {
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
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // the curve is kept, but there is no row of a run that was cut short
	}
	field, err := newField(outcome{model, untrained})
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "Lake's 20 runs, 105×105 pixels, 24 background alphabets", Published: "Koch 92.0", Demand: k.demand}
	return field.measure(s.fill(row, k.described(), time.Duration(seconds*float64(time.Second))), lake(runs), false)
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
