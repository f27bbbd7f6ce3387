package vector

import "testing"

// Sums over maxima are those over all positions, of which the others are zero.
func TestPeaks(t *testing.T) {
	eachFuzz(t, 400, func(f *fuzz) {
		adder, ok := AsPeakAdder(f.engine)
		if !ok {
			f.Skip("the engine has none")
		}
		p := &Peaks[float32]{
			Count: 1 + f.IntN(9), Channels: 1 + f.IntN(40), Rows: 1 + f.IntN(7), Taps: 1 + f.IntN(MostTaps),
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
