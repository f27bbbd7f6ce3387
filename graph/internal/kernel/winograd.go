package kernel

import (
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// winograd is a convolution by Winograd's algorithms F(4×4, 3×3) and
// F(3×3, 4×4), see vector.Winograd. A larger kernel, with zeros at its edge, is
// taken in pieces of 3×3 or 4×4, whose products add up before they are
// transformed back: 7×7 are four pieces of 4×4, with a third of the products
// of a direct convolution. It is for float32 alone, and rounds more: a test
// allows 3e-5 of the largest result.
type winograd struct {
	transforms   vector.Transforms
	engine       vector.Engine[float32]
	kernel       int // of the whole convolution
	piece        int // 3 or 4
	pieces       int // of the kernel, in rows and in columns
	in, out      int // channels
	height, side int // rows and columns of results
	panels       *packed[float32]
	values       []float32 // of the weights: for each panel 36 matrices (pieces², in, panel's columns)
	padded       []float32 // weights with zeros at the edge of the kernel
}

var noWinograd atomic.Bool

// SetWinograd says whether layers made from now on may use Winograd's
// algorithms where they are faster. They do unless told otherwise.
func SetWinograd(on bool) { noWinograd.Store(!on) }

// WinogradAllowed is what SetWinograd or the environment said.
func WinogradAllowed() bool { return !noWinograd.Load() }

// A tile is of 6×6 pixels, transformed to as many values.
const (
	tilePixels = 6
	tileValues = tilePixels * tilePixels
)

// minTiles is from how many tiles on the algorithms pay: the transformed
// weights are several times the weights, and are read for each group of them.
const minTiles = 32

// newWinograd returns nil where the algorithms do not apply or do not pay.
func newWinograd[T Float](engine vector.Engine[T], s ConvShape, minTiles int) *winograd {
	single, ok := any(engine).(vector.Engine[float32])
	if !ok || noWinograd.Load() {
		return nil
	}
	transforms, ok := single.(vector.Transforms)
	height, width := s.Output()
	m := &winograd{
		transforms: transforms, engine: single, kernel: s.KernelHeight,
		in: s.Channels, out: s.Filters, height: height, side: width,
	}
	if !ok || s.KernelHeight != s.KernelWidth || s.Stride != 1 ||
		s.Channels%single.Lanes() != 0 || s.Filters%single.Lanes() != 0 {
		return nil
	}
	// The piece with which fewer products are left; at least half must go.
	best := height * width * s.KernelHeight * s.KernelWidth / 2
	for piece := 3; piece <= 4; piece++ {
		try := *m
		try.piece, try.pieces = piece, ceilDiv(s.KernelHeight, piece)
		if try.products() <= best {
			best, *m = try.products(), try
		}
	}
	if m.piece == 0 || s.Batch*m.tiles() < minTiles {
		return nil
	}
	return m
}

// step is how many results a tile has on a side.
func (m *winograd) step() int { return tilePixels + 1 - m.piece }

// tiles returns the number of tiles of an image.
func (m *winograd) tiles() int { return ceilDiv(m.height, m.step()) * ceilDiv(m.side, m.step()) }

// products returns the number of products of an image, for each channel and
// filter.
func (m *winograd) products() int { return m.tiles() * tileValues * m.pieces * m.pieces }

// depth is the number of elements of a row of the product.
func (m *winograd) depth() int { return m.pieces * m.pieces * m.in }

// group returns how many images are taken together: products need some rows.
func (m *winograd) group(batch, atLeast int) int {
	return max(1, min(max(atLeast, ceilDiv(32, m.tiles())), batch/4))
}

// reach returns how many rows of the input so many rows of results need, tiles
// and pieces that hang over included.
func (m *winograd) reach(rows int) int {
	return (ceilDiv(rows, m.step())-1)*m.step() + (m.pieces-1)*m.piece + tilePixels
}

// border widens a border so that the last tiles may hang over.
func (m *winograd) border(h halo) halo {
	h.bottom = max(h.bottom, m.reach(m.height)+m.step()-1-h.top-h.height)
	h.right = max(h.right, m.reach(m.side)-h.left-h.width)
	return h
}

// transform sets the weights to those packed for a direct convolution.
func (m *winograd) transform(p *packed[float32]) {
	m.panels = p
	all := p.vectors() * p.lanes // columns
	grow(&m.values, tileValues*m.depth()*all)
	taps := m.pieces * m.piece // of a side, with zeros
	if taps != m.kernel {
		grow(&m.padded, taps*taps*m.in*all)
	}
	divide(p.panels*m.pieces, func(w *workspace[float32], unit int) {
		q, row := p.panel(unit/m.pieces), unit%m.pieces
		size := m.in * q.width * p.lanes
		weights := q.data
		if taps != m.kernel {
			weights = m.padded[taps*taps*m.in*q.left:][:taps*taps*size]
			m.pad(weights, q.data, size, row*m.piece)
		}
		t := &w.tiles
		t.Kernel, t.Tiles, t.Channels, t.Bias = m.piece, 1, size, nil
		t.XRow, t.XPixel, t.VStride = taps*size, size, m.pieces*m.pieces*size
		for column := range m.pieces {
			t.X = weights[(row*taps+column)*m.piece*size:]
			t.V = m.panel(q)[(row*m.pieces+column)*size:]
			m.transforms.WinogradWeights(t)
		}
	})
}

// pad copies a row of pieces of the weights, each tap of so many elements, and
// makes taps beyond the kernel zero.
func (m *winograd) pad(to, from []float32, size, first int) {
	taps := m.pieces * m.piece
	for y := first; y < first+m.piece; y++ {
		row := to[y*taps*size:][:taps*size]
		inside := 0
		if y < m.kernel {
			inside = copy(row, from[y*m.kernel*size:][:m.kernel*size])
		}
		clear(row[inside:])
	}
}

// panel returns the transformed weights of a panel.
func (m *winograd) panel(q panel[float32]) []float32 {
	return m.values[tileValues*m.depth()*q.left:]
}

// single returns a slice of float32s as such.
func asFloat32[T Float](x []T) []float32 {
	s, _ := any(x).([]float32)
	return s
}

// chunkElements is how many transformed values there are at a time, so that
// they stay in the level 2 cache.
const chunkElements = 384 << 10

// tiles are some rows of tiles, worked on at a time.
type tiles struct {
	first, last  int // rows of tiles, counted through all images
	down, across int // tiles of an image
	top          int // row of the result where an image's first tile begins
}

// apart is how many elements one of the 36 values of all tiles, each of so many
// elements, lies from the next: a line of the cache more than they take, as what
// is a multiple of 4 KiB apart would crowd into a few sets of the level 1 cache.
func (t tiles) apart(elements int) int { return t.count()*elements + 16 }

// count is the number of tiles, and before that of those before a row of tiles.
func (t tiles) count() int         { return t.before(t.last) }
func (t tiles) before(row int) int { return (row - t.first) * t.across }

// chunks divides rows of tiles into as many at a time as have so many values.
func (m *winograd) chunks(all tiles, elements int) []tiles {
	chunk := max(1, elements/(tileValues*all.across*(m.depth()+m.out)), ceilDiv(24, all.across))
	chunks := make([]tiles, ceilDiv(all.last, chunk))
	for i := range chunks {
		chunks[i] = all
		chunks[i].first, chunks[i].last = i*all.last/len(chunks), (i+1)*all.last/len(chunks)
	}
	return chunks
}

// convolve writes rows [top, bottom) of the results y (images, rows, width,
// out) of the images x with their border, some rows of tiles at a time.
func (m *winograd) convolve(w *workspace[float32], y, x, bias []float32, h halo, top, bottom, width int) {
	all := tiles{down: ceilDiv(bottom-top, m.step()), across: ceilDiv(width, m.step()), top: top}
	all.last = h.images * all.down
	bias = m.orZeros(w, bias)
	for _, t := range m.chunks(all, chunkElements) {
		values := grow(&w.values, tileValues*t.apart(m.depth()))
		results := grow(&w.results, tileValues*t.apart(m.out))
		for row := t.first; row < t.last; row++ {
			m.enter(w, values, x, h, t, row)
		}
		for value := range tileValues {
			m.multiply(w, results, values, t, value)
		}
		for row := t.first; row < t.last; row++ {
			m.leave(w, y, results, bias, t, row, bottom-top, width)
		}
	}
}

// orZeros is the bias, or zeros where there is none.
func (m *winograd) orZeros(w *workspace[float32], bias []float32) []float32 {
	if bias == nil {
		bias = grow(&w.normalized, m.out)
		clear(bias)
	}
	return bias
}

// enter transforms a row of tiles.
func (m *winograd) enter(w *workspace[float32], values, x []float32, h halo, s tiles, row int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Channels, t.Bias = m.piece, s.across, m.in, nil
	t.XRow, t.XPixel, t.XTile = h.rowSize(), m.in, m.step()*m.in
	t.VTile, t.VStride = m.depth(), s.apart(m.depth())
	for piece := range m.pieces * m.pieces {
		y := s.top + row%s.down*m.step() + piece/m.pieces*m.piece
		t.X = x[row/s.down*h.imageSize()+y*h.rowSize()+piece%m.pieces*m.piece*m.in:]
		t.V = values[s.before(row)*m.depth()+piece*m.in:]
		m.transforms.WinogradInput(t)
	}
}

// multiply makes the products of one of the values of each tile and of the
// weights.
func (m *winograd) multiply(w *workspace[float32], results, values []float32, s tiles, value int) {
	depth, count := m.depth(), s.count()
	offsets := grow(&w.offsets, 2*count)
	for i := range count {
		offsets[i], offsets[count+i] = int32(i*depth), int32(i*m.out)
	}
	p := &w.product
	*p = vector.Rows[float32]{
		A: values[value*s.apart(depth):], Segments: 1, Length: depth, Stride: depth,
		AOffsets: offsets[:count], COffsets: offsets[count:],
	}
	for i := range m.panels.panels {
		q := m.panels.panel(i)
		size := depth * q.width * m.panels.lanes
		p.Width, p.Columns = q.width, q.columns
		p.B, p.C = m.panel(q)[value*size:][:size], results[value*s.apart(m.out)+q.left:]
		m.engine.Rows(p)
	}
}

// leave brings the results of a row of tiles back to its image, of so many
// rows.
func (m *winograd) leave(w *workspace[float32], y, results, bias []float32, s tiles, row, rows, width int) {
	step, run := m.step(), width*m.out
	t := &w.tiles
	t.Kernel, t.Channels, t.Bias = m.piece, m.out, bias
	t.VTile, t.VStride = m.out, s.apart(m.out)
	inside := min(step, rows-row%s.down*step) // rows of the image
	to := y[(row/s.down*rows+row%s.down*step)*run:]
	whole := 0
	if inside == step {
		whole = width / step
	}
	if whole > 0 {
		t.X, t.XRow, t.XPixel, t.XTile = to, run, m.out, step*m.out
		t.V, t.Tiles = results[s.before(row)*m.out:], whole
		m.transforms.WinogradOutput(t)
	}
	for column := whole; column < s.across; column++ {
		tile := grow(&w.tile, step*step*m.out)
		t.X, t.XRow, t.XPixel, t.XTile = tile, step*m.out, m.out, 0
		t.V, t.Tiles = results[(s.before(row)+column)*m.out:], 1
		m.transforms.WinogradOutput(t)
		part := min(step, width-column*step) * m.out
		for i := range inside {
			copy(to[i*run+column*step*m.out:][:part], tile[i*step*m.out:])
		}
	}
}

// The gradient of the weights is a convolution, too: the input's tiles by those
// of the result's gradient, whose 3×3 or 4×4 results are taps. So the same
// tiles of the input as in the forward pass are multiplied, value by value, with
// the transformed tiles of the gradient, the products are added up over all
// tiles, and only their sums are transformed back.

// minGradientTiles is from how many tiles on that pays: the sums are several
// times as large as the weights.
const minGradientTiles = 512

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
	divide(m.pieces*m.pieces*bands, func(w *workspace[float32], unit int) {
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
	parallel.For(m.kernel, func(row int) {
		copy(y[row*m.kernel*size:][:m.kernel*size], to[row*taps*size:])
	})
}

// lanes rounds down to whole vectors.
func (m *winograd) lanes(n int) int { return n / m.engine.Lanes() * m.engine.Lanes() }
