package likeness

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Views are several looks at each image, which cost as many times as much and
// are often more accurate than one. They are for models whose head is cosine.
type Views struct {
	Affine     bool // the mean over datasets.AffineViews
	Symmetries bool // side by side, over datasets.SymmetryViews; for square images
}

// EmbedViews is EmbedPixels by several views. Each view's embedding is brought
// to length 1, affine views are averaged and brought to length 1 again, and what
// each symmetry gives stands side by side: the cosine of two such embeddings is
// the mean over the symmetries of those of both images in that symmetry.
func (m *Model) EmbedViews(views Views, pixels [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			embeddings, err = nil, errors.Wrap(err, "embed by views")
		}
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	distance, err := heads.DistanceOf(m.Head, m.Weights)
	if err != nil {
		return nil, err
	}
	if form, known := distance.Form(); !known || !form.Normalize || form.Root {
		return nil, errors.Errorf("found the head %s, expected cosine: other distances do not average so", heads.Identifier(m.Head))
	}
	size := m.Preprocessing.Size
	if views.Symmetries && size.Height != size.Width {
		return nil, errors.Errorf("found images of %v, expected square ones for their symmetries", size)
	}
	embeddings = make([][]float32, len(pixels))
	for i, image := range pixels {
		if len(image) != size.Len() {
			return nil, errors.Errorf("image %d has %d values, expected %d for %v", i, len(image), size.Len(), size)
		}
		symmetries := [][]uint8{image}
		if views.Symmetries {
			symmetries = datasets.SymmetryViews(image, size)
		}
		var looks [][]uint8
		for _, symmetry := range symmetries {
			if views.Affine {
				looks = append(looks, datasets.AffineViews(symmetry, size)...)
			} else {
				looks = append(looks, symmetry)
			}
		}
		rows, err := m.embedPixels(looks)
		if err != nil {
			return nil, err
		}
		each := len(looks) / len(symmetries)
		for s := range symmetries {
			embeddings[i] = append(embeddings[i], direction(rows[s*each:(s+1)*each])...)
		}
	}
	return embeddings, nil
}

// direction is the mean of the rows' directions, of length 1; zero rows have
// none.
func direction(rows [][]float32) []float32 {
	sum := make([]float64, len(rows[0]))
	for _, row := range rows {
		factor := inverseLength(row)
		for j, v := range row {
			sum[j] += factor * float64(v)
		}
	}
	mean := make([]float32, len(sum))
	for j, v := range sum {
		mean[j] = float32(v)
	}
	factor := inverseLength(mean)
	for j := range mean {
		mean[j] = float32(factor * sum[j])
	}
	return mean
}

// inverseLength is 0 for a row of zeros.
func inverseLength(row []float32) float64 {
	var squares float64
	for _, v := range row {
		squares += float64(v) * float64(v)
	}
	if squares == 0 {
		return 0
	}
	return 1 / math.Sqrt(squares)
}
