package trainer

import (
	"cmp"
	"context"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// Recipe names the parts of a training. Zero values are the usual choices.
type Recipe struct {
	Size      imaging.Size // that Folder brings images to; the backbone's own, or 28×28×1
	Backbone  string       // one of backbone.Names; "conv4"
	Objective string       // one of objectives.Names; "contrastive"
	Head      string       // one of heads.Names; "l2"
	Batch     int          // pairs, triplets or, in batch, images in a step; 64
	Epochs    int          // 5
	Rate      float64      // of Adam, with a cosine to zero; 1e-3
	Seed      uint64
}

// New sets up the training of a recipe on labelled images, all of which are
// trained on. Its fields may be changed before Run.
func New(images *datasets.Dataset, recipe Recipe) (*Trainer, error) {
	training, err := recipe.orUsual().training(images)
	return training, errors.Wrap(err, "set up training")
}

func (r Recipe) training(images *datasets.Dataset) (*Trainer, error) {
	if images == nil {
		return nil, errors.New("found no images")
	}
	network, err := backbone.Named(r.Backbone, backbone.Options{Size: images.Size, BatchNorm: r.Backbone == "conv4"})
	if err != nil {
		return nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, err
	}
	objective, head, err := objectives.Named(r.Objective, r.Head, objectives.Options{Features: shape.Features})
	if err != nil {
		return nil, err
	}
	examples, err := For(objective, images, r.Batch, 0)
	if err != nil {
		return nil, err
	}
	model, err := likeness.New(network, head, images.Preprocessing(), r.Seed)
	if err != nil {
		return nil, err
	}
	return &Trainer{
		Model: model, Objective: objective, Examples: examples,
		Solver: solver.Config{Solver: "adam", LearningRate: r.Rate, Schedule: "cosine"},
		Epochs: r.Epochs, Seed: r.Seed,
	}, nil
}

// Folder trains a model on the images of a folder that datasets.Open knows,
// such as one of class folders.
func Folder(ctx context.Context, path string, recipe Recipe) (*likeness.Model, error) {
	splits, err := datasets.Open(path, datasets.Options{Size: recipe.orUsual().Size})
	if err != nil {
		return nil, err
	}
	if splits.Train == nil {
		return nil, errors.Errorf("%s: found no labelled training images", path)
	}
	training, err := New(splits.Train, recipe)
	if err != nil {
		return nil, err
	}
	if _, err := training.Run(ctx); err != nil {
		return nil, errors.WithMessage(err, path)
	}
	return training.Model, nil
}

func (r Recipe) orUsual() Recipe {
	r.Backbone = cmp.Or(r.Backbone, "conv4")
	r.Objective = cmp.Or(r.Objective, "contrastive")
	r.Head = cmp.Or(r.Head, "l2")
	r.Batch = cmp.Or(r.Batch, 64)
	r.Epochs = cmp.Or(r.Epochs, 5)
	r.Rate = cmp.Or(r.Rate, 1e-3)
	if usual, err := backbone.Defaults(r.Backbone); err == nil {
		r.Size = cmp.Or(r.Size, usual.Size)
	}
	r.Size = cmp.Or(r.Size, imaging.Size{Height: 28, Width: 28, Channels: 1})
	return r
}
