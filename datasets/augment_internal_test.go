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
	want := motion{xx: -0.5, yx: 2, xy: -3, yy: 1.5, x0: 10, y0: 20}
	got := compose(90, 0.5, 0.25, 2, 3, 10, 20)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(motion{}), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
}

func TestAQuarterTurn(t *testing.T) {
	// Rows go down, so that 90° turns clockwise: the left column becomes the upper
	// row.
	square := make([]uint8, 9)
	resample(square, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}, imaging.Size{Height: 3, Width: 3, Channels: 1}, 99, warp{compose(90, 0, 0, 1, 1, 0, 0)})
	if diff := cmp.Diff([]uint8{7, 4, 1, 8, 5, 2, 9, 6, 3}, square); diff != "" {
		t.Error(diff)
	}
}

func TestMoving(t *testing.T) {
	src := []uint8{10, 20, 30, 40, 50, 60}
	size := imaging.Size{Height: 2, Width: 3, Channels: 1}
	got := make([]uint8, 6)
	resample(got, src, size, 9, warp{compose(0, 0, 0, 1, 1, 1, 0)})
	if diff := cmp.Diff([]uint8{9, 10, 20, 9, 40, 50}, got); diff != "" {
		t.Errorf("by one column:\n%s", diff)
	}
	resample(got, src, size, 9, warp{compose(0, 0, 0, 1, 1, 0, -1)})
	if diff := cmp.Diff([]uint8{40, 50, 60, 9, 9, 9}, got); diff != "" {
		t.Errorf("by one row:\n%s", diff)
	}
	resample(got, src, size, 0, warp{compose(0, 0, 0, 1, 1, 0.5, 0)})
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
		component     func(motion) float64
		middle, width float64 // the range is middle ± width
	}{
		{"rotation", Affine{Rotation: koch.Rotation}, func(m motion) float64 { return math.Atan2(m.yx, m.xx) * 180 / math.Pi }, 0, 10},
		{"shear along x", Affine{Shear: koch.Shear}, func(m motion) float64 { return m.xy }, 0, 0.3},
		{"shear along y", Affine{Shear: koch.Shear}, func(m motion) float64 { return m.yx }, 0, 0.3},
		{"scale along x", Affine{ScaleMin: koch.ScaleMin, ScaleMax: koch.ScaleMax}, func(m motion) float64 { return m.xx }, 1, 0.2},
		{"scale along y", Affine{ScaleMin: koch.ScaleMin, ScaleMax: koch.ScaleMax}, func(m motion) float64 { return m.yy }, 1, 0.2},
		{"translation along x", Affine{Translation: koch.Translation}, func(m motion) float64 { return m.x0 }, 0, 2},
		{"translation along y", Affine{Translation: koch.Translation}, func(m motion) float64 { return m.y0 }, 0, 2},
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
		if KochAffine().draw(random.New(seed)) == (motion{xx: 1, yy: 1}) {
			still++
		}
	}
	if math.Abs(float64(still)-100) > 4*10 {
		t.Errorf("%d of %d draws are still, expected about 100", still, times)
	}
}
