package datasets

import (
	"math"
	"math/rand/v2"
)

// Elastic is a random elastic distortion: every point of an image is moved by a
// field of random displacements that neighbours have nearly in common (Simard,
// Steinkraus & Platt 2003, "Best Practices for Convolutional Neural Networks
// Applied to Visual Document Analysis", section 2). Where theirs is white noise
// smoothed by a Gaussian, this one is smoothed by the cubic B-spline of the same
// deviation, so that a few values describe the field. The zero value distorts
// nothing.
type Elastic struct {
	Displacement float64 `toml:"displacement"` // standard deviation, along each axis, in pixels
	Smoothness   float64 `toml:"smoothness"`   // deviation of the smoothing, in pixels, at least 1 where there is a displacement
	Probability  float64 `toml:"probability"`  // of taking part
}

// Validate reports a field outside its range.
func (e Elastic) Validate() error {
	smoothness := bound{"smoothness", e.Smoothness, 0, 1 << 20, "0 to 1048576 pixels"}
	if e.Displacement > 0 {
		smoothness.least, smoothness.expected = 1, "1 to 1048576 pixels where there is a displacement"
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

// source is where the point (x, y) comes from, both relative to the centre;
// points outside of the grid are moved as those at its edge.
func (f *field) source(x, y float64) (float64, float64) {
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
