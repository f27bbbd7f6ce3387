package kernel

import "github.com/likeness-go/likeness/internal/vector"

// The gradient of the weights is a convolution, too: the input's tiles by those
// of the result's gradient, whose 3×3 or 4×4 results are taps. So the same
// tiles of the input as in the forward pass are multiplied, value by value, with
// the transformed tiles of the gradient, the products are added up over all
// tiles, and only their sums are transformed back.

// leastGradientTiles is from how many tiles on that pays: the sums are several
// times as large as the weights.
const leastGradientTiles = 512

// sums is the number of elements of the sums, (36, depth, out).
func (m *winograd) sums() int { return tileValues * m.depth() * m.out }

// overhang is how many rows and columns beyond the result the tiles reach.
func (m *winograd) overhang() (rows, columns int) {
	return ceilDiv(m.height, m.step())*m.step() - m.height, ceilDiv(m.side, m.step())*m.step() - m.side
}

// addGradient adds the products of the images x and of their results' gradient,
// both with their border, to the sums, or begins fresh ones.
func (m *winograd) addGradient(w *workspace[float32], sums, x, gradient []float32, h, at halo, fresh bool) {
	all := tiles{down: ceilDiv(m.height, m.step()), across: ceilDiv(m.side, m.step())}
	all.last = h.images * all.down
	for _, t := range m.chunks(all, chunkElements) {
		values := grow(&w.values, tileValues*t.apart(m.depth()))
		slopes := grow(&w.results, tileValues*t.apart(m.out))
		for row := t.first; row < t.last; row++ {
			m.enter(w, values, x, h, t, row)
			m.enterGradient(w, slopes, gradient, at, t, row)
		}
		for value := range tileValues {
			m.addProducts(w, sums, values, slopes, t, value, !fresh || t.first > 0)
		}
	}
}

// enterGradient transforms a row of tiles of the gradient as if they were
// weights.
func (m *winograd) enterGradient(w *workspace[float32], slopes, gradient []float32, at halo, s tiles, row int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Channels, t.Bias = m.step(), s.across, m.out, nil
	t.XRow, t.XPixel, t.XTile = at.rowSize(), m.out, m.step()*m.out
	t.VTile, t.VStride = m.out, s.apart(m.out)
	t.X, t.V = gradient[at.row(row/s.down, row%s.down*m.step()):], slopes[s.before(row)*m.out:]
	m.transforms.WinogradWeights(t)
}

// addProducts adds up the products of one of the values of each tile.
func (m *winograd) addProducts(w *workspace[float32], sums, values, slopes []float32, s tiles, value int, add bool) {
	depth, count := m.depth(), s.count()
	offsets := grow(&w.offsets, 2*count)
	for i := range count {
		offsets[i], offsets[count+i] = int32(i*depth), int32(i*m.out)
	}
	o := &w.outer
	*o = vector.Outer[float32]{
		C: sums[value*depth*m.out:], CStride: m.out, Run: depth, Columns: m.out, Add: add,
		A: values[value*s.apart(depth):], AOffsets: offsets[:count],
		B: slopes[value*s.apart(m.out):], BOffsets: offsets[count:],
	}
	m.engine.Outer(o)
}

// leaveGradient writes the gradient of the weights, (kernel, kernel, in, out).
func (m *winograd) leaveGradient(y, sums []float32) {
	size, taps := m.in*m.out, m.pieces*m.piece
	to := y
	if taps != m.kernel {
		to = grow(&m.padded, taps*taps*size)
	}
	bands := min(units, size/m.engine.Lanes())
	parallel(m.pieces*m.pieces*bands, func(w *workspace[float32], unit int) {
		piece, band := unit/bands, unit%bands
		first, last := m.lanes(band*size/bands), m.lanes((band+1)*size/bands)
		zeros := grow(&w.normalized, last-first)
		clear(zeros)
		t := &w.tiles
		t.Kernel, t.Tiles, t.Channels, t.Bias = m.step(), 1, last-first, zeros
		t.XRow, t.XPixel, t.XTile = taps*size, size, 0
		t.VStride, t.VTile = m.depth()*m.out, 0
		t.X = to[(piece/m.pieces*taps+piece%m.pieces)*m.piece*size+first:]
		t.V = sums[piece*size+first:]
		m.transforms.WinogradOutput(t)
	})
	if taps == m.kernel {
		return
	}
	Parallel(m.kernel, func(row int) {
		copy(y[row*m.kernel*size:][:m.kernel*size], to[row*taps*size:])
	})
}

// lanes rounds down to whole vectors.
func (m *winograd) lanes(n int) int { return n / m.engine.Lanes() * m.engine.Lanes() }
