package main

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/atomicfile"
)

// The size of the map in pixels, and how many digits are drawn on it.
const (
	mapSide   = 1000
	mapDigits = 1500
)

// colours tell the ten digits apart.
var colours = []color.RGBA{
	{31, 119, 180, 255}, {255, 127, 14, 255}, {44, 160, 44, 255}, {214, 39, 40, 255}, {148, 103, 189, 255},
	{140, 86, 75, 255}, {227, 119, 194, 255}, {90, 90, 90, 255}, {170, 170, 20, 255}, {23, 190, 207, 255},
}

// drawMap draws images at the places of their embeddings' first two features,
// each class in a colour of its own: the figures of the paper.
func drawMap(path string, embeddings [][]float32, d *datasets.Dataset) error {
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, e := range embeddings {
		for axis := range low {
			low[axis] = min(low[axis], float64(e[axis]))
			high[axis] = max(high[axis], float64(e[axis]))
		}
	}
	canvas := image.NewRGBA(image.Rect(0, 0, mapSide, mapSide))
	for i := range canvas.Pix {
		canvas.Pix[i] = 255
	}
	room := float64(mapSide - d.Size.Width)
	for i, e := range embeddings {
		var at [2]int
		for axis := range at {
			at[axis] = int(room * (float64(e[axis]) - low[axis]) / max(high[axis]-low[axis], 1e-12))
		}
		stamp(canvas, at[0], at[1], d.Images[i], d.Size.Width, colours[d.Labels[i]])
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, canvas) })
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
