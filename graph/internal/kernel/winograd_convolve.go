package kernel

import "github.com/likeness-go/likeness/internal/vector"

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
