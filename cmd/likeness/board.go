package main

import (
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/tensorboard"
	"github.com/likeness-go/likeness/trainer"
)

// board is what TensorBoard is shown of a training; nil shows nothing.
type board struct {
	events *tensorboard.Events
}

// openBoard begins an event file in the run folder.
func (f runFolder) openBoard() (*board, error) {
	events, err := tensorboard.Create(f.board(), time.Now)
	if err != nil {
		return nil, err
	}
	return &board{events}, nil
}

func (b *board) step(s trainer.Step) error {
	return b.show(s.Number, []scalar{{"step/loss", s.Cost}})
}

func (b *board) epoch(e trainer.Epoch) error {
	scalars := []scalar{
		{"epoch/loss", e.Cost}, {"epoch/rate", e.Rate}, {"epoch/gradient norm", e.GradientNorm},
		{"epoch/images per second", e.ImagesPerSecond},
	}
	if e.Validation != nil {
		scalars = append(scalars, scalar{"epoch/validation", *e.Validation})
	}
	return b.show(e.Epoch, scalars)
}

type scalar struct {
	tag   string
	value float64
}

func (b *board) show(step int, scalars []scalar) error {
	if b == nil {
		return nil
	}
	for _, s := range scalars {
		if err := b.events.Scalar(step, s.tag, s.value); err != nil {
			return err
		}
	}
	return nil
}

// projected is how many images the projector is shown at most.
const projected = 1000

// project shows the embeddings of images.
func (f runFolder) project(model *likeness.Model, images *datasets.Dataset, seed uint64) error {
	images = images.Limit(projected, random.Seed(seed, "projector"))
	embeddings, err := model.EmbedPixels(images.Images)
	if err != nil {
		return err
	}
	projection := tensorboard.Projection{Embeddings: embeddings}
	for _, pixels := range images.Images {
		projection.Images = append(projection.Images, images.Size.Image(pixels))
	}
	for _, label := range images.Labels {
		projection.Classes = append(projection.Classes, images.Classes[label])
	}
	return projection.Write(f.board())
}

func (b *board) close() error {
	if b == nil {
		return nil
	}
	return b.events.Close()
}
