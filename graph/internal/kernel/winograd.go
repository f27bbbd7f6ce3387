package kernel

import (
	"os"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/vector"
)

// winograd is a 3×3 convolution by Winograd's algorithm F(4×4, 3×3), with a
// quarter of the products of a direct one where tiles of 4×4 results fit: see
// vector.Winograd. It is for float32 alone, and its results are off by about
// 1e-5 of the largest.
type winograd struct {
	transforms   vector.Transforms
	engine       vector.Engine[float32]
	in, out      int // channels
	height, side int // rows and columns of results
	panels       *packed[float32]
	values       []float32 // of the weights: for each panel 36 matrices (in, panel's columns)
}

var noWinograd atomic.Bool

func init() { noWinograd.Store(os.Getenv("LIKENESS_WINOGRAD") == "off") }

// SetWinograd says whether layers made from now on may use Winograd's
// algorithm where it is faster. They do unless told otherwise.
func SetWinograd(on bool) { noWinograd.Store(!on) }

// tileSide is the side of a tile of results; of a window it takes 2 more.
const tileSide = 4

// newWinograd returns nil where the algorithm does not apply or does not pay.
func newWinograd[T Float](engine vector.Engine[T], s ConvShape) *winograd {
	single, ok := any(engine).(vector.Engine[float32])
	if !ok || noWinograd.Load() {
		return nil
	}
	transforms, ok := single.(vector.Transforms)
	height, width := s.Output()
	m := &winograd{transforms: transforms, engine: single, in: s.Channels, out: s.Filters, height: height, side: width}
	if !ok || s.KernelHeight != 3 || s.KernelWidth != 3 || s.Stride != 1 || s.Padding > 2 ||
		s.Channels%single.Lanes() != 0 || s.Filters%single.Lanes() != 0 || s.Batch*m.tiles() < 32 {
		return nil
	}
	return m
}

// tiles returns the number of tiles of an image.
func (m *winograd) tiles() int { return ceilDiv(m.height, tileSide) * ceilDiv(m.side, tileSide) }

// group returns how many images are taken together: products need some rows.
func (m *winograd) group(batch, atLeast int) int {
	return max(1, min(max(atLeast, ceilDiv(32, m.tiles())), batch/8))
}

// reach returns how many rows of the input so many rows of results need, tiles
// that hang over included.
func (m *winograd) reach(rows int) int { return ceilDiv(rows, tileSide)*tileSide + 2 }

// border widens a border so that the last tiles may hang over.
func (m *winograd) border(h halo) halo {
	h.bottom = max(h.bottom, m.reach(m.height)+tileSide-1-h.top-h.height)
	h.right = max(h.right, m.reach(m.side)-h.left-h.width)
	return h
}

// transform sets the weights to those packed for a direct convolution.
func (m *winograd) transform(p *packed[float32]) {
	m.panels = p
	grow(&m.values, 4*p.vectors()*p.lanes*p.depth)
	Parallel(p.panels, func(i int) {
		w := borrow[float32]()
		defer w.giveBack()
		q := p.panel(i)
		size := m.in * q.width * p.lanes
		t := &w.tiles
		t.X, t.XRow, t.XPixel = q.data, 3*size, size
		t.V, t.VStride, t.Tiles, t.Channels, t.Bias = m.panel(q), size, 1, size, nil
		m.transforms.WinogradWeights(t)
	})
}

// panel returns the transformed weights of a panel.
func (m *winograd) panel(q panel[float32]) []float32 {
	return m.values[4*q.left*m.panels.depth:]
}

// convolve writes rows [top, bottom) of the results y (images, rows, width,
// out) of the images x with their border.
func (m *winograd) convolve(w *workspace[float32], y, x, bias []float32, h halo, top, bottom, width int) {
	down, across := ceilDiv(bottom-top, tileSide), ceilDiv(width, tileSide)
	count := h.images * down * across
	values := grow(&w.values, 36*count*m.in)
	results := grow(&w.results, 36*count*m.out)
	tiles := &w.tiles
	tiles.XRow, tiles.XPixel, tiles.XTile = h.rowSize(), m.in, tileSide*m.in
	tiles.VStride, tiles.VTile, tiles.Tiles, tiles.Channels, tiles.Bias = count*m.in, m.in, across, m.in, nil
	for image := range h.images {
		for row := range down {
			tiles.X = x[image*h.imageSize()+(top+row*tileSide)*h.rowSize():]
			tiles.V = values[(image*down+row)*across*m.in:]
			m.transforms.WinogradInput(tiles)
		}
	}
	m.multiply(w, results, values, count)
	m.finish(w, y, results, bias, h.images, bottom-top, width)
}

// multiply makes the products of the 36 values of each tile and the weights.
func (m *winograd) multiply(w *workspace[float32], results, values []float32, count int) {
	offsets := grow(&w.offsets, 2*count)
	for i := range count {
		offsets[i], offsets[count+i] = int32(i*m.in), int32(i*m.out)
	}
	p := &w.product
	*p = vector.Rows[float32]{
		Segments: 1, Length: m.in, Stride: m.in, AOffsets: offsets[:count], COffsets: offsets[count:],
	}
	for i := range m.panels.panels {
		q := m.panels.panel(i)
		weights, size := m.panel(q), m.in*q.width*m.panels.lanes
		p.Width, p.Columns = q.width, q.columns
		for value := range 36 {
			p.A, p.B, p.C = values[value*count*m.in:], weights[value*size:][:size], results[value*count*m.out+q.left:]
			m.engine.Rows(p)
		}
	}
}

// finish brings the results of the tiles back to the images.
func (m *winograd) finish(w *workspace[float32], y, results, bias []float32, images, rows, width int) {
	down, across := ceilDiv(rows, tileSide), ceilDiv(width, tileSide)
	count := images * down * across
	run := width * m.out
	if bias == nil {
		bias = grow(&w.normalized, m.out)
		clear(bias)
	}
	tiles := &w.tiles
	tiles.VStride, tiles.VTile, tiles.Channels, tiles.Bias = count*m.out, m.out, m.out, bias
	for image := range images {
		for row := range down {
			first := (image*down + row) * across
			to := y[(image*rows+row*tileSide)*run:]
			whole := 0
			if (row+1)*tileSide <= rows {
				whole = width / tileSide
			}
			if whole > 0 {
				tiles.X, tiles.XRow, tiles.XPixel, tiles.XTile = to, run, m.out, tileSide*m.out
				tiles.V, tiles.Tiles = results[first*m.out:], whole
				m.transforms.WinogradOutput(tiles)
			}
			for column := whole; column < across; column++ {
				tile := grow(&w.tile, tileSide*tileSide*m.out)
				tiles.X, tiles.XRow, tiles.XPixel, tiles.XTile = tile, tileSide*m.out, m.out, 0
				tiles.V, tiles.Tiles = results[(first+column)*m.out:], 1
				m.transforms.WinogradOutput(tiles)
				inside := min(tileSide, width-column*tileSide) * m.out
				for i := range min(tileSide, rows-row*tileSide) {
					copy(to[i*run+column*tileSide*m.out:][:inside], tile[i*tileSide*m.out:])
				}
			}
		}
	}
}

// single returns a slice of float32s as such.
func single[T Float](x []T) []float32 {
	s, _ := any(x).([]float32)
	return s
}
