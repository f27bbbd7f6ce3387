package datasets

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// The weights at any position are those of a cubic B-spline: they add up to one,
// their first moment is the position, and at a control value they are 1/6, 4/6
// and 1/6.
func TestSplineWeights(t *testing.T) {
	f := &field{spacing: 2, size: 9}
	for _, position := range []float64{-5.9, -3, -1.25, 0, 0.5, 4.1, 5.9} {
		first, weights := f.weights(position)
		var sum, moment float64
		for i, w := range weights {
			sum += w
			moment += w * float64(first+i)
		}
		if want := position/2 + 4; math.Abs(sum-1) > 1e-12 || math.Abs(moment-want) > 1e-12 {
			t.Errorf("at %v: sum %v, first moment %v, expected 1 and %v", position, sum, moment, want)
		}
	}
	first, weights := f.weights(0)
	if diff := cmp.Diff([4]float64{1. / 6, 4. / 6, 1. / 6, 0}, weights); first != 3 || diff != "" {
		t.Errorf("at a control value: from %d\n%s", first, diff)
	}
	for _, outside := range []float64{-100, 100} {
		if first, _ := f.weights(outside); first < 0 || first+4 > f.size {
			t.Errorf("at %v: from %d of %d", outside, first, f.size)
		}
	}
}

// Displacements have the mean zero and the deviation that was asked for along
// both axes. Points a smoothness σ apart have a correlation of exp(−1/4), that of
// white noise smoothed by a Gaussian: exp(−d²/4σ²).
func TestElasticDisplacements(t *testing.T) {
	const times = 4000
	e := Elastic{Displacement: 1.5, Smoothness: 4, Probability: 1}
	var mean, square, product, between [2]float64
	for seed := range uint64(times) {
		f := e.draw(28, random.New(seed))
		// Any point will do: a place of the grid moves with the seed.
		x, y := float64(seed%27)-13, float64(seed/27%27)-13
		atX, atY := f.source(x, y)
		nextX, nextY := f.source(x+4, y)
		first, second := [2]float64{atX - x, atY - y}, [2]float64{nextX - x - 4, nextY - y}
		for axis := range 2 {
			mean[axis] += first[axis] / times
			square[axis] += first[axis] * first[axis] / times
			product[axis] += first[axis] * second[axis] / times
		}
		between[0] += first[0] * first[1] / times
	}
	// Standard errors: 1.5/√4000 = 0.024 of the mean, 1/√8000 = 1.1 % of the
	// deviation, 1.6 % of a correlation of 0 and less of one of 0.78.
	for axis, name := range []string{"x", "y"} {
		if math.Abs(mean[axis]) > 4*0.024 {
			t.Errorf("along %s: mean %.3f, expected 0", name, mean[axis])
		}
		if deviation := math.Sqrt(square[axis]); math.Abs(deviation/1.5-1) > 4*0.011 {
			t.Errorf("along %s: deviation %.3f, expected 1.5", name, deviation)
		}
		// The spline is no Gaussian, only near one.
		if correlation := product[axis] / square[axis]; math.Abs(correlation-math.Exp(-0.25)) > 0.05 {
			t.Errorf("along %s: correlation %.3f at a distance of σ, expected %.3f", name, correlation, math.Exp(-0.25))
		}
	}
	if correlation := between[0] / 1.5 / 1.5; math.Abs(correlation) > 4*0.016 {
		t.Errorf("the two axes have the correlation %.3f, expected none", correlation)
	}
}

func TestElasticTakesPartWithItsProbability(t *testing.T) {
	if f := (Elastic{}).draw(28, random.New(1)); f != nil {
		t.Errorf("found %v of no displacement", f)
	}
	drawn := 0
	for seed := range uint64(1000) {
		if (Elastic{Displacement: 1, Smoothness: 3, Probability: 0.3}).draw(28, random.New(seed)) != nil {
			drawn++
		}
	}
	if math.Abs(float64(drawn)-300) > 4*14.5 { // √(1000·0.3·0.7)
		t.Errorf("took part %d times of 1000, expected about 300", drawn)
	}
}

// A field that moves every point by (1, 0) shows each pixel's right neighbour; a
// turn that comes after it in the image comes before it on the way to the source.
func TestPartsOfADistortionInTurn(t *testing.T) {
	right := &field{spacing: 10, size: 5, x: make([]float64, 25), y: make([]float64, 25)}
	for i := range right.x {
		right.x[i] = 1
	}
	size := imaging.Size{Height: 3, Width: 3, Channels: 1}
	src := []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}
	got := make([]uint8, 9)
	resample(got, src, size, 0, warp{right})
	if diff := cmp.Diff([]uint8{2, 3, 0, 5, 6, 0, 8, 9, 0}, got); diff != "" {
		t.Errorf("moved:\n%s", diff)
	}
	resample(got, src, size, 0, warp{compose(90, 0, 0, 1, 1, 0, 0), right})
	if diff := cmp.Diff([]uint8{8, 5, 2, 9, 6, 3, 0, 0, 0}, got); diff != "" {
		t.Errorf("moved, then turned clockwise:\n%s", diff)
	}
}

func TestElasticValidate(t *testing.T) {
	for _, e := range []Elastic{{}, {Displacement: 1, Smoothness: 4, Probability: 1}} {
		if err := e.Validate(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, e := range []Elastic{
		{Displacement: -1}, {Displacement: math.NaN()}, {Displacement: 1}, {Displacement: 1, Smoothness: 0.5},
		{Displacement: 1, Smoothness: math.Inf(1)}, {Probability: -0.1},
	} {
		if e.Validate() == nil {
			t.Errorf("%+v: no error", e)
		}
	}
}
