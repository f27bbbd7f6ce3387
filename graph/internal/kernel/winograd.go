package kernel

import (
	"os"
	"sync/atomic"

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

func init() { noWinograd.Store(os.Getenv("LIKENESS_WINOGRAD") == "off") }

// SetWinograd says whether layers made from now on may use Winograd's
// algorithms where they are faster. They do unless told otherwise.
func SetWinograd(on bool) { noWinograd.Store(!on) }

// A tile is of 6×6 pixels, transformed to as many values.
const (
	tilePixels = 6
	tileValues = tilePixels * tilePixels
)

// newWinograd returns nil where the algorithms do not apply or do not pay.
func newWinograd[T Float](engine vector.Engine[T], s ConvShape) *winograd {
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
	if m.piece == 0 || s.Batch*m.tiles() < 32 {
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
	Parallel(p.panels*m.pieces, func(unit int) {
		w := borrow[float32]()
		defer w.giveBack()
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

// chunkElements is how many transformed values there are at a time, so that
// they stay in the level 2 cache.
const chunkElements = 384 << 10

// convolve writes rows [top, bottom) of the results y (images, rows, width,
// out) of the images x with their border, some rows of tiles at a time.
func (m *winograd) convolve(w *workspace[float32], y, x, bias []float32, h halo, top, bottom, width int) {
	across := ceilDiv(width, m.step())
	rows := h.images * ceilDiv(bottom-top, m.step())
	chunk := max(1, chunkElements/(tileValues*across*(m.depth()+m.out)), ceilDiv(24, across))
	chunks := ceilDiv(rows, chunk)
	if bias == nil {
		bias = grow(&w.normalized, m.out)
		clear(bias)
	}
	for i := range chunks {
		first, last := i*rows/chunks, (i+1)*rows/chunks
		count := (last - first) * across
		values := grow(&w.values, tileValues*count*m.depth())
		results := grow(&w.results, tileValues*count*m.out)
		m.enter(w, values, x, h, first, last, top, ceilDiv(bottom-top, m.step()), across)
		m.multiply(w, results, values, count)
		m.leave(w, y, results, bias, first, last, bottom-top, width)
	}
}

// enter transforms rows [first, last) of tiles, of which an image has down.
func (m *winograd) enter(w *workspace[float32], values, x []float32, h halo, first, last, top, down, across int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Channels, t.Bias = m.piece, across, m.in, nil
	t.XRow, t.XPixel, t.XTile = h.rowSize(), m.in, m.step()*m.in
	t.VTile, t.VStride = m.depth(), (last-first)*across*m.depth()
	for row := first; row < last; row++ {
		for piece := range m.pieces * m.pieces {
			y := top + row%down*m.step() + piece/m.pieces*m.piece
			t.X = x[row/down*h.imageSize()+y*h.rowSize()+piece%m.pieces*m.piece*m.in:]
			t.V = values[(row-first)*across*m.depth()+piece*m.in:]
			m.transforms.WinogradInput(t)
		}
	}
}

// multiply makes the products of the values of each tile and of the weights.
func (m *winograd) multiply(w *workspace[float32], results, values []float32, count int) {
	depth := m.depth()
	offsets := grow(&w.offsets, 2*count)
	for i := range count {
		offsets[i], offsets[count+i] = int32(i*depth), int32(i*m.out)
	}
	p := &w.product
	*p = vector.Rows[float32]{
		Segments: 1, Length: depth, Stride: depth, AOffsets: offsets[:count], COffsets: offsets[count:],
	}
	for i := range m.panels.panels {
		q := m.panels.panel(i)
		weights, size := m.panel(q), depth*q.width*m.panels.lanes
		p.Width, p.Columns = q.width, q.columns
		for value := range tileValues {
			p.A, p.B, p.C = values[value*count*depth:], weights[value*size:][:size], results[value*count*m.out+q.left:]
			m.engine.Rows(p)
		}
	}
}

// leave brings the results of rows [first, last) of tiles back to the images,
// each of so many rows.
func (m *winograd) leave(w *workspace[float32], y, results, bias []float32, first, last, rows, width int) {
	step, run := m.step(), width*m.out
	down, across := ceilDiv(rows, step), ceilDiv(width, step)
	t := &w.tiles
	t.Kernel, t.Channels, t.Bias = m.piece, m.out, bias
	t.VTile, t.VStride = m.out, (last-first)*across*m.out
	for row := first; row < last; row++ {
		inside := min(step, rows-row%down*step) // rows of the image
		to := y[(row/down*rows+row%down*step)*run:]
		whole := 0
		if inside == step {
			whole = width / step
		}
		if whole > 0 {
			t.X, t.XRow, t.XPixel, t.XTile = to, run, m.out, step*m.out
			t.V, t.Tiles = results[(row-first)*across*m.out:], whole
			m.transforms.WinogradOutput(t)
		}
		for column := whole; column < across; column++ {
			tile := grow(&w.tile, step*step*m.out)
			t.X, t.XRow, t.XPixel, t.XTile = tile, step*m.out, m.out, 0
			t.V, t.Tiles = results[((row-first)*across+column)*m.out:], 1
			m.transforms.WinogradOutput(t)
			part := min(step, width-column*step) * m.out
			for i := range inside {
				copy(to[i*run+column*step*m.out:][:part], tile[i*step*m.out:])
			}
		}
	}
}

// single returns a slice of float32s as such.
func single[T Float](x []T) []float32 {
	s, _ := any(x).([]float32)
	return s
}
