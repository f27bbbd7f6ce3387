package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"pgregory.net/rapid"
)

// drawing turns a picture of rows of # and . into pixels.
func drawing(rows ...string) (pixels []float32, width int) {
	for _, row := range rows {
		for _, c := range row {
			pixels = append(pixels, float32(strings.IndexRune(".#", c)))
		}
	}
	return pixels, len(rows[0])
}

func ink(t rapid.TB, rows ...string) evaluate.Ink {
	t.Helper()
	return must(evaluate.InkOf(drawing(rows...)))(t)
}

func TestModifiedHausdorffByHand(t *testing.T) {
	for _, test := range []struct {
		a, b []string
		want float64
	}{
		{[]string{"#"}, []string{"...", ".#.", "..."}, 0}, // both centerd
		// Points at ±1 against one at 0: a distance of 1 each way.
		{[]string{"#.#"}, []string{"#"}, 1},
		// ±2 and 0 against 0: (2+0+2)/3 there, 0 back; the greater counts.
		{[]string{"#.#.#"}, []string{"#"}, 4. / 3},
		// (±½, 0) against (0, ±½).
		{[]string{"##"}, []string{"#", "#"}, math.Sqrt(0.5)},
		// The corners (±1, ±1) against (±1, 0): 1 each way.
		{[]string{"#.#", "...", "#.#"}, []string{"#.#"}, 1},
	} {
		if got := evaluate.ModifiedHausdorff(ink(t, test.a...), ink(t, test.b...)); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%q and %q are %v apart, want %v", test.a, test.b, got, test.want)
		}
	}
}

func TestInkIsAboveOneHalf(t *testing.T) {
	faint := must(evaluate.InkOf([]float32{0.5, 0.51, 0.2, 0.1, 0.6, 0}, 3))(t)
	if d := evaluate.ModifiedHausdorff(faint, ink(t, "#", "#")); d != 0 {
		t.Errorf("the faint drawing is %v from its two points", d)
	}
	for want, err := range map[string]error{
		"no ink": second(evaluate.InkOf(make([]float32, 9), 3)),
		"found 7 pixels, expected a positive multiple of the width 3": second(evaluate.InkOf(make([]float32, 7), 3)),
		"expected a positive multiple of the width 0":                 second(evaluate.InkOf(make([]float32, 7), 0)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	if d := evaluate.ModifiedHausdorff(evaluate.Ink{}, faint); !math.IsInf(d, 1) {
		t.Errorf("a drawing without ink is %v away", d)
	}
}

// naiveHausdorff is the definition, on the pixels.
func naiveHausdorff(a, b []float32, width int) float64 {
	points := func(pixels []float32) (xs, ys []float64) {
		var meanX, meanY float64
		for i, p := range pixels {
			if p > 0.5 {
				xs, ys = append(xs, float64(i%width)), append(ys, float64(i/width))
				meanX, meanY = meanX+float64(i%width), meanY+float64(i/width)
			}
		}
		for i := range xs {
			xs[i], ys[i] = xs[i]-meanX/float64(len(xs)), ys[i]-meanY/float64(len(xs))
		}
		return xs, ys
	}
	ax, ay := points(a)
	bx, by := points(b)
	direction := func(fromX, fromY, toX, toY []float64) (mean float64) {
		for i := range fromX {
			nearest := math.Inf(1)
			for j := range toX {
				nearest = min(nearest, math.Hypot(fromX[i]-toX[j], fromY[i]-toY[j]))
			}
			mean += nearest / float64(len(fromX))
		}
		return mean
	}
	return max(direction(ax, ay, bx, by), direction(bx, by, ax, ay))
}

func TestModifiedHausdorffEqualsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 9).Draw(t, "width"), rapid.IntRange(1, 9).Draw(t, "height")
		pixels := rapid.SliceOfN(rapid.SampledFrom([]float32{0, 0, 1}), width*height, width*height)
		a, b := pixels.Draw(t, "a"), pixels.Draw(t, "b")
		a[0], b[len(b)-1] = 1, 1
		x, y := must(evaluate.InkOf(a, width))(t), must(evaluate.InkOf(b, width))(t)
		got := evaluate.ModifiedHausdorff(x, y)
		expect(t, "distance", got, naiveHausdorff(a, b, width), rounding)
		expect(t, "distance back", evaluate.ModifiedHausdorff(y, x), got)
		expect(t, "distance from itself", evaluate.ModifiedHausdorff(x, x), 0.)
	})
}
