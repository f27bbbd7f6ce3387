package kernel

import (
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/vector"
)

// winograd is a convolution by Winograd's algorithms F(4×4, 3×3) and F(3×3, 4×4), see
// vector.Winograd. A larger kernel is padded with zeros and divided into pieces of 3×3 or
// 4×4, whose products are added up before the inverse transform: a 7×7 kernel is four
// pieces of 4×4, with a third of the products of a direct convolution. It exists for
// float32 only, and its rounding error is larger: a test allows 3e-5 of the largest
// result.
type winograd struct {
	transforms    vector.Transforms
	engine        vector.Engine[float32]
	kernel        int // of the whole convolution
	piece         int // 3 or 4
	pieces        int // of the kernel, in each direction
	in, out       int // channels
	height, width int // of the result
	panels        *packed[float32]
	values        []float32 // of the weights: for each panel 36 matrices (pieces², in, panel's columns)
	padded        []float32 // weights with zeros at the edge of the kernel
	source        []float32 // the weights, if they are transformed while they are multiplied; nil if values has them
	flipped       bool      // they are the weights of the convolution of whose input this computes the gradient
}

var noWinograd atomic.Bool

// SetWinograd sets whether layers that are made from now on may use Winograd's algorithms
// where they are faster. The default is on.
func SetWinograd(on bool) { noWinograd.Store(!on) }

// WinogradAllowed returns the setting of SetWinograd or of the environment.
func WinogradAllowed() bool { return !noWinograd.Load() }

// A tile has 6×6 pixels, and as many transformed values.
const (
	tilePixels = 6
	tileValues = tilePixels * tilePixels
)

// minTiles is the smallest number of tiles for which the algorithms pay: the transformed
// weights are several times as large as the weights, and are read for each group of tiles.
const minTiles = 32

// newWinograd returns the convolution of a shape, or nil if the algorithms do not apply or
// do not pay. minTiles is the smallest number of tiles for which they do.
func newWinograd[T Float](engine vector.Engine[T], s ConvShape, minTiles int) *winograd {
	single, ok := any(engine).(vector.Engine[float32])
	if !ok || noWinograd.Load() {
		return nil
	}
	transforms, ok := single.(vector.Transforms)
	if !ok {
		return nil
	}
	piece, pieces := s.winogradPieces(single.Lanes(), minTiles)
	if piece == 0 {
		return nil
	}
	height, width := s.Output()
	return &winograd{
		transforms: transforms, engine: single, kernel: s.KernelHeight, piece: piece, pieces: pieces,
		in: s.Channels, out: s.Filters, height: height, width: width,
	}
}

// winogradPieces returns the size of the pieces of a kernel and their number in each direction, or
// zeros if the algorithms do not apply with vectors of the given number of lanes, or do not pay.
func (s ConvShape) winogradPieces(lanes, minTiles int) (piece, pieces int) {
	height, width := s.Output()
	m := winograd{height: height, width: width}
	if s.KernelHeight != s.KernelWidth || s.Stride != 1 || s.Channels%lanes != 0 || s.Filters%lanes != 0 {
		return 0, 0
	}
	// The piece size with fewer products; at most half of the direct ones may remain.
	best := height * width * s.KernelHeight * s.KernelWidth / 2
	for piece := 3; piece <= 4; piece++ {
		candidate := m
		candidate.piece, candidate.pieces = piece, ceilDiv(s.KernelHeight, piece)
		if candidate.products() <= best {
			best, m = candidate.products(), candidate
		}
	}
	if m.piece == 0 || s.Batch*m.tiles() < minTiles {
		return 0, 0
	}
	return m.piece, m.pieces
}

// step returns the number of rows, and of columns, of results of a tile.
func (m *winograd) step() int { return tilePixels + 1 - m.piece }

// tiles returns the number of tiles of an image.
func (m *winograd) tiles() int { return ceilDiv(m.height, m.step()) * ceilDiv(m.width, m.step()) }

// products returns the number of products of an image, for each channel and
// filter.
func (m *winograd) products() int { return m.tiles() * tileValues * m.pieces * m.pieces }

// depth returns the number of elements of a row of the product.
func (m *winograd) depth() int { return m.pieces * m.pieces * m.in }

// inStride and outStride return the number of elements from a tile to the next, of the
// transformed input and of the result.
func (m *winograd) inStride() int  { return tileStride(m.depth()) }
func (m *winograd) outStride() int { return tileStride(m.out) }

// tileStride returns the distance between tiles of the given number of elements: a cache line
// more than they take if tiles at a distance of a multiple of 256 bytes would share few sets of
// the level 1 cache.
func tileStride(elements int) int {
	if elements%64 == 0 {
		return elements + 16
	}
	return elements
}

// group returns the number of images of a group, because products of few rows are slow.
func (m *winograd) group(batch, atLeast int) int {
	return max(1, min(max(atLeast, ceilDiv(32, m.tiles())), batch/4))
}

// inputRows returns the number of rows of the input that the given number of rows of
// results needs, including tiles and pieces that reach over the edge.
func (m *winograd) inputRows(rows int) int {
	return (ceilDiv(rows, m.step())-1)*m.step() + (m.pieces-1)*m.piece + tilePixels
}

// border widens a border so that the last tiles may reach over the edge.
func (m *winograd) border(h halo) halo {
	h.bottom = max(h.bottom, m.inputRows(m.height)+m.step()-1-h.top-h.height)
	h.right = max(h.right, m.inputRows(m.width)-h.left-h.width)
	return h
}

// setWeights transforms weights that are packed for a direct convolution.
func (m *winograd) setWeights(p *packed[float32]) {
	m.panels, m.source = p, nil
	all := p.vectors * p.lanes // columns
	grow(&m.values, tileValues*m.weightRows()*all)
	taps := m.pieces * m.piece // rows of the padded kernel
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
		t.XRow, t.XPixel, t.VStride = taps*size, size, m.weightRows()*q.width*p.lanes
		for column := range m.pieces {
			t.X = weights[(row*taps+column)*m.piece*size:]
			t.V = m.panel(q)[(row*m.pieces+column)*size:]
			m.transforms.WinogradWeights(t)
		}
	})
}

// weightsBlock is about the number of weights that are transposed and transformed at a time, so that they
// stay in the level 1 cache.
const weightsBlock = 4 << 10

// transformWeights sets the weights of a kernel of one piece, given those of a convolution, (out, in, taps) or, if flipped, (in,
// out, taps), for the gradient of its input: then the last tap comes first. p has the division into panels.
func (m *winograd) transformWeights(p *packed[float32], weight []float32, flipped bool) {
	m.panels, m.source = p, nil
	grow(&m.values, tileValues*m.weightRows()*m.out)
	bands := ceilDiv(units, p.panels)
	divide(p.panels*bands, func(w *workspace[float32], unit int) {
		q, band := p.panelLayout(unit/bands), unit%bands
		first := band * m.in / bands
		m.transformRows(w, q, m.panel(q)[first*q.columns:], m.weightRows(), weight, flipped, first, (band+1)*m.in/bands)
	})
}

// transformRows writes rows [first, end) of the 36 matrices of a panel of such weights, each of which has the given number of rows in
// memory.
func (m *winograd) transformRows(w *workspace[float32], q panel[float32], to []float32, rows int, weight []float32, flipped bool, first, end int) {
	taps, wide := m.kernel*m.kernel, q.columns // whole vectors
	t := &w.tiles
	t.Kernel, t.Channels, t.Bias, t.Clip = m.piece, wide, nil, vector.NoClip // but for its scratch memory
	t.XRow, t.XPixel, t.XTile = m.kernel*wide, wide, taps*wide
	t.VTile, t.VStride = wide, rows*wide
	step := max(1, weightsBlock/(taps*wide))
	ordered := grow(&w.tile, step*taps*wide) // (in, taps, columns)
	t.X = ordered
	if flipped {
		t.X, t.XRow, t.XPixel = ordered[(taps-1)*wide:], -t.XRow, -t.XPixel
	}
	for row := first; row < end; row += step {
		t.Tiles = min(step, end-row)
		if flipped {
			for i := range t.Tiles {
				m.engine.Transpose(ordered[i*taps*wide:], wide, weight[((row+i)*m.out+q.left)*taps:], taps, wide, taps)
			}
		} else {
			m.engine.Transpose(ordered, wide, weight[(q.left*m.in+row)*taps:], m.in*taps, wide, t.Tiles*taps)
		}
		t.V = to[(row-first)*wide:]
		m.transforms.WinogradWeights(t)
	}
}

// pad copies a row of pieces of the weights, size elements for each tap, and sets taps
// beyond the kernel to zero.
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

// weightRows returns the number of rows from one of the 36 matrices of a panel to the next, one more than they have: matrices at
// a distance of a multiple of 4 KiB, to all of which a transform writes at the same time, would share a few sets of the caches.
func (m *winograd) weightRows() int { return m.depth() + 1 }

// panel returns the transformed weights of a panel.
func (m *winograd) panel(q panel[float32]) []float32 {
	return m.values[tileValues*m.weightRows()*q.left:]
}

// asFloat32 returns x if it is a []float32, and nil otherwise.
func asFloat32[T Float](x []T) []float32 {
	s, _ := any(x).([]float32)
	return s
}

// tileElements is about the number of transformed values that are computed at a time, so
// that they stay in the level 2 cache.
const tileElements = 384 << 10

// tiles is a range of rows of tiles that are computed at a time.
type tiles struct {
	first, last  int  // range of rows of tiles, numbered over all images
	down, across int  // rows and columns of tiles of an image
	top          int  // row of the result at which the first tile of an image begins
	offset       int  // number of the first tile of the range in the arrays
	total        int  // number of tiles of the arrays; 0 for those of the range
	cutRows      bool // the last row of tiles of an image has fewer results than the others
	cutColumns   bool // the last column
}

// needed returns the numbers of the tiles of a range, from 0, whose products are needed for one of the 36 values. The last
// of the six values in each direction, that of the point at infinity, is a term of the last result of a tile only, and
// vanishes in the transform of a gradient whose last element is zero: a tile of fewer results does not need it.
func (t tiles) needed(space *[]int32, value int) []int32 {
	row, column := value/tilePixels == tilePixels-1 && t.cutRows, value%tilePixels == tilePixels-1 && t.cutColumns
	numbers := grow(space, t.count())[:0]
	for y := t.first; y < t.last; y++ {
		if row && y%t.down == t.down-1 {
			continue
		}
		last := t.across
		if column {
			last--
		}
		for x := range last {
			numbers = append(numbers, int32((y-t.first)*t.across+x))
		}
	}
	return numbers
}

// sameNeeded reports whether the tiles that are needed for a value are those for the value before it.
func (t tiles) sameNeeded(value int) bool {
	return value > 0 && !t.cutColumns && (!t.cutRows || value != tileValues-tilePixels) ||
		value%tilePixels > 0 && value%tilePixels < tilePixels-1
}

// withCuts returns the tiles with cutRows and cutColumns for images of results of a size.
func (m *winograd) withCuts(t tiles, height, width int) tiles {
	t.cutRows, t.cutColumns = height%m.step() != 0, width%m.step() != 0
	return t
}

// tilesOf returns the tiles of whole images.
func (m *winograd) tilesOf(images int) tiles {
	down, across := ceilDiv(m.height, m.step()), ceilDiv(m.width, m.step())
	return m.withCuts(tiles{last: images * down, down: down, across: across}, m.height, m.width)
}

// valueStride returns the distance from one of the 36 values of all tiles to the next, for
// values of the given number of elements. It is one cache line more than they take,
// because arrays at a distance of a multiple of 4 KiB would share a few sets of the level 1
// cache.
func (t tiles) valueStride(elements int) int {
	if t.total > 0 {
		return t.total*elements + 16
	}
	return t.count()*elements + 16
}

// count returns the number of tiles, and before the number of those before a row of tiles.
func (t tiles) count() int         { return (t.last - t.first) * t.across }
func (t tiles) before(row int) int { return t.offset + (row-t.first)*t.across }

// chunks divides rows of tiles into ranges of about the given number of elements.
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
// out) of the images x with their border, some rows of tiles at a time, for the filters of some
// panels.
func (m *winograd) convolve(w *workspace[float32], y, x, bias []float32, clip vector.Clip, h halo, top, bottom, width, firstPanel, lastPanel int) {
	columns := columnRange{first: m.panels.panelLayout(firstPanel).left, last: m.out}
	if lastPanel < m.panels.panels {
		columns.last = m.panels.panelLayout(lastPanel).left
	}
	all := m.withCuts(tiles{down: ceilDiv(bottom-top, m.step()), across: ceilDiv(width, m.step()), top: top}, bottom-top, width)
	all.last = h.images * all.down
	bias = m.biasOrZeros(w, bias)
	for _, t := range m.chunks(all, tileElements) {
		values := grow(&w.values, tileValues*t.valueStride(m.inStride()))
		results := grow(&w.results, tileValues*t.valueStride(m.outStride()))
		for row := t.first; row < t.last; row++ {
			m.transformInput(w, values, x, h, t, row)
		}
		for value := range tileValues {
			if !t.sameNeeded(value) {
				m.beginProducts(w, t, value, m.depth(), m.inStride())
			}
			m.multiply(w, results, values, t, value, firstPanel, lastPanel)
		}
		for row := t.first; row < t.last; row++ {
			m.transformOutput(w, y, results, bias, clip, t, row, bottom-top, width, columns)
		}
	}
}

// columnRange is a range of columns of the result.
type columnRange struct{ first, last int }

// align moves the borders between bands of rows of images to those of tiles, if there is a tile for each band.
func (m *winograd) align(spans []span, rows int) {
	if len(spans) == 0 || spans[0].bottom-spans[0].top < m.step() {
		return
	}
	for i := range spans {
		s := &spans[i]
		s.top = s.top / m.step() * m.step()
		if s.bottom < rows {
			s.bottom = s.bottom / m.step() * m.step()
		}
	}
}

// biasOrZeros returns the bias, or zeros if it is nil.
func (m *winograd) biasOrZeros(w *workspace[float32], bias []float32) []float32 {
	if bias == nil {
		bias = grow(&w.normalized, m.out)
		clear(bias)
	}
	return bias
}

// transformInput transforms a row of tiles of the input.
func (m *winograd) transformInput(w *workspace[float32], values, x []float32, h halo, s tiles, row int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Channels, t.Bias, t.Clip = m.piece, s.across, m.in, nil, vector.NoClip
	t.XRow, t.XPixel, t.XTile = h.rowSize(), m.in, m.step()*m.in
	t.VTile, t.VStride = m.inStride(), s.valueStride(m.inStride())
	for piece := range m.pieces * m.pieces {
		y := s.top + row%s.down*m.step() + piece/m.pieces*m.piece
		t.X = x[row/s.down*h.imageSize()+y*h.rowSize()+piece%m.pieces*m.piece*m.in:]
		t.V = values[s.before(row)*m.inStride()+piece*m.in:]
		m.transforms.WinogradInput(t)
	}
}

// beginProducts describes the products of some tiles for multiply, for the given value. The tiles have depth elements and are
// stride elements apart.
func (m *winograd) beginProducts(w *workspace[float32], s tiles, value, depth, stride int) {
	numbers := s.needed(&w.inputOffsets, value)
	count := len(numbers)
	offsets := grow(&w.offsets, 2*count)
	for i, number := range numbers {
		offsets[i], offsets[count+i] = number*int32(stride), number*int32(m.outStride())
	}
	w.product = vector.Rows[float32]{Segments: 1, Length: depth, Stride: depth, AOffsets: offsets[:count], COffsets: offsets[count:]}
}

// multiply computes the products of one of the values of all tiles with that of the
// weights, after beginProducts.
func (m *winograd) multiply(w *workspace[float32], results, values []float32, s tiles, value, firstPanel, lastPanel int) {
	p := &w.product
	p.A = values[value*s.valueStride(m.inStride()):]
	for i := firstPanel; i < lastPanel; i++ {
		q := m.panels.panelLayout(i)
		p.Width, p.Columns = q.width, q.columns
		p.B, p.C = m.weights(q, value), results[value*s.valueStride(m.outStride())+q.left:]
		p.Ahead = m.weightsAfter(value, i, firstPanel, lastPanel)
		m.engine.Rows(p)
	}
}

// weightsAfter returns the weights that are multiplied after those of a value and a panel, if it is known
// which they are.
func (m *winograd) weightsAfter(value, panel, firstPanel, lastPanel int) []float32 {
	panel++
	if panel == lastPanel && lastPanel-firstPanel > 1 || panel == m.panels.panels {
		value++
		if panel = firstPanel; lastPanel-firstPanel == 1 {
			panel = 0
		}
	}
	if value == tileValues {
		return nil
	}
	return m.weights(m.panels.panelLayout(panel), value)
}

// weights returns one of the 36 matrices of a panel.
func (m *winograd) weights(q panel[float32], value int) []float32 {
	wide := q.width * m.panels.lanes
	return m.panel(q)[value*m.weightRows()*wide:][:m.depth()*wide]
}

// transformOutput writes the results of a row of tiles to its image, of which the result
// has the given number of rows.
func (m *winograd) transformOutput(w *workspace[float32], y, results, bias []float32, clip vector.Clip, s tiles, row, rows, width int, columns columnRange) {
	step, run := m.step(), width*m.out
	count := columns.last - columns.first
	results = results[columns.first:]
	t := &w.tiles
	t.Kernel, t.Channels, t.Bias, t.Clip = m.piece, count, bias[columns.first:columns.last], clip
	t.VTile, t.VStride = m.outStride(), s.valueStride(m.outStride())
	inside := min(step, rows-row%s.down*step) // rows of the tile that are inside the image
	to := y[(row/s.down*rows+row%s.down*step)*run+columns.first:]
	whole := 0
	if inside == step {
		whole = width / step
	}
	if whole > 0 {
		t.X, t.XRow, t.XPixel, t.XTile = to, run, m.out, step*m.out
		t.V, t.Tiles = results[s.before(row)*m.outStride():], whole
		m.transforms.WinogradOutput(t)
	}
	for column := whole; column < s.across; column++ {
		tile := grow(&w.tile, step*step*count)
		t.X, t.XRow, t.XPixel, t.XTile = tile, step*count, count, 0
		t.V, t.Tiles = results[(s.before(row)+column)*m.outStride():], 1
		m.transforms.WinogradOutput(t)
		for i := range inside {
			copyColumns(to[i*run+column*step*m.out:], m.out, tile[i*step*count:], count, min(step, width-column*step), count)
		}
	}
}

// lanes rounds n down to whole vectors.
func (m *winograd) lanes(n int) int { return n / m.engine.Lanes() * m.engine.Lanes() }
