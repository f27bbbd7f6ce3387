package report

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
)

func TestRoundTicks(t *testing.T) {
	for _, test := range []struct {
		ticks     roundTicks
		low, high float64
		want      []string
	}{
		{roundTicks{about: 5}, 0, 100, []string{"0", "20", "40", "60", "80", "100"}},
		{roundTicks{about: 4}, -0.02, 0.41, []string{"0", "0.2", "0.4"}},
		{roundTicks{about: 4}, 0.81, 0.92, []string{"0.85", "0.90"}},
		{roundTicks{about: 4}, -1e-10, 9e-10, []string{"0", "5e-10"}},
		{roundTicks{about: 4}, 0, 3e-3, []string{"0", "0.001", "0.002", "0.003"}},
		{roundTicks{about: 2}, 0, 400_000, []string{"0", "2e+05", "4e+05"}},
		{roundTicks{about: 8, whole: true}, 0.8, 2.2, []string{"1", "2"}},
		{roundTicks{about: 8, whole: true}, 0.8, 7.2, []string{"1", "2", "3", "4", "5", "6", "7"}},
		{roundTicks{about: 8, whole: true}, 0.8, 100.2, []string{"20", "40", "60", "80", "100"}},
	} {
		var found []string
		for _, tick := range test.ticks.Ticks(test.low, test.high) {
			found = append(found, tick.Label)
			if tick.Value < test.low || tick.Value > test.high {
				t.Errorf("%v to %v: there is a tick at %v", test.low, test.high, tick.Value)
			}
		}
		if diff := cmp.Diff(test.want, found); diff != "" {
			t.Errorf("%v to %v (-want +found):\n%s", test.low, test.high, diff)
		}
	}
}

// A long name is shortened with an ellipsis, and control characters become spaces.
func TestFit(t *testing.T) {
	style := legendStyle()
	for name, whole := range map[string]bool{"short": true, strings.Repeat("long ", 50): false, "猫": true, strings.Repeat("猫", 100): false, "": true} {
		found := fit(name, style, 150)
		if (found == name) != whole || strings.HasSuffix(found, "…") == whole || style.Width(found) > 150 {
			t.Errorf("%q became %q, %v wide", name, found, style.Width(found))
		}
	}
	if found := fit("a\nb\tc\x00", style, 150); found != "a b c " {
		t.Errorf("control characters became %q", found)
	}
}

// verified returns same-class pairs at distances 0, 1, 2 and different-class pairs at 2, 3, 10.
func verified(threshold float64) *VerificationEvidence {
	v := &VerificationEvidence{Distances: []float64{0, 2, 1, 3, 2, 10}, Threshold: &threshold}
	for i := range v.Distances {
		v.Pairs = append(v.Pairs, datasets.Pair{Left: 2 * i, Right: 2*i + 1, Different: i%2 == 1})
	}
	return v
}

func TestMistakes(t *testing.T) {
	for threshold, want := range map[float64][2]float64{-1: {1, 0}, 1: {1. / 3, 0}, 2: {0, 1. / 3}, 3: {0, 2. / 3}, 99: {0, 1}} {
		refused, accepted := mistakes(verified(threshold))
		if diff := cmp.Diff(want, [2]float64{refused, accepted}, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("threshold %v (-want +found):\n%s", threshold, diff)
		}
	}
}

// Every pair is in one bin, the largest distance in the last.
func TestHistogram(t *testing.T) {
	v := verified(2)
	low, high := rangeOf(v.Distances)
	if low != 0 || high != 10 {
		t.Errorf("found a range of %v to %v, expected 0 to 10", low, high)
	}
	third := 100. / 3
	for different, want := range map[bool]map[int]float64{false: {0: third, 4: third, 8: third}, true: {8: third, 12: third, bins - 1: third}} {
		found := map[int]float64{}
		for i, share := range histogram(v, different, low, high) {
			if share != 0 {
				found[i] = share
			}
		}
		if diff := cmp.Diff(want, found, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("different = %v (-want +found):\n%s", different, diff)
		}
	}
	if low, high := rangeOf([]float64{3, 3}); !(low < 3 && 3 < high) {
		t.Errorf("of equal distances found %v to %v", low, high)
	}
}

// A thinned curve keeps its ends and stays close to the curve.
func TestThinned(t *testing.T) {
	chance := random.New(1, "distances")
	var distances []float64
	var pairs []evaluate.Pair
	for i := range 20_000 {
		distances = append(distances, chance.NormFloat64()+float64(i%2))
		pairs = append(pairs, evaluate.Pair{Left: 2 * i, Right: 2*i + 1, Different: i%2 == 1})
	}
	v, err := evaluate.NewVerification(distances, pairs)
	if err != nil {
		t.Fatal(err)
	}
	curve := v.ROC()
	points := thinned(curve)
	if last := len(points) - 1; points[0].X != 0 || points[0].Y != 0 || points[last].X != 100 || points[last].Y != 100 {
		t.Errorf("the curve goes from %v to %v", points[0], points[last])
	}
	if len(points) > 1000 {
		t.Errorf("%d points of %d are left", len(points), len(curve))
	}
	next := 0 // the last kept point at or before a point of the curve
	for _, at := range curve {
		x, y := 100*at.FalseAcceptRate, 100*at.TrueAcceptRate
		for next+1 < len(points) && points[next+1].X <= x && points[next+1].Y <= y {
			next++
		}
		if math.Abs(points[next].X-x) > 0.2 || math.Abs(points[next].Y-y) > 0.2 {
			t.Fatalf("the point %v, %v is far from %v", x, y, points[next])
		}
	}
}

// A decoder reads the pixels that were encoded, of images whose width and height differ.
func TestEncodePNG(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {7, 3}, {2, 50}} {
		img, chance := image.NewRGBA(image.Rectangle{Max: size}), random.New(1, "png", size.X)
		for i := range img.Pix {
			if img.Pix[i] = uint8(chance.IntN(256)); i%4 == 3 {
				img.Pix[i] = 255
			}
		}
		var file bytes.Buffer
		if err := encodePNG(&file, img); err != nil {
			t.Fatal(err)
		}
		found, err := png.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(img, found); diff != "" {
			t.Errorf("%v (-encoded +decoded):\n%s", size, diff)
		}
	}
}

func TestDistanceDigits(t *testing.T) {
	for d, want := range map[float64]string{0: "0.000", 0.5: "0.500", 12.3456: "12.346", -2: "-2.000", 0.01234: "0.0123", 1.5e-9: "1.5e-09", 123456: "1.235e+05"} {
		if found := distance(d); found != want {
			t.Errorf("%v: found %q, expected %q", d, found, want)
		}
	}
}
