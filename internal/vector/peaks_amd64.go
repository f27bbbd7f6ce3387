package vector

// peaksRows and peaksMost bound the tiles: rows of taps, and taps in all.
const (
	peaksRows = 3
	peaksMost = 24
)

// peakAdder is the set of AVX-512 as one that has Peaks.
type peakAdder struct{ *Set }

// AsPeakAdder returns the engine as one that has Peaks, if it has.
func AsPeakAdder[T Float](e Engine[T]) (PeakAdder, bool) {
	s, ok := any(e).(*Set)
	return peakAdder{s}, ok && s == avx512
}

// Peaks adds up the products.
func (s peakAdder) Peaks(p *Peaks[float32]) {
	last := (p.Count - 1) * p.Channels
	_, _ = p.Y[last+p.Channels-1], p.Position[last+p.Channels-1]
	_ = p.C[(p.Rows*p.Taps-1)*p.CStride+p.Channels-1]
	for _, offset := range p.Offsets {
		_ = p.A[offset:][(p.Count-1)*p.AStep+(p.Rows-1)*p.ARow+p.Taps-1]
	}
	call := &p.call
	*call = peaksCall{
		cStride: 4 * p.CStride, aStep: 4 * p.AStep, aRow: 4 * p.ARow, channels: p.Channels,
	}
	for i, offset := range p.Offsets {
		call.offsets[i] = 4 * offset
	}
	most := min(peaksRows, peaksMost/p.Taps, p.Rows)
	for left := 0; left < p.Channels; left += s.lanes {
		call.mask = maskOf(min(s.lanes, p.Channels-left)).bits
		for row := 0; row < p.Rows; row += most {
			rows := min(most, p.Rows-row)
			call.c, call.a = &p.C[row*p.Taps*p.CStride+left], &p.A[row*p.ARow]
			call.y, call.position, call.count = &p.Y[left], &p.Position[left], p.Count
			call.sum = nil
			if p.Sum != nil && row == 0 {
				call.sum = &p.Sum[left]
			}
			peaksTiles[rows][p.Taps](call)
		}
	}
}
