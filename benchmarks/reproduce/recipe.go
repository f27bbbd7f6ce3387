package main

import (
	"context"
	"math"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// side of the images that networks are given unless said otherwise, and how
// they are cut.
const side = 28

var crop = imaging.Crop{Margin: 1.15, MinSide: 40. / 105}

// recipe is how a network for one-shot recognition is trained. Its settings
// were chosen on background alphabets alone: six of them held out, twenty-way
// one-shot episodes within each.
type recipe struct {
	network    func(imaging.Size) backbone.Network
	head       heads.Head
	objective  objectives.BatchObjective
	classes    int // of a batch, from one alphabet
	images     int // of each class
	steps      int
	solver     solver.Config
	grouped    bool            // classes of a batch come from one alphabet
	symmetries bool            // of a class are classes of their own
	networks   int             // trained one by one and asked together; 0 for one
	start      *likeness.Model // whose weights training begins with; nil for drawn ones
	augment    datasets.Augmentation
}

// usual is the recipe of the best figures: all negatives of a batch from one
// alphabet at once, by cosine.
func usual(steps int) recipe {
	return recipe{
		network: func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 32) },
		head:    heads.Cosine{}, objective: objectives.NPair{Temperature: 0.035},
		classes: 32, images: 4, steps: steps, grouped: true, symmetries: true,
		augment: datasets.Augmentation{Image: datasets.Distortion{Affine: distortion(side, 1)}},
		solver: solver.Config{
			Solver: "adamw", LearningRate: 3e-3, WeightDecay: 1e-4, Average: 0.99,
			Schedule: "cosine", Warmup: 0.5, // of ten epochs
		},
	}
}

// distortion of every image of a batch, of which strength 1 is the usual one; the
// translation is in pixels of the side.
func distortion(side int, strength float64) datasets.Affine {
	scale := math.Pow(1.2, strength)
	return datasets.Affine{
		Rotation: 10 * strength, Shear: 0.2 * strength, ScaleMin: 1 / scale, ScaleMax: scale,
		Translation: 0.16 * strength * float64(side) / 2, Probability: 1,
	}
}

// outcome is a trained network and the same one before, and by which views it may
// be asked, too.
type outcome struct {
	trained, untrained *likeness.Model
	views              likeness.Views
}

// trainAll trains the recipe's networks one after the other, each from a seed of
// its own.
func (r recipe) trainAll(ctx context.Context, s settings, images *datasets.Dataset) (all []outcome, took time.Duration, err error) {
	own := s
	for i := range max(1, r.networks) {
		if i > 0 {
			own.seed = random.Seed(s.seed, "network", i)
		}
		one, minutes, err := r.train(ctx, own, images)
		if err != nil {
			return nil, 0, err
		}
		all, took = append(all, one), took+minutes
	}
	return all, took, nil
}

// train trains one network on images.
func (r recipe) train(ctx context.Context, s settings, images *datasets.Dataset) (o outcome, took time.Duration, err error) {
	preprocessing := images.Preprocessing()
	o.views = likeness.Views{Affine: true, Symmetries: r.symmetries}
	if r.symmetries {
		if images, err = images.Symmetries(); err != nil {
			return o, 0, err
		}
	}
	network := r.network(preprocessing.Size)
	if o.untrained, err = likeness.New(network, r.head, preprocessing, s.seed); err != nil {
		return o, 0, err
	}
	if o.trained, err = likeness.New(network, r.head, preprocessing, s.seed); err != nil {
		return o, 0, err
	}
	if r.start != nil {
		if err = o.trained.Weights.CopyFrom(r.start.Weights); err != nil {
			return o, 0, err
		}
	}
	if r.steps == 0 {
		return o, 0, nil
	}
	draw := trainer.ForGroups
	if !r.grouped {
		draw = func(o objectives.BatchObjective, d *datasets.Dataset, batch, perClass int) (*trainer.Examples, error) {
			return trainer.For(o, d, batch, perClass)
		}
	}
	examples, err := draw(r.objective, images, r.classes*r.images, r.images)
	if err != nil {
		return o, 0, err
	}
	if s.steps > 0 {
		r.steps = s.steps
	}
	if s.quick {
		r.steps /= 10
	}
	const epochs = 10
	training := trainer.Trainer{
		Model: o.trained, Objective: r.objective, Examples: examples, Solver: r.solver,
		Epochs: epochs, EpochSteps: max(1, r.steps/epochs), Seed: s.seed, Augment: &r.augment,
		OnEpoch: func(e trainer.Epoch) {
			s.note("%3d %% trained: loss %.4f, %.0f images/s", 100*e.Epoch/epochs, e.Cost, e.ImagesPerSecond)
		},
	}
	result, err := training.Run(ctx)
	if err == nil && result.Stopped != "" {
		err = ctx.Err()
	}
	return o, time.Duration(result.Seconds * float64(time.Second)), err
}
