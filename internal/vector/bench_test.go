package vector

import (
	"fmt"
	"testing"
)

func BenchmarkWindows(b *testing.B) {
	for _, size := range []struct{ width, channels, pool int }{{28, 64, 2}, {28, 1, 2}, {28, 6, 2}, {96, 64, 2}, {28, 64, 3}, {28, 64, 1}} {
		x := make([]float32, size.pool*size.width*size.channels)
		for i := range x {
			x[i] = float32(i*7919%1000) - 500
		}
		count := size.width / size.pool
		w := &Windows[float32]{X: x, Y: make([]float32, count*size.channels), Position: make([]uint8, count*size.channels),
			Count: count, Step: size.pool * size.channels, Channels: size.channels, Rectify: true}
		for i := range size.pool {
			for j := range size.pool {
				w.Offsets = append(w.Offsets, int32((i*size.width+j)*size.channels))
			}
		}
		scaled := *w
		scaled.Scale, scaled.Shift, scaled.Kept = make([]float32, size.channels), make([]float32, size.channels), make([]float32, len(w.Y))
		for i := range scaled.Scale {
			scaled.Scale[i] = 1
		}
		add := scaled
		add.Add = true
		for _, e := range Engines() {
			for _, run := range []struct {
				name string
				call func()
			}{
				{"max", func() { e.MaxWindows(w) }},
				{"maxScaledKept", func() { e.MaxWindows(&scaled) }},
				{"scatter", func() { e.ScatterWindows(w) }},
				{"scatterScaledAdd", func() { e.ScatterWindows(&add) }},
			} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", run.name, size.width, size.channels, size.pool, e.Name()), func(b *testing.B) {
					b.SetBytes(int64(4 * len(x)))
					for b.Loop() {
						run.call()
					}
				})
			}
		}
	}
}
