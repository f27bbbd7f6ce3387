package likeness

import (
	"image"
	"math"

	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Comparison is the result of comparing two images.
type Comparison struct {
	// Distance is the distance by the model's head; a smaller one means more similar
	// images.
	Distance float64
	// Calibrated reports whether the model has a threshold. If not, Threshold and Same
	// are zero.
	Calibrated bool
	Threshold  float64
	Same       bool // Distance ≤ Threshold
}

// Compare embeds two images and measures their distance. An embedding or a distance that
// is NaN or infinite is an error.
func (m *Model) Compare(a, b image.Image) (c Comparison, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			c, err = Comparison{}, errors.Wrap(err, "compare")
		}
	}()
	embeddings, err := m.Embed(a, b)
	if err != nil {
		return c, err
	}
	distance, err := heads.DistanceOf(m.Head, m.Weights)
	if err != nil {
		return c, err
	}
	for i, embedding := range embeddings {
		if j, found := notFinite(embedding); found {
			return c, errors.Errorf("the embedding of image %d: value %d is %v, expected a finite number: the weights or the preprocessing are extreme", i, j, embedding[j])
		}
	}
	c.Distance = distance.Between(embeddings[0], embeddings[1])
	if c.Distance-c.Distance != 0 {
		return c, errors.Errorf("the head %s finds the distance %v, expected a finite number", heads.Identifier(m.Head), c.Distance)
	}
	if m.Threshold != nil {
		if math.IsNaN(*m.Threshold) {
			return c, errors.New("field Threshold: found NaN, expected a number or nil")
		}
		c.Calibrated, c.Threshold, c.Same = true, *m.Threshold, c.Distance <= *m.Threshold
	}
	return c, nil
}

// CompareFiles is Compare for two image files.
func (m *Model) CompareFiles(a, b string) (Comparison, error) {
	if m == nil {
		return Comparison{}, errors.New("compare images: found no model")
	}
	left, err := m.Preprocessing.DecodeFile(a)
	if err != nil {
		return Comparison{}, err
	}
	right, err := m.Preprocessing.DecodeFile(b)
	if err != nil {
		return Comparison{}, err
	}
	return m.Compare(left, right)
}
