package plot

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// ScatterSide is the width and height of a scatter plot in pixels.
const ScatterSide = 1000

// Colors are those of up to ten kinds of images.
var Colors = []color.RGBA{
	{31, 119, 180, 255}, {255, 127, 14, 255}, {44, 160, 44, 255}, {214, 39, 40, 255}, {148, 103, 189, 255},
	{140, 86, 75, 255}, {227, 119, 194, 255}, {90, 90, 90, 255}, {170, 170, 20, 255}, {23, 190, 207, 255},
}

// DrawScatter draws gray images of the given width, white ink on black, at the
// positions of the first two features of their embeddings, each in the color of its
// kind, as Hadsell, Chopra & LeCun 2006 do.
func DrawScatter(embeddings [][]float32, images [][]uint8, width int, kinds []int) (image.Image, error) {
	if len(images) != len(embeddings) || len(kinds) != len(embeddings) {
		return nil, errors.Errorf("draw a scatter plot: found %d embeddings, %d images and %d kinds, expected as many of each", len(embeddings), len(images), len(kinds))
	}
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for i, e := range embeddings {
		if len(e) < 2 || kinds[i] < 0 || kinds[i] >= len(Colors) {
			return nil, errors.Errorf("draw a scatter plot: image %d has %d features and kind %d, expected two features and kinds 0 to %d", i, len(e), kinds[i], len(Colors)-1)
		}
		for axis := range low {
			low[axis] = min(low[axis], float64(e[axis]))
			high[axis] = max(high[axis], float64(e[axis]))
		}
	}
	canvas := image.NewRGBA(image.Rect(0, 0, ScatterSide, ScatterSide))
	for i := range canvas.Pix {
		canvas.Pix[i] = 255
	}
	span := float64(ScatterSide - width)
	for i, e := range embeddings {
		var at [2]int
		for axis := range at {
			at[axis] = int(span * (float64(e[axis]) - low[axis]) / max(high[axis]-low[axis], 1e-12))
		}
		stamp(canvas, at[0], at[1], images[i], width, Colors[kinds[i]])
	}
	return canvas, nil
}

// WriteScatter draws a scatter plot and writes it to a PNG file.
func WriteScatter(path string, embeddings [][]float32, images [][]uint8, width int, kinds []int) error {
	picture, err := DrawScatter(embeddings, images, width, kinds)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, picture) })
}

// stamp draws the white ink of an image in a color over the canvas.
func stamp(canvas *image.RGBA, left, top int, pixels []uint8, width int, ink color.RGBA) {
	for p, value := range pixels {
		if value < 128 {
			continue
		}
		canvas.SetRGBA(left+p%width, top+p/width, ink)
	}
}
