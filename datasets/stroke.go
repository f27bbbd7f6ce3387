package datasets

import (
	"math/rand/v2"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Stroke makes the strokes of a drawing thicker or thinner at random, as another
// pen would. Strokes are bright on a dark ground, as the images of drawings are in
// a dataset. By how much is drawn uniformly from Min to Max, in pixels on each side
// of a stroke; below zero they become thinner, and one of up to twice as many
// pixels is gone. The zero value changes nothing.
type Stroke struct {
	Min         float64 `toml:"min"`
	Max         float64 `toml:"max"`
	Probability float64 `toml:"probability"` // of taking part
}

// mostGrowth of strokes, in pixels: the work goes with it.
const mostGrowth = 64

// Validate reports a field outside its range.
func (s Stroke) Validate() error {
	if err := within("stroke",
		bound{"min", s.Min, -mostGrowth, mostGrowth, "-64 to 64 pixels"},
		bound{"max", s.Max, -mostGrowth, mostGrowth, "-64 to 64 pixels"},
		bound{"probability", s.Probability, 0, 1, "0 to 1"},
	); err != nil {
		return err
	}
	if s.Min > s.Max {
		return errors.Errorf("stroke: min is %v and max %v, expected them in this order", s.Min, s.Max)
	}
	return nil
}

// draw draws by how many pixels strokes grow on each side; 0 when it takes no part.
func (s Stroke) draw(r *rand.Rand) float64 {
	if s.Min == 0 && s.Max == 0 || r.Float64() >= s.Probability {
		return 0
	}
	return s.Min + (s.Max-s.Min)*r.Float64()
}

// grow makes the strokes of an image thicker by so many pixels on each side, or
// thinner: each pixel becomes the brightest, or the darkest, of itself and its four
// neighbours, once for each whole pixel of growth (dilation and erosion by a cross),
// and goes that way in part for what is left.
func grow(image []uint8, size imaging.Size, growth float64) {
	if growth == 0 {
		return
	}
	extreme := func(a, b uint8) uint8 { return max(a, b) }
	if growth < 0 {
		extreme, growth = func(a, b uint8) uint8 { return min(a, b) }, -growth
	}
	row := size.Width * size.Channels
	before := make([]uint8, len(image))
	for ; growth > 0; growth-- {
		copy(before, image)
		part := min(growth, 1)
		for i, pixel := range before {
			most := pixel
			if i >= row {
				most = extreme(most, before[i-row])
			}
			if i+row < len(before) {
				most = extreme(most, before[i+row])
			}
			if i%row >= size.Channels {
				most = extreme(most, before[i-size.Channels])
			}
			if i%row < row-size.Channels {
				most = extreme(most, before[i+size.Channels])
			}
			image[i] = uint8(float64(pixel) + part*(float64(most)-float64(pixel)) + 0.5)
		}
	}
}
