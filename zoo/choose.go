package zoo

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// Photo is the name of the model for photographs.
const Photo = "photo"

// PhotoDuplicates is the largest distance, by the model Photo, at which two photographs are
// probably copies of one, while the model's threshold is for photographs of one kind of
// thing. Of 250 pictures of Caltech-101, at least 96 % of the copies that were compressed
// (JPEG quality 25), cropped by 6 % on each side, brightened by 30 % or rotated by 4° lie
// within it, 90 % of those of half the size, but only 41 % of those in gray; the nearest two
// different pictures are 0.137 apart (benchmarks/results/photographs-duplicates.md).
const PhotoDuplicates = 0.12

// ErrUndecided is the error of Choose for images that are neither photographs nor drawings.
var ErrUndecided = errors.New("the images are neither clearly photographs nor clearly drawings")

// The limits of Choose, for the larger of the shares of pixels that are colored and that are
// halftones (retrieval.Traits).
const (
	maxDrawing = 0.10 // of a drawing
	minPhoto   = 0.20 // of a photograph, more than this
	// agreement is the smallest share of the chosen kind among the images of either kind.
	agreement = 0.8
)

// sampled is the number of images that Choose measures, evenly spaced.
const sampled = 100

// Choice is the model that suits some images, and why.
type Choice struct {
	Name   string // Photo or Default
	Reason string // such as "96 of 100 images examined are photographs"
}

// Choose returns the model for image files: Photo for photographs, Default for drawings of
// dark ink on light paper. It measures up to 100 of the files, evenly spaced. In a
// photograph more than 20 % of the pixels are colored or halftones, in a drawing at most
// 10 %. At least half of the images must be of the chosen kind, and at most a fifth of those
// that are of either kind of the other one; otherwise the error wraps ErrUndecided. Files that
// cannot be read (imaging.Skippable) are passed over; other errors of reading files, and that of
// the context, are returned. The cache, unless it is nil, keeps what was measured, see
// retrieval.MeasureFiles.
func Choose(ctx context.Context, files []string, kept *cache.Cache) (Choice, error) {
	drawings, err := Preprocessing(Default)
	if err != nil {
		return Choice{}, err
	}
	traits, err := retrieval.MeasureFiles(ctx, drawings, files, sampled, kept)
	if err != nil {
		return Choice{}, err
	}
	return ChooseTraits(traits)
}

// ChooseTraits is Choose for images whose traits have been measured.
func ChooseTraits(traits []retrieval.Traits) (Choice, error) {
	var photo, drawing int
	for _, t := range traits {
		switch share := max(t.Colored, t.Halftone); {
		case share > minPhoto:
			photo++
		case share <= maxDrawing:
			drawing++
		}
	}
	enough := func(kind int) bool {
		return kind > 0 && 2*kind >= len(traits) && float64(kind) >= agreement*float64(photo+drawing)
	}
	switch {
	case len(traits) == 0:
		return Choice{}, errors.Wrap(ErrUndecided, "no image could be read")
	case enough(photo):
		return Choice{Photo, fmt.Sprintf("%d of %d images examined are photographs", photo, len(traits))}, nil
	case enough(drawing):
		return Choice{Default, fmt.Sprintf("%d of %d images examined are drawings", drawing, len(traits))}, nil
	}
	return Choice{}, errors.Wrapf(ErrUndecided, "of %d images examined %d are photographs and %d are drawings", len(traits), photo, drawing)
}
