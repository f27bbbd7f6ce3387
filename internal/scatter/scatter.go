// Package scatter draws images at the places of their two-dimensional
// embeddings, as Hadsell, Chopra & LeCun 2006 do.
package scatter

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Side of the map in pixels.
const Side = 1000

// Colours tell up to ten kinds of images apart.
var Colours = []color.RGBA{
	{31, 119, 180, 255}, {255, 127, 14, 255}, {44, 160, 44, 255}, {214, 39, 40, 255}, {148, 103, 189, 255},
	{140, 86, 75, 255}, {227, 119, 194, 255}, {90, 90, 90, 255}, {170, 170, 20, 255}, {23, 190, 207, 255},
}

// Draw draws grey images of the given width, white ink on black, at the places
// of the first two features of their embeddings, each in the colour of its kind.
func Draw(embeddings [][]float32, images [][]uint8, width int, kinds []int) (image.Image, error) {
	if len(images) != len(embeddings) || len(kinds) != len(embeddings) {
		return nil, errors.Errorf("draw a map: found %d embeddings, %d images and %d kinds, expected as many of each", len(embeddings), len(images), len(kinds))
	}
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for i, e := range embeddings {
		if len(e) < 2 || kinds[i] < 0 || kinds[i] >= len(Colours) {
			return nil, errors.Errorf("draw a map: image %d has %d features and kind %d, expected two features and kinds 0 to %d", i, len(e), kinds[i], len(Colours)-1)
		}
		for axis := range low {
			low[axis] = min(low[axis], float64(e[axis]))
			high[axis] = max(high[axis], float64(e[axis]))
		}
	}
	canvas := image.NewRGBA(image.Rect(0, 0, Side, Side))
	for i := range canvas.Pix {
		canvas.Pix[i] = 255
	}
	room := float64(Side - width)
	for i, e := range embeddings {
		var at [2]int
		for axis := range at {
			at[axis] = int(room * (float64(e[axis]) - low[axis]) / max(high[axis]-low[axis], 1e-12))
		}
		stamp(canvas, at[0], at[1], images[i], width, Colours[kinds[i]])
	}
	return canvas, nil
}

// Write draws to a PNG file.
func Write(path string, embeddings [][]float32, images [][]uint8, width int, kinds []int) error {
	picture, err := Draw(embeddings, images, width, kinds)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, picture) })
}

// stamp draws white ink on black as ink of a colour on what is there.
func stamp(canvas *image.RGBA, left, top int, pixels []uint8, width int, ink color.RGBA) {
	for p, value := range pixels {
		if value < 128 {
			continue
		}
		canvas.SetRGBA(left+p%width, top+p/width, ink)
	}
}
