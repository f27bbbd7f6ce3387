package likeness

import (
	"math"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// TTA is test-time augmentation: several augmented versions of each image are embedded.
// The embeddings are often more accurate, and the time grows in proportion to the number
// of versions. The head of the model must be cosine.
type TTA struct {
	Affine     bool // average over imaging.AffineAugmentations
	Symmetries bool // concatenate over imaging.SymmetryAugmentations; for square images
}

// EmbedTTA is EmbedPixels with test-time augmentation. The embedding of each
// version is normalized to length 1; those of affine versions are averaged and
// normalized again; those of symmetries are concatenated. The cosine of two such
// embeddings is then the mean over the symmetries of the cosines of both images in
// that symmetry.
func (m *Model) EmbedTTA(tta TTA, pixels [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			embeddings, err = nil, errors.Wrap(err, "embed with test-time augmentation")
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
	if tta.Symmetries && size.Height != size.Width {
		return nil, errors.Errorf("found images of %v, expected square ones for their symmetries", size)
	}
	embeddings = make([][]float32, len(pixels))
	for i, image := range pixels {
		if len(image) != size.Len() {
			return nil, errors.Errorf("image %d has %d values, expected %d for %v", i, len(image), size.Len(), size)
		}
		symmetries := [][]uint8{image}
		if tta.Symmetries {
			symmetries = imaging.SymmetryAugmentations(image, size)
		}
		var versions [][]uint8
		for _, symmetry := range symmetries {
			if tta.Affine {
				versions = append(versions, imaging.AffineAugmentations(symmetry, size)...)
			} else {
				versions = append(versions, symmetry)
			}
		}
		rows, err := m.embedPixels(versions)
		if err != nil {
			return nil, err
		}
		each := len(versions) / len(symmetries)
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
