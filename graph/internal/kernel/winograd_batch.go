package kernel

import "github.com/likeness-go/likeness/internal/vector"

// The transformed weights of a layer with many channels do not fit in the level 2 cache, and would be
// read from memory for each group of images. Such a layer is computed in three phases for many
// images: all tiles of the input are transformed, then each panel of each of the 36 matrices of the
// weights is read once and multiplied by the tiles of all images, and then all results are
// transformed. Every element is the same sum as in convolve.

// batchWeights is the number of transformed weights from which on that is done, and
// maxBatchTiles about the number of transformed values that are computed at a time. Tests set them.
var (
	batchWeights  = 1 << 19 // 2 MiB
	maxBatchTiles = 5 << 19 // 10 MiB
)

// tileMemory are the transformed tiles of several images.
type tileMemory struct {
	values, results []float32
	blocks          blocks // in place of values, if the weights are transformed while they are multiplied
	images          int
}

// inPhases reports whether a batch is computed in phases.
func (m *winograd) inPhases(batch int) bool {
	return m != nil && batch > fewImages && tileValues*m.depth()*m.out >= batchWeights
}

// phaseImages returns the number of images that are computed at a time.
func (m *winograd) phaseImages(batch int) int {
	groups := ceilDiv(m.tileValues(batch), maxBatchTiles)
	return ceilDiv(batch, min(groups, batch))
}

// tileValues returns the number of transformed values of a batch, of the input and of the results.
func (m *winograd) tileValues(batch int) int {
	return tileValues * batch * m.tiles() * (m.inStride() + m.outStride())
}

// resize makes memory for the tiles of some images.
func (k *tileMemory) resize(m *winograd, images int) {
	k.images = images
	all := tiles{total: images * m.tiles()}
	if m.source != nil {
		k.blocks.resize(m.in, min(fusedRows, m.in), images*m.tiles())
	} else {
		grow(&k.values, tileValues*all.valueStride(m.inStride()))
	}
	grow(&k.results, tileValues*all.valueStride(m.outStride()))
}

// imageTiles returns the tiles of some rows of an image, and of images that follow it.
func (k *tileMemory) imageTiles(m *winograd, image, images, first, last int) tiles {
	across := ceilDiv(m.width, m.step())
	return tiles{
		last: images * (last - first), down: last - first, across: across, top: first * m.step(),
		offset: image*m.tiles() + first*across, total: k.images * m.tiles(),
	}
}

// In training, weights are transformed in each pass. Those of the widest layers are larger than all that is multiplied by them, so
// that writing them to memory and reading them again would take a large part of the time. They are transformed for fusedRows channels of the
// input and one panel at a time, which stay in the level 2 cache, and are multiplied by the tiles of all images at once.

// fusedWeights is the number of transformed weights from which on that is done, if there are at least fusedPanels panels,
// which the threads share. Tests set them.
var fusedWeights, fusedPanels, fusedRows = 1 << 22, 8, 64

// fuses reports whether that is done for a batch.
func (m *winograd) fuses(batch int) bool {
	return m.inPhases(batch) && m.piece == m.kernel && m.phaseImages(batch) == batch && tileValues*m.in*m.out >= fusedWeights &&
		ceilDiv(m.out, m.engine.Lanes()*m.engine.MaxWidth()) >= fusedPanels
}

// setSource sets weights that are transformed while they are multiplied, once. The arguments are those of transformWeights.
func (m *winograd) setSource(p *packed[float32], weight []float32, flipped bool) {
	m.panels, m.source, m.flipped = p, weight, flipped
}

// transformTiles transforms a row of tiles of images for a product in phases.
func (m *winograd) transformTiles(w *workspace[float32], k *tileMemory, x []float32, h halo, t tiles, row int) {
	if m.source == nil {
		m.transformInput(w, k.values, x, h, t, row)
		return
	}
	y := t.top + row%t.down*m.step()
	m.transformBlocks(w, &k.blocks, x[row/t.down*h.imageSize()+y*h.rowSize():], h, t.before(row))
}

// multiplyFused is multiplyPhase for weights that are transformed meanwhile.
func (m *winograd) multiplyFused(k *tileMemory) {
	all := m.tilesOf(k.images)
	divide(m.panels.panels, func(w *workspace[float32], unit int) {
		q := m.panels.panelLayout(unit)
		for i := range k.blocks.count() {
			data, first, channels := k.blocks.block(i)
			size := (channels + 1) * q.columns // a row more, as in weightRows
			weights := grow(&w.columns, tileValues*size)
			m.transformRows(w, q, weights, channels+1, m.source, m.flipped, first, first+channels)
			p := &w.product
			for value := range tileValues {
				if !all.sameNeeded(value) {
					m.beginProducts(w, all, value, channels, k.blocks.width)
					p.Width, p.Columns, p.Add = q.width, q.columns, i > 0
				}
				p.A, p.B = data[value*k.blocks.stride:], weights[value*size:][:channels*q.columns]
				p.C = k.results[value*all.valueStride(m.outStride())+q.left:]
				if p.Ahead = nil; value+1 < tileValues {
					p.Ahead = data[(value+1)*k.blocks.stride:][:all.count()*k.blocks.width]
				}
				m.engine.Rows(p)
			}
		}
	})
	m.source = nil
}

// convolveInPhases writes the results of the whole batch. finish, unless it is nil, is called for ranges of
// elements after they are written, while they are in the cache.
func (c *Conv[T]) convolveInPhases(y, x, bias []T, clip vector.Clip, finish func(first, last int)) {
	m, s := c.winograd, c.shape
	defer c.borrowTiles()()
	step := m.phaseImages(s.Batch)
	down, run := ceilDiv(m.height, m.step()), m.width*m.out
	for first := 0; first < s.Batch; first += step {
		images := min(step, s.Batch-first)
		k := &c.tiles
		k.resize(m, images)
		bands := min(down, ceilDiv(units, images))
		// rows returns the image, and the rows of tiles and of results, of a unit of work.
		rows := func(unit int) (image, from, to int, rows span) {
			image, band := unit/bands, unit%bands
			from, to = band*down/bands, (band+1)*down/bands
			return image, from, to, span{image: first + image, images: 1, top: from * m.step(), bottom: min(to*m.step(), m.height)}
		}
		divide(images*bands, func(w *workspace[T], unit int) {
			image, from, to, span := rows(unit)
			h := c.input
			h.images = 1
			in := c.window(w, x, span)
			t := k.imageTiles(m, image, 1, from, to)
			for row := t.first; row < t.last; row++ {
				m.transformTiles(any(w).(*workspace[float32]), k, asFloat32(in), h, t, row)
			}
		})
		m.multiplyPhase(k)
		divide(images*bands, func(w *workspace[T], unit int) {
			image, from, to, span := rows(unit)
			begin, rows := (span.image*m.height+span.top)*run, span.bottom-span.top
			m.transformResults(any(w).(*workspace[float32]), asFloat32(y)[begin:], asFloat32(bias), clip, k, k.imageTiles(m, image, 1, from, to), rows)
			if finish != nil {
				finish(begin, begin+rows*run)
			}
		})
	}
}

// multiplyPhase multiplies the tiles of all images by the weights.
func (m *winograd) multiplyPhase(k *tileMemory) {
	if m.source != nil {
		m.multiplyFused(k)
		return
	}
	all := m.tilesOf(k.images)
	divide(tileValues*m.panels.panels, func(w *workspace[float32], unit int) {
		value, panel := unit/m.panels.panels, unit%m.panels.panels
		m.beginProducts(w, all, value, m.depth(), m.inStride())
		m.multiply(w, k.results, k.values, all, value, panel, panel+1)
	})
}

// transformResults writes some rows of the result of an image.
func (m *winograd) transformResults(w *workspace[float32], y, bias []float32, clip vector.Clip, k *tileMemory, t tiles, rows int) {
	bias = m.biasOrZeros(w, bias)
	for row := t.first; row < t.last; row++ {
		m.transformOutput(w, y, k.results, bias, clip, t, row, rows, m.width, columnRange{0, m.out})
	}
}
