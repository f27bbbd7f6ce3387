package vector

import (
	"fmt"
	"math"
	"math/big"
	"testing"
)

// weights returns n signed bytes, in some calls only the extremes.
func (f *fuzz) weights(n int) []int8 {
	w := array[int8](f, n)
	extremes := f.IntN(3) == 0
	for i := range w {
		if w[i] = int8(f.IntN(255) - 127); extremes {
			w[i] = []int8{-128, -127, 0, 127}[f.IntN(4)]
		}
	}
	return w
}

// activations returns n bytes, in some calls only the extremes.
func (f *fuzz) activations(n int) []uint8 {
	x := array[uint8](f, n)
	extremes := f.IntN(3) == 0
	for i := range x {
		if x[i] = uint8(f.IntN(256)); extremes {
			x[i] = []uint8{0, 255}[f.IntN(2)]
		}
	}
	return x
}

// byteResult returns random parameters for sums of about the given size.
func (f *fuzz) byteResult(columns, size int) ByteResult {
	q := ByteResult{Digits: uint8(1 + f.IntN(6)), Zero: uint8(f.IntN(256)), Low: uint8(f.IntN(100)), High: uint8(100 + f.IntN(156))}
	if q.AddendZero, q.AddendMultiplier = uint8(f.IntN(256)), uint16(f.IntN(1<<15)); f.IntN(3) == 0 {
		q.AddendMultiplier = 1<<15 - 1
	}
	scales := func(least int) (shifts, multipliers []int32) {
		shifts, multipliers = array[int32](f, columns), array[int32](f, columns)
		for i := range shifts {
			shifts[i] = int32(max(0, int(math.Log2(float64(size)))-18+f.IntN(8)))
			if multipliers[i] = int32(least + f.IntN(1<<15-least)); f.IntN(5) == 0 {
				multipliers[i] = 1 << 14 // halves, which are rounded up
			}
			if f.IntN(10) == 0 {
				shifts[i], multipliers[i] = []int32{0, 31}[f.IntN(2)], int32(max(least, 0))
			}
		}
		return shifts, multipliers
	}
	q.Shift, q.Multiplier = scales(0)
	if f.IntN(3) == 0 {
		q.Zero, q.Low, q.High = 0, 0, 255
	}
	if f.IntN(3) == 0 {
		q.NegativeShift, q.NegativeMultiplier = scales(1 - 1<<15)
	}
	return q
}

// result is the definition of ByteResult.
func (q ByteResult) result(sum int64, column int, addend *uint8) uint8 {
	shift, multiplier := q.Shift[column], q.Multiplier[column]
	if sum < 0 && q.NegativeShift != nil {
		shift, multiplier = q.NegativeShift[column], q.NegativeMultiplier[column]
	}
	saturate := func(x float64) float64 { return min(max(x, -32768), 32767) }
	round := func(x float64) float64 { return math.Floor(x + 0.5) }
	product := func(a uint8) float64 { return math.Floor(float64(a) * float64(q.AddendMultiplier) / 256) }
	t := round(saturate(math.Floor(math.Ldexp(float64(sum), -int(shift)))) * float64(multiplier) / 32768)
	if addend != nil {
		t = saturate(t + product(*addend))
	}
	t = saturate(t + math.Ldexp(float64(q.Zero), int(q.Digits)) - product(q.AddendZero))
	return uint8(min(max(round(math.Ldexp(t, -int(q.Digits))), float64(q.Low)), float64(q.High)))
}

// wideByteResult returns random parameters for numbers of about the given size.
func (f *fuzz) wideByteResult(columns, size int) WideByteResult {
	q := WideByteResult{Shift: uint8(1 + f.IntN(32)), Zero: uint8(f.IntN(256)), Low: uint8(f.IntN(100)), High: uint8(100 + f.IntN(156)), AddendZero: uint8(f.IntN(256))}
	multiplier := func(scale float64) int32 {
		return int32(min(math.MaxInt32, scale*math.Exp2(float64(q.Shift))))
	}
	multipliers := func() []int32 {
		m := array[int32](f, columns)
		for i := range m {
			if m[i] = multiplier(200 * f.Float64() / float64(size)); f.IntN(5) == 0 {
				m[i] = multiplier(0.5) // halves, which are rounded up
			}
		}
		return m
	}
	q.Multiplier, q.AddendMultiplier = multipliers(), multiplier([]float64{0.5, f.Float64()}[f.IntN(2)])
	if f.IntN(3) == 0 {
		q.Zero, q.Low, q.High = 0, 0, 255
	}
	if f.IntN(3) == 0 {
		q.Negative = multipliers()
		for i := range q.Negative {
			q.Negative[i] -= multiplier(0.25)
		}
	}
	return q
}

// result is the definition of WideByteResult.
func (q WideByteResult) result(sum int64, column int, addend *uint8) uint8 {
	multiplier := q.Multiplier[column]
	if sum < 0 && q.Negative != nil {
		multiplier = q.Negative[column]
	}
	product := new(big.Int).Mul(big.NewInt(sum), big.NewInt(int64(multiplier)))
	if addend != nil {
		product.Add(product, big.NewInt(int64(int(*addend)-int(q.AddendZero))*int64(q.AddendMultiplier)))
	}
	product.Add(product, new(big.Int).Lsh(big.NewInt(1), uint(q.Shift)-1))
	rounded, _ := new(big.Float).SetInt(product.Div(product, new(big.Int).Lsh(big.NewInt(1), uint(q.Shift)))).Float64() // the floor
	return uint8(min(max(float64(q.Zero)+rounded, float64(q.Low)), float64(q.High)))
}

// Every engine gives the bytes and the sums of plain loops.
func TestByteRows(t *testing.T) {
	eachFuzz(t, 1500, func(f *fuzz) {
		e := ByteEngineOf(f.engine)
		width := 1 + f.IntN(e.MaxWidth())
		columns := width * e.Lanes()
		panel := columns
		if f.IntN(3) > 0 {
			columns -= f.IntN(e.Lanes())
		}
		rows, segments, length := f.IntN(30), 1+f.IntN(4), 4*(1+f.IntN(12))
		depth := segments * length
		if f.IntN(20) == 0 {
			segments, length = 1, 4*f.IntN(600)+4
			depth = length
		}
		stride := length + f.IntN(20)
		weights := f.weights(columns * depth)
		r := &ByteRows{Width: width, Columns: columns, Segments: segments, Length: length, Stride: stride, Result: f.byteResult(panel, 100*depth)}
		r.B = array[uint8](f, e.PanelSize(depth, width))
		e.PackRows(r.B, weights, depth, columns, width)
		r.Initial = array[int32](f, panel)
		for i := range r.Initial {
			r.Initial[i] = int32(f.IntN(1<<20) - 1<<19)
		}
		r.XOffsets, r.YOffsets = array[int32](f, rows), array[int32](f, rows)
		last := 0
		for i, to := range f.Perm(rows) {
			r.XOffsets[i] = int32(f.IntN(200))
			last = max(last, int(r.XOffsets[i]))
			r.YOffsets[i] = int32(to * (columns + 3))
		}
		if rows == 0 {
			e.Rows(r)
			return
		}
		r.X = f.activations(last + (segments-1)*stride + length)
		size := (rows-1)*(columns+3) + columns
		sums := f.IntN(4) == 0
		var before []uint8
		if sums {
			r.Sums = array[int32](f, size)
			clear(r.Sums)
		} else {
			r.Y = array[uint8](f, size)
			for i := range r.Y {
				r.Y[i] = uint8(i)
			}
			before = append(before, r.Y...)
			if f.IntN(2) == 0 {
				r.Addend = r.Y
				if f.IntN(2) == 0 {
					r.Addend = f.activations(size)
					before = append(before[:0], r.Addend...)
				}
			}
		}
		want := make([]int64, size)
		written := make([]bool, size)
		for i := range rows {
			for j := range columns {
				sum := int64(r.Initial[j])
				for s := range segments {
					for k := range length {
						sum += int64(r.X[int(r.XOffsets[i])+s*stride+k]) * int64(weights[j*depth+s*length+k])
					}
				}
				at := int(r.YOffsets[i]) + j
				want[at], written[at] = sum, true
				if !sums {
					var a *uint8
					if r.Addend != nil {
						a = &before[at]
					}
					want[at] = int64(r.Result.result(sum, j, a))
				}
			}
		}
		e.Rows(r)
		for i, w := range want {
			var got int64
			switch {
			case sums:
				got = int64(r.Sums[i])
			default:
				if got = int64(r.Y[i]); !written[i] {
					w = int64(uint8(i))
				}
			}
			if got != w {
				f.Fatalf("call %d: width %d, %d columns, %d rows, %d segments of %d: element %d: found %d, expected %d (sums %v, addend %v)", f.seed, width, columns, rows, segments, length, i, got, w, sums, r.Addend != nil)
			}
		}
	})
}

// Every engine gives the bytes of plain loops.
func TestByteDepthwise(t *testing.T) {
	eachFuzz(t, 600, func(f *fuzz) {
		e := ByteEngineOf(f.engine)
		lanes, least := e.DepthwiseLanes()
		height, channels := 1+f.IntN(8), least+f.IntN(lanes-least+1)
		if f.IntN(2) == 0 {
			channels = lanes
		}
		d := &ByteDepthwise{
			Step: 1 + f.IntN(2), Columns: []int{3, 5, 7}[f.IntN(3)], Count: f.IntN(12), Channels: channels,
			XPixel: channels + f.IntN(70), YPixel: channels + f.IntN(70), Result: f.byteResult(lanes, 100*height),
		}
		if !e.HasDepthwise(d.Columns, d.Step) {
			f.Fatalf("no loop for %d columns and the step %d", d.Columns, d.Step)
		}
		weights := f.weights(channels * height * d.Columns)
		d.Weights = array[uint8](f, e.DepthwiseSize(height, d.Columns))
		e.PackDepthwise(d.Weights, weights, height, d.Columns, channels)
		d.Initial = array[int32](f, lanes)
		for i := range d.Initial {
			d.Initial[i] = int32(f.IntN(1<<16) - 1<<15)
		}
		rows := (height + e.DepthwiseRows() - 1) / e.DepthwiseRows() * e.DepthwiseRows()
		d.Rows = array[int32](f, rows)
		for i := range d.Rows {
			d.Rows[i] = int32(f.IntN(500))
		}
		d.Rows[0] = 500
		d.X = f.activations(500 + (max(0, d.Count-1)*d.Step+d.Columns-1)*d.XPixel + channels)
		d.Y = array[uint8](f, max(0, d.Count-1)*d.YPixel+channels)
		for i := range d.Y {
			d.Y[i] = uint8(i)
		}
		e.Depthwise(d)
		positions := make([]int, lanes)
		for p := range lanes {
			positions[e.DepthwiseChannel(p)] = p
		}
		for at, got := range d.Y {
			want := uint8(at)
			if i, c := at/d.YPixel, at%d.YPixel; c < channels && i < d.Count {
				sum := int64(d.Initial[positions[c]])
				for k := range height {
					for l := range d.Columns {
						sum += int64(d.X[int(d.Rows[k])+(i*d.Step+l)*d.XPixel+c]) * int64(weights[(c*height+k)*d.Columns+l])
					}
				}
				want = d.Result.result(sum, positions[c], nil)
			}
			if got != want {
				f.Fatalf("call %d: %d×%d, step %d, %d channels, %d results: element %d: found %d, expected %d", f.seed, height, d.Columns, d.Step, channels, d.Count, at, got, want)
			}
		}
	})
}

// Maxima, sums and tables are those of plain loops.
func TestByteElements(t *testing.T) {
	eachFuzz(t, 600, func(f *fuzz) {
		e := ByteEngineOf(f.engine)
		channels := 1 + f.length()
		w := &ByteWindows{Offsets: array[int32](f, 1+f.IntN(9)), Count: 1 + f.IntN(6), Step: f.IntN(2 * channels), YStep: channels + f.IntN(9), Channels: channels}
		last := 0
		for i := range w.Offsets {
			w.Offsets[i] = int32(f.IntN(3 * channels))
			last = max(last, int(w.Offsets[i]))
		}
		w.X = f.activations((w.Count-1)*w.Step + last + channels)
		w.Y = array[uint8](f, (w.Count-1)*w.YStep+channels)
		clear(w.Y)
		e.Maxima(w)
		for i, got := range w.Y {
			want := uint8(0)
			if window, c := i/w.YStep, i%w.YStep; c < channels {
				for _, offset := range w.Offsets {
					want = max(want, w.X[window*w.Step+int(offset)+c])
				}
			}
			if got != want {
				f.Fatalf("call %d: maximum %d of %d channels: found %d, expected %d", f.seed, i, channels, got, want)
			}
		}

		rows, step := f.IntN(6), channels+f.IntN(3)
		sum, x := array[int32](f, channels), f.activations(max(0, rows-1)*step+channels)
		for i := range sum {
			sum[i] = int32(i)
		}
		e.Sums(sum, x, rows, step)
		for c, got := range sum {
			want := int32(c)
			for row := range rows {
				want += int32(x[row*step+c])
			}
			if got != want {
				f.Fatalf("call %d: the sum of channel %d of %d, %d rows: found %d, expected %d", f.seed, c, channels, rows, got, want)
			}
		}

		q, firstZero := f.wideByteResult(1, 200), uint8(f.IntN(256))
		factors, z := array[int32](f, channels), array[uint8](f, len(x)/channels*channels)
		for i := range factors {
			factors[i] = int32(f.IntN(511) - 255)
		}
		e.Multiply(z, x[:len(z)], factors, firstZero, &q)
		for i, got := range z {
			if want := q.result(int64(int(x[i])-int(firstZero))*int64(factors[i%channels]), 0, nil); got != want {
				f.Fatalf("call %d: product %d of %d: found %d, expected %d", f.seed, i, len(z), got, want)
			}
		}
		q.Negative = nil
		b := f.activations(len(z))
		e.Add(z, x[:len(z)], b, firstZero, &q)
		for i, got := range z {
			if want := q.result(int64(x[i])-int64(firstZero), 0, &b[i]); got != want {
				f.Fatalf("call %d: sum %d of %d: found %d, expected %d", f.seed, i, len(z), got, want)
			}
		}

		table, y := f.activations(256), array[uint8](f, len(x))
		e.Lookup(y, x, table)
		for i, got := range y {
			if want := table[x[i]]; got != want {
				f.Fatalf("call %d: element %d of %d: found %d, expected %d", f.seed, i, len(y), got, want)
			}
		}

		planes := 1 + f.IntN(4)
		tables, pixels := f.activations(256*planes), f.activations(planes*f.IntN(200))
		y = array[uint8](f, len(pixels))
		e.Lookups(y, pixels, tables, planes)
		for i, got := range y {
			if want := tables[256*(i%planes)+int(pixels[i])]; got != want {
				f.Fatalf("call %d: byte %d of %d of pixels of %d channels: found %d, expected %d", f.seed, i, len(y), planes, got, want)
			}
		}
	})
}

func TestByteEngines(t *testing.T) {
	for _, engine := range Engines() {
		e := ByteEngineOf(engine)
		if e.Lanes() < 1 || e.MaxWidth() < 1 || e.Name() == "" {
			t.Errorf("%q has %d lanes and panels of at most %d vectors", e.Name(), e.Lanes(), e.MaxWidth())
		}
		if got := e.MultiplyAdds(3); got < 3 || e.MultiplyAdds(6) != 2*got || e.MultiplyAdds(0) != 0 {
			t.Errorf("%s: three iterations are %d operations, six are %d, none is %d", e.Name(), got, e.MultiplyAdds(6), e.MultiplyAdds(0))
		}
	}
}

// The upper bound of the rate of one thread, with which to compare the others.
func BenchmarkByteCeiling(b *testing.B) {
	for _, engine := range Engines() {
		e := ByteEngineOf(engine)
		b.Run(e.Name(), func(b *testing.B) {
			operations := 0
			for b.Loop() {
				operations += e.MultiplyAdds(1000)
			}
			b.ReportMetric(float64(operations)/b.Elapsed().Seconds()/1e9, "Gop/s")
		})
	}
}

func BenchmarkByteRows(b *testing.B) {
	for _, engine := range Engines() {
		e := ByteEngineOf(engine)
		for width := 1; width <= e.MaxWidth(); width++ {
			for _, depth := range []int{16, 64, 576, 2304} {
				const rows = 96
				columns := width * e.Lanes()
				r := &ByteRows{
					Width: width, Columns: columns, Segments: 1, Length: depth,
					X: make([]uint8, rows*depth), Y: make([]uint8, rows*columns), B: make([]uint8, e.PanelSize(depth, width)), Initial: make([]int32, columns),
					Result: ByteResult{Shift: make([]int32, columns), Multiplier: make([]int32, columns), Digits: 6, High: 255},
				}
				for i := range rows {
					r.XOffsets, r.YOffsets = append(r.XOffsets, int32(i*depth)), append(r.YOffsets, int32(i*columns))
				}
				b.Run(fmt.Sprintf("%s/%d/%d", e.Name(), width, depth), func(b *testing.B) {
					for b.Loop() {
						e.Rows(r)
					}
					b.ReportMetric(2*float64(rows*depth*columns)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gop/s")
				})
			}
		}
	}
}

func BenchmarkByteDepthwise(b *testing.B) {
	for _, engine := range Engines() {
		e := ByteEngineOf(engine)
		lanes, _ := e.DepthwiseLanes()
		for _, height := range []int{3, 5} {
			for step := 1; step <= 2; step++ {
				const count = 28
				d := &ByteDepthwise{
					X: make([]uint8, 8*(2*count+8)*lanes), XPixel: lanes, Step: step, Columns: height, Y: make([]uint8, count*lanes), YPixel: lanes, Count: count, Channels: lanes,
					Weights: make([]uint8, e.DepthwiseSize(height, height)), Initial: make([]int32, lanes), Result: ByteResult{Shift: make([]int32, lanes), Multiplier: make([]int32, lanes), Digits: 6, High: 255},
				}
				for k := range (height + e.DepthwiseRows() - 1) / e.DepthwiseRows() * e.DepthwiseRows() {
					d.Rows = append(d.Rows, int32(min(k, height-1)*(2*count+8)*lanes))
				}
				b.Run(fmt.Sprintf("%s/%d/%d", e.Name(), height, step), func(b *testing.B) {
					for b.Loop() {
						e.Depthwise(d)
					}
					b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/count, "ns/pixel")
				})
			}
		}
	}
}
