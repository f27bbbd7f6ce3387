package vector

import (
	"slices"
	"testing"
)

func TestChannels(t *testing.T) {
	eachFuzz(t, 4000, func(f *fuzz) {
		rows, channels := f.IntN(12), 1+f.length()
		n := rows * channels
		x, dy := f.special(n), f.special(n)
		mean, scale, shift, along := f.quarters(channels), f.quarters(channels), f.quarters(channels), f.quarters(channels)
		from, slope := slices.Clone(x), slices.Clone(dy)
		to := f.quarters(n)
		switch f.IntN(3) {
		case 0:
			to = x
		case 1:
			to = dy
		}
		at := func(array []float32, i int) float64 { return float64(array[i]) }
		switch f.IntN(4) {
		case 0:
			f.engine.Normalize(to, x, mean, scale, shift)
			f.want("Normalize", to, func(i int) float64 {
				c := i % channels
				return (at(from, i)-at(mean, c))*at(scale, c) + at(shift, c)
			})
		case 1:
			f.engine.Center(to, x, dy, mean, scale, along, shift)
			f.want("Center", to, func(i int) float64 {
				c := i % channels
				return at(scale, c) * (at(slope, i) - at(shift, c) - (at(from, i)-at(mean, c))*at(along, c))
			})
		case 2:
			f.engine.Center(to, x, nil, mean, scale, along, shift)
			f.want("Center alone", to, func(i int) float64 {
				c := i % channels
				return at(scale, c) * (0 - at(shift, c) - (at(from, i)-at(mean, c))*at(along, c))
			})
		case 3:
			f.engine.ScaleChannels(to, dy, scale)
			f.want("ScaleChannels", to, func(i int) float64 { return at(slope, i) * at(scale, i%channels) })
		}
	})
}

func TestSums(t *testing.T) {
	eachFuzz(t, 4000, func(f *fuzz) {
		rows, channels := f.IntN(12), 1+f.length()
		x, dy, mean := f.special(rows*channels), f.special(rows*channels), f.quarters(channels)
		sum := array[float64](f, 2*channels)
		for i := range sum {
			sum[i] = float64(i)
		}
		want := slices.Clone(sum)
		kind := f.IntN(3)
		for i, v := range x {
			c := i % channels
			difference, slope := float64(v)-float64(mean[c]), float64(dy[i])
			switch kind {
			case 0:
				want[c] += float64(v)
			case 1:
				want[c] += difference * difference
			case 2:
				want[c] += slope * difference
				want[channels+c] += slope
			}
		}
		switch kind {
		case 0:
			f.engine.SumRows(sum[:channels], x)
		case 1:
			f.engine.SumSquares(sum[:channels], x, mean)
		case 2:
			f.engine.SumProducts(sum, x, dy, mean)
		}
		for i, v := range sum {
			if v != want[i] && (v == v || want[i] == want[i]) {
				f.Fatalf("call %d: sum %d, element %d of %d rows of %d: found %v, expected %v", f.seed, kind, i, rows, channels, v, want[i])
			}
		}
	})
}
