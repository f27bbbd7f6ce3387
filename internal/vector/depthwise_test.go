package vector

import (
	"slices"
	"testing"
)

// randomDepthwise returns a random part of a depthwise convolution, in most cases of the
// kernels and steps that have tiles of their own.
func randomDepthwise(f *fuzz) *Depthwise[float32] {
	d := &Depthwise[float32]{
		Lines: 1 + f.IntN(3), Count: 1 + f.IntN(20), Channels: 1 + f.IntN(50), Rows: 1 + f.IntN(4), Columns: 1 + f.IntN(8),
		Clip: Clip(f.IntN(3)),
	}
	if f.IntN(3) > 0 {
		d.Channels = f.engine.Lanes() * (1 + f.IntN(5))
	}
	if f.IntN(50) == 0 {
		d.Lines, d.Count, d.Rows, d.Columns, d.Channels = 1+f.IntN(2), 2, 1, 2, 1000+f.IntN(1500)
	}
	if f.IntN(20) == 0 {
		d.Columns = 8 + f.IntN(10)
	}
	step := 1 + f.IntN(2)
	if f.IntN(10) == 0 {
		step = f.IntN(5)
	}
	d.XPixel = d.Channels + f.IntN(5)
	d.XStep = step * d.XPixel
	d.XRow = (d.Count*step+d.Columns)*d.XPixel + f.IntN(9)
	d.XLine = f.IntN(3) * d.XRow
	d.YPixel = (1+f.IntN(2))*d.Channels + f.IntN(3)
	d.YLine = d.Count*d.YPixel + f.IntN(9)
	d.WTap = d.Channels + f.IntN(3)
	d.WRow = d.Columns*d.WTap + f.IntN(9)
	d.X = f.quarters((d.Lines-1)*d.XLine + (d.Count-1)*d.XStep + (d.Rows-1)*d.XRow + (d.Columns-1)*d.XPixel + d.Channels)
	d.Y = f.quarters((d.Lines-1)*d.YLine + (d.Count-1)*d.YPixel + d.Channels)
	d.W = f.quarters((d.Rows-1)*d.WRow + (d.Columns-1)*d.WTap + d.Channels)
	if f.IntN(2) == 0 {
		d.Initial = f.quarters(d.Channels)
	}
	return d
}

// naiveDepthwise visits all products.
func naiveDepthwise(d *Depthwise[float32], visit func(y, x, w, c int)) {
	for line := range d.Lines {
		for i := range d.Count {
			for r := range d.Rows {
				for k := range d.Columns {
					for c := range d.Channels {
						visit(line*d.YLine+i*d.YPixel+c, line*d.XLine+i*d.XStep+r*d.XRow+k*d.XPixel+c, r*d.WRow+k*d.WTap+c, c)
					}
				}
			}
		}
	}
}

func TestDepthwise(t *testing.T) {
	eachFuzz(t, 1500, func(f *fuzz) {
		d := randomDepthwise(f)
		want, begun := slices.Clone(d.Y), make([]bool, len(d.Y))
		naiveDepthwise(d, func(y, x, w, c int) {
			if !begun[y] {
				begun[y], want[y] = true, 0
				if d.Initial != nil {
					want[y] = d.Initial[c]
				}
			}
			want[y] += d.X[x] * d.W[w]
		})
		f.engine.Depthwise(d)
		f.want("Y", d.Y, func(i int) float64 {
			if begun[i] {
				return clipped(d.Clip, float64(want[i]))
			}
			return float64(want[i])
		})
	})
}

func TestDepthwiseGradient(t *testing.T) {
	eachFuzz(t, 1500, func(f *fuzz) {
		d := randomDepthwise(f)
		want := slices.Clone(d.W)
		naiveDepthwise(d, func(y, x, w, _ int) { want[w] += d.X[x] * d.Y[y] })
		f.engine.DepthwiseGradient(d)
		f.want("W", d.W, func(i int) float64 { return float64(want[i]) })
	})
}

// A wrong length is detected before the assembly reads or writes.
func TestDepthwiseChecksLengths(t *testing.T) {
	for _, e := range Engines() {
		for name, cut := range map[string]func(d *Depthwise[float32]){
			"X":       func(d *Depthwise[float32]) { d.X = slices.Clip(d.X[:len(d.X)-1]) },
			"Y":       func(d *Depthwise[float32]) { d.Y = slices.Clip(d.Y[:len(d.Y)-1]) },
			"W":       func(d *Depthwise[float32]) { d.W = slices.Clip(d.W[:len(d.W)-1]) },
			"Initial": func(d *Depthwise[float32]) { d.Initial = slices.Clip(d.Initial[:len(d.Initial)-1]) },
		} {
			d := &Depthwise[float32]{
				Lines: 2, Count: 2, Channels: 32, Rows: 2, Columns: 3,
				XLine: 4 * 32, XStep: 32, XRow: 4 * 32, XPixel: 32, YLine: 2 * 32, YPixel: 32, WRow: 3 * 32, WTap: 32,
				X: make([]float32, 3*4*32), Y: make([]float32, 4*32), W: make([]float32, 6*32), Initial: make([]float32, 32),
			}
			e.Depthwise(d)
			cut(d)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s, %s: want a panic", e.Name(), name)
					}
				}()
				e.Depthwise(d)
			}()
		}
	}
}
