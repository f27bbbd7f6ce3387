package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Affine is a random affine distortion about the centre of an image. Its seven
// components are the rotation and, for each axis, a shear, a scale and a
// translation. Each takes part with Probability, independently of the others,
// and is then drawn uniformly from its range. The zero value distorts nothing.
type Affine struct {
	Rotation    float64 `toml:"rotation"`    // degrees, from −Rotation to Rotation
	Shear       float64 `toml:"shear"`       // from −Shear to Shear, below 1
	ScaleMin    float64 `toml:"scale_min"`   // from ScaleMin
	ScaleMax    float64 `toml:"scale_max"`   // to ScaleMax; both zero: no scaling
	Translation float64 `toml:"translation"` // pixels, from −Translation to Translation
	Probability float64 `toml:"probability"`
}

// KochAffine returns the distortion of Koch, Zemel & Salakhutdinov 2015 ("Siamese
// Neural Networks for One-shot Image Recognition", section 3.2). Its translation
// of ±2 pixels is meant for images of 105 × 105.
func KochAffine() Affine {
	return Affine{Rotation: 10, Shear: 0.3, ScaleMin: 0.8, ScaleMax: 1.2, Translation: 2, Probability: 0.5}
}

// Validate reports a component outside its range: all are finite and not
// negative, the shear is below 1, the scales are positive and in order, or both
// zero, and the probability is at most 1.
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

// motion takes a point of the source, relative to the centre, to one of the
// target: (x, y) ↦ (xx·x + xy·y + x0, yx·x + yy·y + y0).
type motion struct{ xx, xy, yx, yy, x0, y0 float64 }

// draw draws the components. It takes the same number of values from r whatever
// takes part.
func (a Affine) draw(r *rand.Rand) motion {
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
	return compose(angle, shearX, shearY, scaleX, scaleY, moveX, moveY)
}

// compose scales, then shears, rotates by degrees and translates.
func compose(angle, shearX, shearY, scaleX, scaleY, moveX, moveY float64) motion {
	sin, cos := math.Sincos(angle * math.Pi / 180)
	return motion{
		xx: (cos - sin*shearY) * scaleX, xy: (cos*shearX - sin) * scaleY, x0: moveX,
		yx: (sin + cos*shearY) * scaleX, yy: (sin*shearX + cos) * scaleY, y0: moveY,
	}
}

// source is the point that goes to (x, y), both relative to the centre.
func (m motion) source(x, y float64) (float64, float64) {
	determinant := m.xx*m.yy - m.xy*m.yx
	x, y = x-m.x0, y-m.y0
	return (m.yy*x - m.xy*y) / determinant, (m.xx*y - m.yx*x) / determinant
}
