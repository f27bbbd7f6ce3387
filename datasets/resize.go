package datasets

import (
	"image"

	"github.com/likeness-go/likeness/imaging"
)

// Resize returns the images brought to another height and width, by area
// averaging where they shrink and bilinearly where they grow. The channels
// must stay the same; Limit first where a few images will do.
func (d *Dataset) Resize(height, width int) *Dataset {
	resized := *d
	resized.Size = imaging.Size{Height: height, Width: width, Channels: d.Size.Channels}
	resized.Images = make([][]uint8, d.Len())
	preprocessing := imaging.Preprocessing{Size: resized.Size}
	parallel(d.Len(), func(i int) error {
		resized.Images[i] = preprocessing.Pixels(asImage(d.Images[i], d.Size))
		return nil
	})
	return &resized
}

// asImage is the picture of (height, width, channels) bytes.
func asImage(pixels []uint8, size imaging.Size) image.Image {
	bounds := image.Rect(0, 0, size.Width, size.Height)
	if size.Channels == 1 {
		return &image.Gray{Pix: pixels, Stride: size.Width, Rect: bounds}
	}
	img := image.NewNRGBA(bounds)
	for i := range size.Height * size.Width {
		copy(img.Pix[4*i:], pixels[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}
