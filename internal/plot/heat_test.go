package plot

import (
	"image"
	"math"
	"strings"
	"testing"
)

// The lightness of the color map (CIE 1976 L*) grows with the value, evenly to a fifth of the mean
// step, so that it is read without color vision.
func TestColorMapIsPerceptuallyUniform(t *testing.T) {
	lightness := func(value float64) float64 {
		c := viridisAt(value)
		y := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} { // sRGB, IEC 61966-2-1
			v := c[i] / 255
			if v <= 0.04045 {
				y += weight * v / 12.92
			} else {
				y += weight * math.Pow((v+0.055)/1.055, 2.4)
			}
		}
		return 116*math.Cbrt(y) - 16
	}
	const steps = 16
	mean := (lightness(1) - lightness(0)) / steps
	for i := range steps {
		if step := lightness(float64(i+1)/steps) - lightness(float64(i)/steps); math.Abs(step-mean) > mean/5 {
			t.Errorf("from %d/%d on the lightness grows by %v, expected %v", i, steps, step, mean)
		}
	}
	if viridisAt(-1) != viridisAt(0) || viridisAt(2) != viridisAt(1) || viridisAt(math.NaN()) != viridisAt(0) {
		t.Error("values outside of 0 to 1 are not those at the ends")
	}
}

func TestDrawHeatMapsRefuses(t *testing.T) {
	whole := HeatMap{Image: image.NewGray(image.Rect(0, 0, 4, 4)), Value: func(float64, float64) (float64, bool) { return 1, true }}
	for want, draw := range map[string]func() error{
		"found 0 maps":        func() error { _, err := DrawHeatMaps("", nil, 1, "", ""); return err },
		"the limit 0":         func() error { _, err := DrawHeatMaps("", []HeatMap{whole}, 0, "", ""); return err },
		"the limit NaN":       func() error { _, err := DrawHeatMaps("", []HeatMap{whole}, math.NaN(), "", ""); return err },
		"map 1 has no pixels": func() error { _, err := DrawHeatMaps("", []HeatMap{whole, {}}, 1, "", ""); return err },
	} {
		if err := draw(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
}
