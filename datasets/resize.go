package datasets

import (
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
)

// Resize returns the images brought to another height and width, by area
// averaging where they shrink and bilinearly where they grow. The channels
// must stay the same; Limit first where a few images will do. An image that does not
// have the dataset's size, which Validate reports, has no bytes in the result.
func (d *Dataset) Resize(height, width int) *Dataset {
	if d == nil {
		return nil
	}
	resized := *d
	resized.Size = imaging.Size{Height: height, Width: width, Channels: d.Size.Channels}
	resized.Images = make([][]uint8, d.Len())
	preprocessing := imaging.Preprocessing{Size: resized.Size}
	if d.Size.Validate() != nil || resized.Size.Validate() != nil {
		return &resized
	}
	parallel.For(d.Len(), func(i int) {
		if len(d.Images[i]) == d.Size.Len() {
			resized.Images[i] = preprocessing.Pixels(d.Size.Image(d.Images[i]))
		}
	})
	return &resized
}
