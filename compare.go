package likeness

import (
	"image"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Comparison is how alike two images are.
type Comparison struct {
	// Distance is that of the model's head: the smaller, the more alike.
	Distance float64
	// Calibrated says whether the model has a threshold; Threshold and Same mean
	// something only then.
	Calibrated bool
	Threshold  float64
	Same       bool // Distance ≤ Threshold
}

// Compare embeds two images and measures their distance.
func (m *Model) Compare(a, b image.Image) (Comparison, error) {
	embeddings, err := m.Embed(a, b)
	if err != nil {
		return Comparison{}, errors.Wrap(err, "compare")
	}
	distance, err := m.Head.Distance(m.Weights)
	if err != nil {
		return Comparison{}, errors.Wrap(err, "compare")
	}
	c := Comparison{Distance: distance.Between(embeddings[0], embeddings[1])}
	if m.Threshold != nil {
		c.Calibrated, c.Threshold, c.Same = true, *m.Threshold, c.Distance <= *m.Threshold
	}
	return c, nil
}

// CompareFiles is Compare for two image files.
func (m *Model) CompareFiles(a, b string) (Comparison, error) {
	left, err := imaging.DecodeFile(a)
	if err != nil {
		return Comparison{}, err
	}
	right, err := imaging.DecodeFile(b)
	if err != nil {
		return Comparison{}, err
	}
	return m.Compare(left, right)
}
