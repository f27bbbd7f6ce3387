package datasets

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// The point (1, 0) is scaled to (2, 0), sheared to (2, 2·0.25) = (2, 0.5), turned by
// 90° to (−0.5, 2) and moved by (10, 20); the point (0, 1) goes to (0, 3),
// (3·0.5, 3) = (1.5, 3), (−3, 1.5) and is moved.
func TestComposeScalesShearsRotatesAndMoves(t *testing.T) {
	want := imaging.AffineTransform{XX: -0.5, YX: 2, XY: -3, YY: 1.5, X0: 10, Y0: 20}
	got := imaging.NewAffineTransform(90, 0.5, 0.25, 2, 3, 10, 20)
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
}

func TestAQuarterTurn(t *testing.T) {
	// Rows go down, so that 90° turns clockwise: the left column becomes the upper
	// row.
	square := make([]uint8, 9)
	imaging.Resample(square, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}, imaging.Size{Height: 3, Width: 3, Channels: 1}, 99, imaging.Warp{imaging.NewAffineTransform(90, 0, 0, 1, 1, 0, 0)})
	if diff := cmp.Diff([]uint8{7, 4, 1, 8, 5, 2, 9, 6, 3}, square); diff != "" {
		t.Error(diff)
	}
}

func TestMoving(t *testing.T) {
	src := []uint8{10, 20, 30, 40, 50, 60}
	size := imaging.Size{Height: 2, Width: 3, Channels: 1}
	got := make([]uint8, 6)
	imaging.Resample(got, src, size, 9, imaging.Warp{imaging.NewAffineTransform(0, 0, 0, 1, 1, 1, 0)})
	if diff := cmp.Diff([]uint8{9, 10, 20, 9, 40, 50}, got); diff != "" {
		t.Errorf("by one column:\n%s", diff)
	}
	imaging.Resample(got, src, size, 9, imaging.Warp{imaging.NewAffineTransform(0, 0, 0, 1, 1, 0, -1)})
	if diff := cmp.Diff([]uint8{40, 50, 60, 9, 9, 9}, got); diff != "" {
		t.Errorf("by one row:\n%s", diff)
	}
	imaging.Resample(got, src, size, 0, imaging.Warp{imaging.NewAffineTransform(0, 0, 0, 1, 1, 0.5, 0)})
	if diff := cmp.Diff([]uint8{5, 15, 25, 20, 45, 55}, got); diff != "" {
		t.Errorf("by half a column:\n%s", diff)
	}
}

// Each component alone keeps to its range and fills it, and takes part half of
// the time; its mean is the middle of the range, which is also its value when it
// takes no part.
func TestDrawnComponents(t *testing.T) {
	const times = 4000
	koch := KochAffine()
	for _, test := range []struct {
		name          string
		only          Affine
		component     func(imaging.AffineTransform) float64
		middle, width float64 // the range is middle ± width
	}{
		{"rotation", Affine{Rotation: koch.Rotation}, func(m imaging.AffineTransform) float64 { return math.Atan2(m.YX, m.XX) * 180 / math.Pi }, 0, 10},
		{"shear along x", Affine{Shear: koch.Shear}, func(m imaging.AffineTransform) float64 { return m.XY }, 0, 0.3},
		{"shear along y", Affine{Shear: koch.Shear}, func(m imaging.AffineTransform) float64 { return m.YX }, 0, 0.3},
		{"scale along x", Affine{ScaleMin: koch.ScaleMin, ScaleMax: koch.ScaleMax}, func(m imaging.AffineTransform) float64 { return m.XX }, 1, 0.2},
		{"scale along y", Affine{ScaleMin: koch.ScaleMin, ScaleMax: koch.ScaleMax}, func(m imaging.AffineTransform) float64 { return m.YY }, 1, 0.2},
		{"translation along x", Affine{Translation: koch.Translation}, func(m imaging.AffineTransform) float64 { return m.X0 }, 0, 2},
		{"translation along y", Affine{Translation: koch.Translation}, func(m imaging.AffineTransform) float64 { return m.Y0 }, 0, 2},
	} {
		test.only.Probability = koch.Probability
		var sum, unmoved float64
		least, most := math.Inf(1), math.Inf(-1)
		for seed := range uint64(times) {
			v := test.component(test.only.draw(random.New(seed)))
			if v == test.middle {
				unmoved++
			}
			sum += v
			least, most = min(least, v), max(most, v)
		}
		if least < test.middle-test.width-1e-9 || most > test.middle+test.width+1e-9 || most-least < 1.98*test.width {
			t.Errorf("%s: drawn from %.3f to %.3f, expected to fill %v ± %v", test.name, least, most, test.middle, test.width)
		}
		// The standard errors are √(¼/4000) = 0.0079 and width·√(1/6/4000) = 0.0065·width.
		if share := unmoved / times; math.Abs(share-0.5) > 4*0.0079 {
			t.Errorf("%s: takes no part in %.3f of all draws", test.name, share)
		}
		if mean := sum / times; math.Abs(mean-test.middle) > 4*0.0065*test.width {
			t.Errorf("%s: mean %.4f, expected %v", test.name, mean, test.middle)
		}
	}
}

// No component takes part in one draw of 2⁷ = 128.
func TestComponentsAreIndependent(t *testing.T) {
	const times = 12800
	still := 0
	for seed := range uint64(times) {
		if KochAffine().draw(random.New(seed)) == (imaging.AffineTransform{XX: 1, YY: 1}) {
			still++
		}
	}
	if math.Abs(float64(still)-100) > 4*10 {
		t.Errorf("%d of %d draws are still, expected about 100", still, times)
	}
}

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

// Displacements have mean zero and the given standard deviation along both axes. Points a
// smoothness σ apart have a correlation of exp(−1/4), that of white noise smoothed by a
// Gaussian: exp(−d²/4σ²).
func TestElasticDisplacements(t *testing.T) {
	const times = 4000
	e := Elastic{Displacement: 1.5, Smoothness: 4, Probability: 1}
	var mean, square, product, between [2]float64
	for seed := range uint64(times) {
		f := e.draw(28, random.New(seed))
		// Any point will do: a place of the grid moves with the seed.
		x, y := float64(seed%27)-13, float64(seed/27%27)-13
		atX, atY := f.Source(x, y)
		nextX, nextY := f.Source(x+4, y)
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

// A field that moves every point by (1, 0) shows each pixel's right neighbor; a
// turn that comes after it in the image comes before it on the way to the source.
func TestPartsOfADistortionInTurn(t *testing.T) {
	right := &field{spacing: 10, size: 5, x: make([]float64, 25), y: make([]float64, 25)}
	for i := range right.x {
		right.x[i] = 1
	}
	size := imaging.Size{Height: 3, Width: 3, Channels: 1}
	src := []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}
	got := make([]uint8, 9)
	imaging.Resample(got, src, size, 0, imaging.Warp{right})
	if diff := cmp.Diff([]uint8{2, 3, 0, 5, 6, 0, 8, 9, 0}, got); diff != "" {
		t.Errorf("moved:\n%s", diff)
	}
	imaging.Resample(got, src, size, 0, imaging.Warp{imaging.NewAffineTransform(90, 0, 0, 1, 1, 0, 0), right})
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

// By one pixel a point becomes a cross; by half of one, a cross half as bright.
func TestGrowing(t *testing.T) {
	size := imaging.Size{Height: 3, Width: 4, Channels: 1}
	point := []uint8{
		0, 0, 0, 0,
		0, 100, 0, 0,
		0, 0, 0, 0,
	}
	for growth, want := range map[float64][]uint8{
		0: point,
		1: {
			0, 100, 0, 0,
			100, 100, 100, 0,
			0, 100, 0, 0,
		},
		0.5: {
			0, 50, 0, 0,
			50, 100, 50, 0,
			0, 50, 0, 0,
		},
		1.5: { // of the cross, half of the way to a cross of each of its points
			50, 100, 50, 0,
			100, 100, 100, 50,
			50, 100, 50, 0,
		},
		-0.25: {
			0, 0, 0, 0,
			0, 75, 0, 0,
			0, 0, 0, 0,
		},
	} {
		got := append([]uint8{}, point...)
		grow(got, size, growth)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %v:\n%s", growth, diff)
		}
	}
}

// Neighbors are those of the same channel, and there are none over the edge.
func TestGrowingInColor(t *testing.T) {
	image := []uint8{
		9, 0, 0, 0, 0, 7,
		0, 0, 0, 0, 0, 0,
	}
	grow(image, imaging.Size{Height: 2, Width: 2, Channels: 3}, 1)
	want := []uint8{
		9, 0, 7, 9, 0, 7,
		9, 0, 0, 0, 0, 7,
	}
	if diff := cmp.Diff(want, image); diff != "" {
		t.Error(diff)
	}
}

// What is drawn fills its range, with the mean in the middle, and takes part as
// often as it says.
func TestStrokeIsDrawn(t *testing.T) {
	const times = 4000
	s := Stroke{Min: -1, Max: 3, Probability: 0.5}
	var sum, unchanged float64
	least, most := math.Inf(1), math.Inf(-1)
	for seed := range uint64(times) {
		growth := s.draw(random.New(seed))
		if growth == 0 {
			unchanged++
			continue
		}
		sum += growth
		least, most = min(least, growth), max(most, growth)
	}
	if least < -1 || most > 3 || most-least < 3.96 {
		t.Errorf("drawn from %v to %v, expected to fill -1 to 3", least, most)
	}
	// The standard errors are 4·√(1/12/2000) = 0.026 and √(¼/4000) = 0.0079.
	if mean := sum / (times - unchanged); math.Abs(mean-1) > 4*0.026 {
		t.Errorf("found the mean %v, expected 1", mean)
	}
	if share := unchanged / times; math.Abs(share-0.5) > 4*0.0079 {
		t.Errorf("takes no part in %v of all draws", share)
	}
}

// All images of a batch are drawn by one pen where they have it in common, which is
// another one in the next step.
func TestStrokeOfABatch(t *testing.T) {
	side := imaging.Size{Height: 5, Width: 5, Channels: 1}
	point := make([]uint8, 25)
	point[12] = 200
	d := &Dataset{Name: "points", Size: side, Images: [][]uint8{point, point}}
	a := &Augmentation{Batch: Distortion{Stroke: Stroke{Min: 0, Max: 1, Probability: 1}}}
	p := imaging.Preprocessing{Size: side}
	batch := func(step int) []float32 {
		pixels := make([]float32, 50)
		if err := Fill(pixels, d, []int{0, 1}, p, a, 1, step, "images"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pixels[:25], pixels[25:]); diff != "" {
			t.Errorf("step %d: two images of one batch differ:\n%s", step, diff)
		}
		return pixels
	}
	first, second := batch(0), batch(1)
	if !(first[7] > first[6]) || first[7] == second[7] {
		t.Errorf("above the point, found %v and %v, expected two shades of gray", first[7], second[7])
	}
}

func TestStrokeValidate(t *testing.T) {
	for _, s := range []Stroke{{}, {Min: -1, Max: 1, Probability: 1}, {Min: 2, Max: 2}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Stroke{
		{Min: 1, Max: 0}, {Min: -65, Max: 0}, {Max: 65}, {Max: math.NaN()}, {Min: math.NaN()}, {Probability: 2}, {Probability: math.NaN()},
	} {
		if err := (Augmentation{Batch: Distortion{Stroke: s}}).Validate(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}
