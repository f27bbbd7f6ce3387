package vector

import (
	"fmt"
	"testing"
)

// benchmark measures a call of each engine that reads and writes the given number of bytes.
func benchmark(b *testing.B, name string, bytes int, call func(e Engine[float32])) {
	for _, e := range Engines() {
		b.Run(fmt.Sprintf("%s/%s", name, e.Name()), func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				call(e)
			}
		})
	}
}

// ramp returns n different numbers.
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i*7919%1000) - 500
	}
	return x
}

func BenchmarkWindows(b *testing.B) {
	for _, size := range []struct{ width, channels, pool int }{{28, 64, 2}, {28, 1, 2}, {28, 6, 2}, {96, 64, 2}, {28, 64, 3}, {28, 64, 1}} {
		w := Windows[float32]{X: ramp(size.pool * size.width * size.channels), Count: size.width / size.pool,
			Step: size.pool * size.channels, Channels: size.channels, Rectify: true}
		w.Y, w.Position = make([]float32, w.Count*w.Channels), make([]uint8, w.Count*w.Channels)
		for i := range size.pool {
			for j := range size.pool {
				w.Offsets = append(w.Offsets, int32((i*size.width+j)*size.channels))
			}
		}
		scaled := w
		scaled.Scale, scaled.Shift, scaled.Kept, scaled.Add = ramp(w.Channels), ramp(w.Channels), ramp(len(w.Y)), true
		name := fmt.Sprintf("%dx%dx%d", size.width, size.channels, size.pool)
		bytes := 4 * len(w.X)
		benchmark(b, "max/"+name, bytes, func(e Engine[float32]) { e.MaxWindows(&w) })
		benchmark(b, "maxScaledKept/"+name, bytes, func(e Engine[float32]) { e.MaxWindows(&scaled) })
		benchmark(b, "scatter/"+name, bytes, func(e Engine[float32]) { e.ScatterWindows(&w) })
		benchmark(b, "scatterScaledAdd/"+name, bytes, func(e Engine[float32]) { e.ScatterWindows(&scaled) })
	}
}

// Arrays of 256 KiB, which fit in the level 2 cache.
func BenchmarkElements(b *testing.B) {
	const n = 1 << 16
	x, y, z := ramp(n), ramp(n), ramp(n)
	benchmark(b, "Add", 12*n, func(e Engine[float32]) { e.Add(y, x) })
	benchmark(b, "Scale", 8*n, func(e Engine[float32]) { e.Scale(y, x, 0.5) })
	benchmark(b, "ReLU", 8*n, func(e Engine[float32]) { e.ReLU(y, x) })
	benchmark(b, "ReLUGradient", 12*n, func(e Engine[float32]) { e.ReLUGradient(z, x, y) })
	benchmark(b, "AddDifference", 16*n, func(e Engine[float32]) { e.AddDifference(z, x, y, 0.5) })
	benchmark(b, "Dot", 8*n, func(e Engine[float32]) { e.Dot(x, y) })
	benchmark(b, "DotRows", 4*n, func(e Engine[float32]) { e.DotRows(y[:64], x[:n/64], z) })
	benchmark(b, "SquaredNorm", 4*n, func(e Engine[float32]) { e.SquaredNorm(x) })
	benchmark(b, "SquaredDistance", 8*n, func(e Engine[float32]) { e.SquaredDistance(x, y) })
	benchmark(b, "AbsoluteDistance", 8*n, func(e Engine[float32]) { e.AbsoluteDistance(x, y) })
	benchmark(b, "WeightedDistance", 12*n, func(e Engine[float32]) { e.WeightedDistance(x, y, z) })
	benchmark(b, "SquaredDistance/64", 8*64, func(e Engine[float32]) { e.SquaredDistance(x[:64], y[:64]) })
}

func BenchmarkChannels(b *testing.B) {
	const n = 1 << 15
	x, dy, dx := ramp(n), ramp(n), ramp(n)
	for _, channels := range []int{64, 256, 16, 6, 1} {
		n := n / channels * channels
		x, dy, dx := x[:n], dy[:n], dx[:n]
		mean, scale, shift, along := ramp(channels), ramp(channels), ramp(channels), ramp(channels)
		sum := make([]float64, 2*channels)
		name := fmt.Sprintf("/%d", channels)
		benchmark(b, "Normalize"+name, 8*n, func(e Engine[float32]) { e.Normalize(dx, x, mean, scale, shift) })
		benchmark(b, "NormalizeInPlace"+name, 8*n, func(e Engine[float32]) { e.Normalize(x, x, mean, scale, shift) })
		benchmark(b, "Center"+name, 12*n, func(e Engine[float32]) { e.Center(dx, x, dy, mean, scale, along, shift) })
		benchmark(b, "ScaleChannels"+name, 8*n, func(e Engine[float32]) { e.ScaleChannels(dx, x, scale) })
		benchmark(b, "SumRows"+name, 4*n, func(e Engine[float32]) { e.SumRows(sum[:channels], x) })
		benchmark(b, "SumSquares"+name, 4*n, func(e Engine[float32]) { e.SumSquares(sum[:channels], x, mean) })
		benchmark(b, "SumMoments"+name, 4*n, func(e Engine[float32]) { e.SumMoments(sum, x, mean) })
		benchmark(b, "SumProducts"+name, 8*n, func(e Engine[float32]) { e.SumProducts(sum, x, dy, mean) })
	}
}

func BenchmarkTranspose(b *testing.B) {
	for _, size := range []struct{ rows, columns, yStride int }{{64, 576, 64}, {64, 100, 64}, {9, 256, 9}, {64, 9216, 64}, {1024, 4096, 1024}, {2000, 4000, 2000}} {
		x, y := ramp(size.rows*size.columns), ramp(size.yStride*size.columns)
		benchmark(b, fmt.Sprintf("%dx%d", size.rows, size.columns), 8*len(x), func(e Engine[float32]) {
			e.Transpose(y, size.yStride, x, size.columns, size.rows, size.columns)
		})
	}
}

// Arrays of 32 MiB, which do not fit in a cache, and a chunk of them.
func BenchmarkUpdates(b *testing.B) {
	for _, n := range []int{1 << 14, 1 << 23} {
		weight, gradient, first, second := ramp(n), ramp(n), make([]float32, n), make([]float32, n)
		adam := AdamFactors[float32]{Scale: 1, Keep: 1, Beta1: 0.9, Rest1: 0.1, Beta2: 0.999, Rest2: 0.001, Rate: 0.001, Root: 1, Epsilon: 1e-8}
		momentum := MomentumFactors[float32]{Scale: 1, Rate: 1e-3, Momentum: 0.9}
		benchmark(b, fmt.Sprintf("Adam/%d", n), 28*n, func(e Engine[float32]) { e.Adam(weight, gradient, first, second, adam) })
		benchmark(b, fmt.Sprintf("Momentum/%d", n), 20*n, func(e Engine[float32]) { e.Momentum(weight, gradient, first, momentum) })
		benchmark(b, fmt.Sprintf("SquaredNorm/%d", n), 4*n, func(e Engine[float32]) { e.SquaredNorm(gradient) })
		benchmark(b, fmt.Sprintf("Copy/%d", n), 8*n, func(e Engine[float32]) { copy(first, gradient) })
	}
}

func BenchmarkMultiplyAdds(b *testing.B) {
	for _, e := range Engines() {
		b.Run(e.Name(), func(b *testing.B) {
			operations := 0
			for b.Loop() {
				operations = e.MultiplyAdds(1000)
			}
			reportOperations(b, operations)
		})
	}
}

func reportOperations(b *testing.B, each int) {
	b.ReportMetric(float64(each)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// A convolution with a result of 14×14 pixels, from 16×16 pixels of 64 channels; each row
// of three taps is one contiguous piece of memory.
func BenchmarkRows(b *testing.B) {
	for _, e := range Engines() {
		for width := 1; width <= e.MaxWidth(); width++ {
			for _, length := range []int{64, 192, 576} {
				const pixels = 14 * 14
				columns := width * e.Lanes()
				r := &Rows[float32]{
					C: make([]float32, pixels*columns), A: make([]float32, 16*16*64+length), B: make([]float32, length*columns),
					Width: width, Columns: columns, Segments: 1, Length: length, Stride: length,
					COffsets: make([]int32, pixels), AOffsets: make([]int32, pixels), Add: true,
				}
				for i := range pixels {
					r.AOffsets[i] = int32((i/14*16 + i%14) * 64)
					r.COffsets[i] = int32(i * columns)
				}
				b.Run(fmt.Sprintf("%s/%d/%d", e.Name(), width, length), func(b *testing.B) {
					for b.Loop() {
						e.Rows(r)
					}
					reportOperations(b, 2*pixels*columns*length)
				})
			}
		}
	}
}

// The gradient of the weights of that convolution, for one row of taps.
func BenchmarkOuter(b *testing.B) {
	for _, e := range Engines() {
		for _, columns := range []int{16, 32, 48, 64, 128} {
			const pixels, run = 14 * 14, 3 * 64
			o := &Outer[float32]{
				C: make([]float32, run*columns), A: make([]float32, 16*16*64+run), B: make([]float32, pixels*columns),
				Run: run, Columns: columns, CStride: columns,
				AOffsets: make([]int32, pixels), BOffsets: make([]int32, pixels), Add: true,
			}
			for i := range pixels {
				o.AOffsets[i] = int32((i/14*16 + i%14) * 64)
				o.BOffsets[i] = int32(i * columns)
			}
			b.Run(fmt.Sprintf("%s/%d", e.Name(), columns), func(b *testing.B) {
				for b.Loop() {
					e.Outer(o)
				}
				reportOperations(b, 2*pixels*columns*run)
			})
		}
	}
}

// Rows of the depthwise convolutions of MobileNetV2, EfficientNet and ConvNeXt, in the level 2
// cache. The bytes are those of products: two for each, so that MB/s is millions of
// multiplications and additions.
func BenchmarkDepthwise(b *testing.B) {
	for _, s := range []struct{ width, channels, kernel, step int }{
		{56, 144, 3, 1}, {56, 144, 3, 2}, {14, 576, 3, 1}, {7, 960, 3, 1}, {14, 672, 5, 1}, {28, 240, 5, 2}, {14, 384, 7, 1}, {14, 400, 7, 1}, {14, 768, 7, 1}, {28, 512, 3, 1}, {28, 496, 3, 1},
	} {
		count := (s.width-s.kernel)/s.step + 1
		lines := min(4, count)
		d := Depthwise[float32]{
			Lines: lines, Count: count, Channels: s.channels, Rows: s.kernel, Columns: s.kernel,
			XLine: s.step * s.width * s.channels, XStep: s.step * s.channels, XRow: s.width * s.channels, XPixel: s.channels,
			YLine: count * s.channels, YPixel: s.channels, WRow: s.kernel * s.channels, WTap: s.channels,
			X: ramp((s.step*(lines-1) + s.kernel) * s.width * s.channels), Y: make([]float32, lines*count*s.channels),
			W: ramp(s.kernel * s.kernel * s.channels), Initial: ramp(s.channels),
		}
		name := fmt.Sprintf("%dx%d,%dx%d,%d", s.width, s.channels, s.kernel, s.kernel, s.step)
		operations := 2 * lines * count * s.channels * s.kernel * s.kernel
		benchmark(b, name, operations, func(e Engine[float32]) { e.Depthwise(&d) })
		benchmark(b, "gradient/"+name, operations, func(e Engine[float32]) { e.DepthwiseGradient(&d) })
	}
}
