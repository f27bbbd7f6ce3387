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
	err    error // the first
}

// openBoard begins an event file in the run folder.
func (f runFolder) openBoard() (*board, error) {
	events, err := tensorboard.Create(f.board(), time.Now)
	if err != nil {
		return nil, err
	}
	return &board{events: events}, nil
}

func (b *board) step(s trainer.Step) {
	b.scalar(s.Number, "step/loss", s.Cost)
}

func (b *board) epoch(e trainer.Epoch) {
	b.scalar(e.Epoch, "epoch/loss", e.Cost)
	b.scalar(e.Epoch, "epoch/rate", e.Rate)
	b.scalar(e.Epoch, "epoch/gradient norm", e.GradientNorm)
	b.scalar(e.Epoch, "epoch/images per second", e.ImagesPerSecond)
	if e.Validation != nil {
		b.scalar(e.Epoch, "epoch/validation", *e.Validation)
	}
}

func (b *board) scalar(step int, tag string, value float64) {
	if b != nil && b.err == nil {
		b.err = b.events.Scalar(step, tag, value)
	}
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
	projection := tensorboard.Projection{Embeddings: embeddings, Images: images.Images, Size: images.Size}
	for _, label := range images.Labels {
		projection.Classes = append(projection.Classes, images.Classes[label])
	}
	return projection.Write(f.board())
}

// close returns the first error there was.
func (b *board) close() error {
	if b == nil {
		return nil
	}
	if err := b.events.Close(); b.err == nil {
		b.err = err
	}
	return b.err
}
