package run

import (
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/tensorboard"
	"github.com/likeness-go/likeness/trainer"
)

// eventWriter writes the progress of a training for TensorBoard; nil writes nothing.
type eventWriter struct {
	events *tensorboard.Events
}

// writeEvents begins an event file in the run folder.
func (f Folder) writeEvents() (*eventWriter, error) {
	events, err := tensorboard.Create(f.TensorBoard(), time.Now)
	if err != nil {
		return nil, err
	}
	return &eventWriter{events}, nil
}

func (w *eventWriter) step(s trainer.Step) error {
	return w.scalars(s.Number, []scalar{{"step/loss", s.Loss}})
}

func (w *eventWriter) epoch(e trainer.Epoch) error {
	scalars := []scalar{
		{"epoch/loss", e.Loss}, {"epoch/rate", e.LearningRate}, {"epoch/gradient norm", e.GradientNorm},
		{"epoch/images per second", e.ImagesPerSecond},
	}
	if e.Validation != nil {
		scalars = append(scalars, scalar{"epoch/validation", *e.Validation})
	}
	return w.scalars(e.Epoch, scalars)
}

type scalar struct {
	tag   string
	value float64
}

func (w *eventWriter) scalars(step int, scalars []scalar) error {
	if w == nil {
		return nil
	}
	for _, s := range scalars {
		if err := w.events.Scalar(step, s.tag, s.value); err != nil {
			return err
		}
	}
	return nil
}

func (w *eventWriter) close() error {
	if w == nil {
		return nil
	}
	return w.events.Close()
}

// maxProjected is the maximum number of images in the embedding projector.
const maxProjected = 1000

// writeProjection writes embeddings of images for TensorBoard's projector.
func (f Folder) writeProjection(model *likeness.Model, images *datasets.Dataset, seed uint64) error {
	images, err := images.Limit(maxProjected, random.Seed(seed, "projector")).InMemory()
	if err != nil {
		return err
	}
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
	return projection.Write(f.TensorBoard())
}
