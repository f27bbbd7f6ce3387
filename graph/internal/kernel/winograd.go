package kernel

import (
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

// leastTiles is from how many tiles on the algorithms pay: the transformed
// weights are several times the weights, and are read for each group of them.
const leastTiles = 32

// newWinograd returns nil where the algorithms do not apply or do not pay.
func newWinograd[T Float](engine vector.Engine[T], s ConvShape, leastTiles int) *winograd {
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
	if m.piece == 0 || s.Batch*m.tiles() < leastTiles {
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
	parallel(p.panels*m.pieces, func(w *workspace[float32], unit int) {
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
func single[T Float](x []T) []float32 {
	s, _ := any(x).([]float32)
	return s
}
