package load

import (
	"bytes"
	"image"
	"image/color"
	"image/png"

	"github.com/likeness-go/likeness/internal/random"
)

// side is that of a drawing in pixels, as of Omniglot's.
const side = 105

// drawing is the PNG of a few strokes of black ink on white paper, a function of its
// number alone.
func drawing(number int) ([]byte, error) {
	r := random.New(1, "drawing", number)
	paper := image.NewGray(image.Rect(0, 0, side, side))
	for i := range paper.Pix {
		paper.Pix[i] = 255
	}
	x, y := 15+r.Float64()*75, 15+r.Float64()*75
	for range 5 {
		toX, toY := 15+r.Float64()*75, 15+r.Float64()*75
		const steps = 2 * side // no stroke is longer than the diagonal
		for i := range steps {
			part := float64(i) / steps
			dot(paper, int(x+part*(toX-x)), int(y+part*(toY-y)))
		}
		x, y = toX, toY
	}
	var file bytes.Buffer
	err := png.Encode(&file, paper)
	return file.Bytes(), err
}

// dot is a pen's, of three pixels.
func dot(paper *image.Gray, x, y int) {
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			paper.SetGray(x+dx, y+dy, color.Gray{})
		}
	}
}
