package vector

import (
	"math"
	"slices"
	"testing"
)

// The matrices of Lavin & Gray (2016), section 4.3, and those of F(3×3, 4×4),
// which has the same points 0, ±1, ±2 and ∞.
var (
	winogradInput = [][]float64{
		{4, 0, -5, 0, 1, 0},
		{0, -4, -4, 1, 1, 0},
		{0, 4, -4, -1, 1, 0},
		{0, -2, -1, 2, 1, 0},
		{0, 2, -1, -2, 1, 0},
		{0, 4, 0, -5, 0, 1},
	}
	winogradWeights = [][]float64{
		{1. / 4, 0, 0},
		{-1. / 6, -1. / 6, -1. / 6},
		{-1. / 6, 1. / 6, -1. / 6},
		{1. / 24, 1. / 12, 1. / 6},
		{1. / 24, -1. / 12, 1. / 6},
		{0, 0, 1},
	}
	winogradOutput = [][]float64{
		{1, 1, 1, 1, 1, 0},
		{0, 1, -1, 2, -2, 0},
		{0, 1, 1, 4, 4, 0},
		{0, 1, -1, 8, -8, 1},
	}
	winogradWeights4 = [][]float64{
		{1. / 4, 0, 0, 0},
		{-1. / 6, -1. / 6, -1. / 6, -1. / 6},
		{-1. / 6, 1. / 6, -1. / 6, 1. / 6},
		{1. / 24, 1. / 12, 1. / 6, 1. / 3},
		{1. / 24, -1. / 12, 1. / 6, -1. / 3},
		{0, 0, 0, 1},
	}
	winogradOutput3 = [][]float64{
		{1, 1, 1, 1, 1, 0},
		{0, 1, -1, 2, -2, 0},
		{0, 1, 1, 4, 4, 1},
	}
)

// between returns m·x·mᵀ for a square matrix x.
func between(m [][]float64, x func(i, j int) float64) func(i, j int) float64 {
	return func(i, j int) (sum float64) {
		for k, left := range m[i] {
			for l, right := range m[j] {
				sum += left * x(k, l) * right
			}
		}
		return sum
	}
}

func TestWinograd(t *testing.T) {
	eachFuzz(t, 500, func(f *fuzz) {
		transforms, ok := f.engine.(Transforms)
		if !ok {
			f.Skipf("%s has no transforms", f.engine.Name())
		}
		f.transform("input", 3, winogradInput, transforms.WinogradInput, false)
		f.transform("weights", 3, winogradWeights, transforms.WinogradWeights, false)
		f.transform("output", 3, winogradOutput, transforms.WinogradOutput, true)
		f.transform("weights", 4, winogradWeights4, transforms.WinogradWeights, false)
		f.transform("output", 4, winogradOutput3, transforms.WinogradOutput, true)
	})
}

// transform checks a transform from pixels to values or, if backwards, from values to
// pixels.
func (f *fuzz) transform(name string, kernel int, m [][]float64, call func(*Winograd[float32]), backwards bool) {
	f.memory.used = 0
	side, values := len(m[0]), len(m)
	if backwards {
		side, values = values, side
	}
	w := &Winograd[float32]{Kernel: kernel, Tiles: 1 + f.IntN(4), Channels: (1 + f.IntN(3)) * f.engine.Lanes()}
	w.XPixel = w.Channels + f.IntN(5)
	w.XRow = side*w.XPixel + f.IntN(9)
	w.XTile = side*w.XRow + f.IntN(9)
	w.VTile = w.Channels + f.IntN(5)
	w.VStride = w.Tiles*w.VTile + f.IntN(9)
	w.X = f.quarters((w.Tiles-1)*w.XTile + (side-1)*(w.XRow+w.XPixel) + w.Channels)
	w.V = f.quarters((values*values-1)*w.VStride + (w.Tiles-1)*w.VTile + w.Channels)
	if backwards {
		w.Bias, w.Clip = f.quarters(w.Channels), Clip(f.IntN(3))
	}
	from, to := slices.Clone(w.X), w.V
	if backwards {
		from, to = slices.Clone(w.V), w.X
	}
	want := make([]float64, len(to))
	for i, v := range to {
		want[i] = float64(v)
	}
	for tile := range w.Tiles {
		for c := range w.Channels {
			pixel := func(i, j int) int { return tile*w.XTile + i*w.XRow + j*w.XPixel + c }
			value := func(i, j int) int { return (i*values+j)*w.VStride + tile*w.VTile + c }
			source, target := pixel, value
			if backwards {
				source, target = value, pixel
			}
			result := between(m, func(i, j int) float64 { return float64(from[source(i, j)]) })
			for i := range m {
				for j := range m {
					want[target(i, j)] = result(i, j)
					if w.Bias != nil {
						want[target(i, j)] = clipped(w.Clip, want[target(i, j)]+float64(w.Bias[c]))
					}
				}
			}
		}
	}
	call(w)
	for i, v := range to {
		if math.Abs(float64(v)-want[i]) > 1e-6*(1+math.Abs(want[i])) {
			f.Fatalf("call %d: %s: element %d: found %v, expected %v", f.seed, name, i, v, want[i])
		}
	}
}
