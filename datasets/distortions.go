package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Affine is a random affine transformation about the center of an image. Its seven
// components are the rotation and, for each axis, a shear, a scaling and a translation.
// Each is applied with Probability, independently of the others, and is then drawn
// uniformly from its range. The zero value changes nothing.
type Affine struct {
	Rotation    float64 `toml:"rotation"`    // degrees, from −Rotation to Rotation
	Shear       float64 `toml:"shear"`       // from −Shear to Shear, below 1
	ScaleMin    float64 `toml:"scale_min"`   // from ScaleMin
	ScaleMax    float64 `toml:"scale_max"`   // to ScaleMax; both zero: no scaling
	Translation float64 `toml:"translation"` // pixels, from −Translation to Translation
	Probability float64 `toml:"probability"`
}

// KochAffine returns the augmentation of Koch, Zemel & Salakhutdinov 2015 ("Siamese
// Neural Networks for One-shot Image Recognition", section 3.2). Its translation of ±2
// pixels is meant for images of 105 × 105.
func KochAffine() Affine {
	return Affine{Rotation: 10, Shear: 0.3, ScaleMin: 0.8, ScaleMax: 1.2, Translation: 2, Probability: 0.5}
}

// Validate returns an error for a component outside its range: all must be finite and not
// negative, the shear below 1, the scales positive and in order, or both zero, and the
// probability at most 1.
func (a Affine) Validate() error {
	if err := within("affine distortion",
		bound{"rotation", a.Rotation, 0, 180, "0 to 180 degrees"},
		bound{"shear", a.Shear, 0, math.Nextafter(1, 0), "at least 0 and below 1"},
		bound{"scale_min", a.ScaleMin, 0, 1 << 10, "above 0 and at most 1024, or 0 in both for no scaling"},
		bound{"scale_max", a.ScaleMax, 0, 1 << 10, "above 0 and at most 1024, or 0 in both for no scaling"},
		bound{"translation", a.Translation, 0, 1 << 20, "0 to 1048576 pixels"},
		bound{"probability", a.Probability, 0, 1, "0 to 1"},
	); err != nil {
		return err
	}
	if a.ScaleMin > a.ScaleMax || a.ScaleMin == 0 && a.ScaleMax > 0 {
		return errors.Errorf("affine distortion: scale_min is %v and scale_max %v, expected both above 0 and in this order, or 0 in both for no scaling", a.ScaleMin, a.ScaleMax)
	}
	return nil
}

// bound is a number and its range. No NaN is in one.
type bound struct {
	field              string
	value, least, most float64
	expected           string
}

// within reports the first number that is outside its range.
func within(owner string, bounds ...bound) error {
	for _, b := range bounds {
		if !(b.value >= b.least && b.value <= b.most) {
			return errors.Errorf("%s: %s is %v, expected %s", owner, b.field, b.value, b.expected)
		}
	}
	return nil
}

// draw draws the components. It takes the same number of values from r whatever
// takes part.
func (a Affine) draw(r *rand.Rand) imaging.AffineTransform {
	between := func(least, most, otherwise float64) float64 {
		takesPart, value := r.Float64() < a.Probability, least+(most-least)*r.Float64()
		if !takesPart {
			return otherwise
		}
		return value
	}
	if a.ScaleMax == 0 {
		a.ScaleMin, a.ScaleMax = 1, 1
	}
	angle := between(-a.Rotation, a.Rotation, 0)
	shearX, shearY := between(-a.Shear, a.Shear, 0), between(-a.Shear, a.Shear, 0)
	scaleX, scaleY := between(a.ScaleMin, a.ScaleMax, 1), between(a.ScaleMin, a.ScaleMax, 1)
	moveX, moveY := between(-a.Translation, a.Translation, 0), between(-a.Translation, a.Translation, 0)
	return imaging.NewAffineTransform(angle, shearX, shearY, scaleX, scaleY, moveX, moveY)
}

// Elastic is a random elastic deformation: every point of an image is moved by a smooth
// field of random displacements (Simard, Steinkraus & Platt 2003, "Best Practices for
// Convolutional Neural Networks Applied to Visual Document Analysis", section 2). They
// smooth white noise by a Gaussian; this field is smoothed by the cubic B-spline of the
// same standard deviation, so that few values describe it. The zero value changes
// nothing.
type Elastic struct {
	Displacement float64 `toml:"displacement"` // standard deviation of the displacement along each axis, in pixels
	Smoothness   float64 `toml:"smoothness"`   // standard deviation of the smoothing, in pixels, at least 1 if Displacement is not 0
	Probability  float64 `toml:"probability"`  // of being applied
}

// Validate returns an error for a field outside its range.
func (e Elastic) Validate() error {
	smoothness := bound{"smoothness", e.Smoothness, 0, 1 << 20, "0 to 1048576 pixels"}
	if e.Displacement > 0 {
		smoothness.least, smoothness.expected = 1, "1 to 1048576 pixels if the displacement is not 0"
	}
	return within("elastic distortion",
		bound{"displacement", e.Displacement, 0, 1 << 20, "0 to 1048576 pixels"},
		smoothness,
		bound{"probability", e.Probability, 0, 1, "0 to 1"},
	)
}

// field is a displacement for each point of an image: a bicubic B-spline over a
// grid of control values.
type field struct {
	spacing float64 // of the grid, in pixels
	size    int     // of a side of the grid
	x, y    []float64
}

// splineEnergy is the mean, over all positions, of the sum of the squares of the
// four weights of a cubic B-spline: 151/315.
const splineEnergy = 151. / 315

// draw draws a field for images whose longer side is given; nil when it takes no
// part.
func (e Elastic) draw(side int, r *rand.Rand) *field {
	if e.Displacement == 0 || r.Float64() >= e.Probability {
		return nil
	}
	// A cubic B-spline on a grid of spacing h has the variance h²/3.
	f := &field{spacing: e.Smoothness * math.Sqrt(3)}
	f.size = int(math.Ceil(float64(side)/f.spacing)) + 4
	f.x, f.y = make([]float64, f.size*f.size), make([]float64, f.size*f.size)
	for i := range f.x {
		f.x[i] = r.NormFloat64() * e.Displacement / splineEnergy
		f.y[i] = r.NormFloat64() * e.Displacement / splineEnergy
	}
	return f
}

// Source is where the point (x, y) comes from, both relative to the center;
// points outside of the grid are moved as those at its edge.
func (f *field) Source(x, y float64) (float64, float64) {
	row, down := f.weights(y)
	column, along := f.weights(x)
	var moveX, moveY float64
	for i, v := range down {
		at := (row+i)*f.size + column
		valuesX, valuesY := f.x[at:at+4], f.y[at:at+4]
		for j, h := range along {
			moveX += v * h * valuesX[j]
			moveY += v * h * valuesY[j]
		}
	}
	return x + moveX, y + moveY
}

// weights are the first of the four control values about a position, and how
// much each counts.
func (f *field) weights(position float64) (first int, weights [4]float64) {
	at := position/f.spacing + float64(f.size-1)/2
	at = min(max(at, 1), float64(f.size-2))
	first = min(int(at)-1, f.size-4)
	t := at - float64(first) - 1
	return first, [4]float64{
		(1 - t) * (1 - t) * (1 - t) / 6,
		(3*t*t*t - 6*t*t + 4) / 6,
		(-3*t*t*t + 3*t*t + 3*t + 1) / 6,
		t * t * t / 6,
	}
}

// Stroke is a random change of the stroke width of a drawing with bright strokes on a
// dark background: dilation makes strokes thicker, erosion makes them thinner. The change
// is drawn uniformly from Min to Max, in pixels on each side of a stroke; negative values
// erode, and a stroke of up to twice as many pixels disappears. The zero value changes
// nothing.
type Stroke struct {
	Min         float64 `toml:"min"`
	Max         float64 `toml:"max"`
	Probability float64 `toml:"probability"` // of being applied
}

// mostGrowth of strokes, in pixels: the time is proportional to it.
const mostGrowth = 64

// Validate returns an error for a field outside its range.
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

// grow makes the strokes of an image thicker by so many pixels on each side, or thinner:
// each pixel becomes the brightest, or the darkest, of itself and its four neighbors,
// once for each whole pixel of growth (dilation and erosion by a cross), and a fraction
// of the way for the remainder.
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
