package vector

import (
	"math"
	"slices"
	"testing"
)

func TestRows(t *testing.T) {
	eachFuzz(t, 5000, func(f *fuzz) {
		lanes := f.engine.Lanes()
		width := 1 + f.IntN(f.engine.MaxWidth())
		r := &Rows[float32]{
			Width: width, Columns: width*lanes - f.IntN(lanes), Segments: 1 + f.IntN(4), Length: 1 + f.IntN(20), Stride: f.IntN(30),
			Add: f.IntN(2) == 0, Clip: Clip(f.IntN(3)),
		}
		rows := 1 + f.IntN(30)
		r.AOffsets, r.COffsets = array[int32](f, rows), array[int32](f, rows)
		for i := range rows {
			r.AOffsets[i], r.COffsets[i] = int32(f.IntN(500)), int32(i*(r.Columns+f.IntN(3)))
			switch {
			case r.Clip != NoClip: // rows must not overlap
				r.COffsets[i] = int32(i * (r.Columns + 2))
			case r.Add: // rows may overlap
				r.COffsets[i] = int32(f.IntN(300))
			}
		}
		r.A = f.quarters(int(slices.Max(r.AOffsets)) + (r.Segments-1)*r.Stride + r.Length)
		r.B = f.quarters(r.Segments * r.Length * width * lanes)
		for i := range r.B {
			if i%(width*lanes) >= r.Columns {
				r.B[i] = 0
			}
		}
		if f.IntN(2) == 0 {
			r.Initial = f.quarters(r.Columns)
		}
		r.C = f.quarters(int(slices.Max(r.COffsets)) + r.Columns)
		want := slices.Clone(r.C)
		if r.Add && r.Clip != NoClip && f.IntN(2) == 0 {
			r.Addend = f.quarters(len(r.C))
		}
		for i := range rows {
			for j := range r.Columns {
				var sum float32
				if r.Initial != nil {
					sum = r.Initial[j]
				}
				for s := range r.Segments {
					for k := range r.Length {
						sum += r.A[int(r.AOffsets[i])+s*r.Stride+k] * r.B[(s*r.Length+k)*width*lanes+j]
					}
				}
				at := int(r.COffsets[i]) + j
				if r.Addend != nil {
					sum += r.Addend[at]
				} else if r.Add {
					sum += want[at]
				}
				want[at] = float32(clipped(r.Clip, float64(sum)))
			}
		}
		ahead := f.quarters(f.IntN(3) * f.IntN(2000))
		r.Ahead = ahead
		f.engine.Rows(r)
		f.want("C", r.C, func(i int) float64 { return float64(want[i]) })
		if n := len(ahead) - len(r.Ahead); n < 0 || n < len(ahead) && n%16 != 0 || len(r.Ahead) > 0 && &ahead[n] != &r.Ahead[0] {
			f.Errorf("of %d elements ahead %d are left, which are not the last ones", len(ahead), len(r.Ahead))
		}
	})
}

func TestOuter(t *testing.T) {
	eachFuzz(t, 5000, func(f *fuzz) {
		o := &Outer[float32]{Run: 1 + f.IntN(30), Columns: 1 + f.IntN(150), Add: f.IntN(2) == 0}
		o.CStride = o.Columns + f.IntN(5)
		count := 1 + f.IntN(20)
		o.AOffsets, o.BOffsets = array[int32](f, count), array[int32](f, count)
		for p := range count {
			o.AOffsets[p], o.BOffsets[p] = int32(f.IntN(300)), int32(f.IntN(300))
		}
		o.A = f.quarters(int(slices.Max(o.AOffsets)) + o.Run)
		o.B = f.quarters(int(slices.Max(o.BOffsets)) + o.Columns)
		o.C = f.quarters((o.Run-1)*o.CStride + o.Columns)
		before := slices.Clone(o.C)
		f.engine.Outer(o)
		f.want("C", o.C, func(at int) float64 {
			i, j := at/o.CStride, at%o.CStride
			if j >= o.Columns {
				return float64(before[at])
			}
			var sum float32
			if o.Add {
				sum = before[at]
			}
			for p := range count {
				sum += o.A[int(o.AOffsets[p])+i] * o.B[int(o.BOffsets[p])+j]
			}
			return float64(sum)
		})
	})
}

// values is n normal numbers of float32, as float64.
func (f *fuzz) values(n int) []float64 {
	x := array[float64](f, n)
	for i := range x {
		x[i] = float64(float32(f.NormFloat64()))
	}
	return x
}

// wantBits fails the test unless two arrays of float64 are equal bit for bit.
func (f *fuzz) wantBits(what string, got, want []float64) {
	f.Helper()
	for i := range got {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			f.Fatalf("call %d: %s: element %d of %d: found %v, expected %v", f.seed, what, i, len(got), got[i], want[i])
		}
	}
}

// Every engine must give the bits of sums in the order of the elements.
func TestInnerProducts(t *testing.T) {
	eachFuzz(t, 2000, func(f *fuzz) {
		rows, columns := f.engine.InnerTile()
		n, stride := f.IntN(40), columns+f.IntN(5)
		c, a, b := f.values((rows-1)*stride+columns), f.values(n*rows), f.values(n*columns)
		want := slices.Clone(c)
		for i := range rows {
			for j := range columns {
				for k := range n {
					want[i*stride+j] += a[k*rows+i] * b[k*columns+j]
				}
			}
		}
		f.engine.InnerProducts(c, stride, a, b)
		f.wantBits("c", c, want)

		sum := f.values(columns)
		want = slices.Clone(sum)
		for i, v := range b {
			want[i%columns] += v * v
		}
		f.engine.InnerSquares(sum, b)
		f.wantBits("the sum of squares", sum, want)
	})
}

func TestWiden(t *testing.T) {
	eachFuzz(t, 1000, func(f *fuzz) {
		n := f.length()
		x, y, want := array[float32](f, n), array[float64](f, n), make([]float64, n)
		for i := range x {
			x[i] = float32(f.NormFloat64())
			want[i] = float64(x[i])
		}
		f.engine.Widen(y, x)
		f.wantBits("y", y, want)
	})
}

// Sums over the maxima equal sums over all positions with zeros at the others.
func TestPeaks(t *testing.T) {
	eachFuzz(t, 400, func(f *fuzz) {
		adder, ok := AsPeakAdder(f.engine)
		if !ok {
			f.Skip("the engine has no Peaks in assembly")
		}
		p := &Peaks[float32]{
			Count: 1 + f.IntN(9), Channels: 1 + f.IntN(40), Rows: 1 + f.IntN(7), Taps: 1 + f.IntN(MaxTaps),
			AStep: 1 + f.IntN(3),
		}
		p.ARow, p.CStride = p.Taps+f.IntN(5), p.Channels+f.IntN(3)
		for i := range p.Offsets {
			p.Offsets[i] = f.IntN(20)
		}
		size := p.Rows * p.Taps
		p.A = f.quarters(20 + (p.Count-1)*p.AStep + (p.Rows-1)*p.ARow + p.Taps)
		p.Y, p.Position = f.quarters(p.Count*p.Channels), array[uint8](f, p.Count*p.Channels)
		for i := range p.Position {
			p.Position[i] = uint8(f.IntN(5)) // 4 is none
		}
		p.C = f.quarters((size-1)*p.CStride + p.Channels)
		old := append([]float32(nil), p.C...)
		var oldSum []float32
		if f.IntN(2) == 0 {
			p.Sum = f.quarters(p.Channels)
			oldSum = append(oldSum, p.Sum...)
		}
		over := func(j int, visit func(i int, y float64)) {
			for i := range p.Count {
				if p.Position[i*p.Channels+j] < 4 {
					visit(i, float64(p.Y[i*p.Channels+j]))
				}
			}
		}
		adder.Peaks(p)
		f.want("C", p.C, func(at int) float64 {
			sum := float64(old[at])
			tap, j := at/p.CStride, at%p.CStride
			if j >= p.Channels {
				return sum
			}
			over(j, func(i int, y float64) {
				from := i*p.AStep + p.Offsets[p.Position[i*p.Channels+j]] + tap/p.Taps*p.ARow + tap%p.Taps
				sum += float64(p.A[from]) * y
			})
			return sum
		})
		f.want("the sum", p.Sum, func(j int) float64 {
			sum := float64(oldSum[j])
			over(j, func(_ int, y float64) { sum += y })
			return sum
		})
	})
}
