package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// The gradient of the weights is a convolution, too: that of the tiles of the input with
// those of the gradient of the result, whose 3×3 or 4×4 results are the taps. So the same
// tiles of the input as in the forward pass are multiplied, value by value, with the
// transformed tiles of the gradient, the products are added up over all tiles, and the
// inverse transform is applied once, to the sums.

// minGradientTiles is the smallest number of tiles for which that pays: the sums are
// several times as large as the weights.
const minGradientTiles = 512

// Sums for each part of the batch would be large if there are many channels. Then the tiles of the
// whole batch are transformed first. The sums of some channels of the input and some filters at a time are
// computed and transformed while they are in the level 2 cache.
const maxKept = 16 << 20 // the largest number of transformed values

// manyChannels is the product of in and out from which on that is done, and blockSide the largest
// number of channels, and of filters, of a block. Tests set them.
var manyChannels, blockSide = 1 << 15, 64

// keeps reports whether the gradient of the weights is computed from the transformed tiles of
// the whole batch.
func (m *winograd) keeps(batch int, part bool) bool {
	count := batch * m.tiles()
	if part && count >= minGradientTiles {
		part = false // then sums for each part of the images cost little
	}
	return m.kernel == 3 && (part || m.in*m.out >= manyChannels) && count >= minTiles && m.tileValues(batch) <= maxKept
}

// kept are the transformed tiles of a batch, in blocks of channels, so that what is read at a time is contiguous.
type kept struct {
	values, slopes blocks // of the input and of the gradient of the results
}

// blocks are tiles with some of the channels at a time: value v of tile t of block b begins at element
// b·36·stride + v·stride + t·width.
type blocks struct {
	data                    []float32
	channels, width, stride int // width is the number of channels of a block, the last of which may have fewer
}

// resize makes memory for the tiles of a batch.
func (k *kept) resize(m *winograd, batch int) {
	// A block for each thread at least; smaller ones take more time, and sums are the same in blocks of any size.
	width := min(blockSide, m.in)
	for lanes := m.engine.Lanes(); width >= 2*lanes && ceilDiv(m.in, width)*ceilDiv(m.out, blockSide) < parallel.Threads(); {
		width = m.lanes(width / 2)
	}
	k.values.resize(m.in, width, batch*m.tiles())
	k.slopes.resize(m.out, min(blockSide, m.out), batch*m.tiles())
}

func (b *blocks) resize(channels, width, count int) {
	b.channels, b.width = channels, width
	b.stride = tiles{total: count}.valueStride(width)
	grow(&b.data, b.count()*tileValues*b.stride)
}

// count returns the number of blocks.
func (b *blocks) count() int { return ceilDiv(b.channels, b.width) }

// block returns a block, its first channel and the number of its channels.
func (b *blocks) block(i int) (data []float32, first, channels int) {
	first = i * b.width
	return b.data[i*tileValues*b.stride:], first, min(b.width, b.channels-first)
}

// keep transforms the tiles of images, from the given image on, and of the gradient of their
// results.
func (m *winograd) keep(w *workspace[float32], k *kept, x, gradient []float32, h, at halo, image int) {
	down, across := ceilDiv(m.height, m.step()), ceilDiv(m.width, m.step())
	t := &w.tiles
	for row := range h.images * down {
		first := image*m.tiles() + row*across
		y := row % down * m.step()
		m.transformBlocks(w, &k.values, x[row/down*h.imageSize()+y*h.rowSize():], h, first)
		t.Kernel, t.XRow, t.XPixel, t.XTile = m.step(), at.rowSize(), m.out, m.step()*m.out
		for i := range k.slopes.count() {
			data, left, channels := k.slopes.block(i)
			t.X, t.Channels = gradient[at.row(row/down, y)+left:], channels
			t.V, t.VTile, t.VStride = data[first*k.slopes.width:], k.slopes.width, k.slopes.stride
			m.transforms.WinogradWeights(t)
		}
	}
}

// transformBlocks transforms a row of tiles of the input that begins at x, from the given number of a tile on.
func (m *winograd) transformBlocks(w *workspace[float32], b *blocks, x []float32, h halo, first int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Bias, t.Clip = m.piece, ceilDiv(m.width, m.step()), nil, vector.NoClip
	t.XRow, t.XPixel, t.XTile = h.rowSize(), m.in, m.step()*m.in
	for i := range b.count() {
		data, left, channels := b.block(i)
		t.X, t.Channels = x[left:], channels
		t.V, t.VTile, t.VStride = data[first*b.width:], b.width, b.stride
		m.transforms.WinogradInput(t)
	}
}

// weightsFromKept writes the gradient of the weights, (filters, channels, 3, 3), from the tiles of a batch.
func (m *winograd) weightsFromKept(dweight []float32, k *kept, batch int) {
	all := m.tilesOf(batch)
	taps, across := m.kernel*m.kernel, k.slopes.count()
	divide(k.values.count()*across, func(w *workspace[float32], unit int) {
		values, channel, channels := k.values.block(unit / across)
		slopes, filter, filters := k.slopes.block(unit % across)
		size := channels * filters
		sums := grow(&w.results, tileValues*size)
		o := &w.outer
		for value := range tileValues {
			if !all.sameNeeded(value) {
				m.beginOuter(w, all, value, k.values.width, k.slopes.width)
				o.Run, o.Columns, o.CStride = channels, filters, filters
			}
			o.A, o.B, o.C = values[value*k.values.stride:], slopes[value*k.slopes.stride:], sums[value*size:][:size]
			m.outerProducts(o)
		}
		// The inverse transform, (channels, 3, 3, filters), and its transpose.
		zeros, inverse := grow(&w.normalized, filters), grow(&w.gradient, taps*size)
		clear(zeros)
		t := &w.tiles
		t.Kernel, t.Tiles, t.Channels, t.Bias, t.Clip = m.step(), channels, filters, zeros, vector.NoClip
		t.X, t.XRow, t.XPixel, t.XTile = inverse, m.kernel*filters, filters, taps*filters
		t.V, t.VStride, t.VTile = sums, size, filters
		m.transforms.WinogradOutput(t)
		m.engine.Transpose(dweight[(filter*m.in+channel)*taps:], m.in*taps, inverse, filters, channels*taps, filters)
	})
}

// sums returns the number of elements of the sums, (36, depth, out).
func (m *winograd) sums() int { return tileValues * m.depth() * m.out }

// overhang returns the number of rows and columns by which the tiles extend beyond the
// result.
func (m *winograd) overhang() (rows, columns int) {
	return ceilDiv(m.height, m.step())*m.step() - m.height, ceilDiv(m.width, m.step())*m.step() - m.width
}

// addGradient adds to sums the products of the images x with the gradient of their
// results, both with their border; if fresh, it overwrites sums.
func (m *winograd) addGradient(w *workspace[float32], sums, x, gradient []float32, h, at halo, fresh bool) {
	for _, t := range m.chunks(m.tilesOf(h.images), tileElements) {
		values := grow(&w.values, tileValues*t.valueStride(m.inStride()))
		slopes := grow(&w.results, tileValues*t.valueStride(m.outStride()))
		for row := t.first; row < t.last; row++ {
			m.transformInput(w, values, x, h, t, row)
			m.transformGradient(w, slopes, gradient, at, t, row)
		}
		for value := range tileValues {
			m.addProducts(w, sums, values, slopes, t, value, !fresh || t.first > 0)
		}
	}
}

// transformGradient transforms a row of tiles of the gradient, as weights are transformed.
func (m *winograd) transformGradient(w *workspace[float32], slopes, gradient []float32, at halo, s tiles, row int) {
	t := &w.tiles
	t.Kernel, t.Tiles, t.Channels, t.Bias = m.step(), s.across, m.out, nil
	t.XRow, t.XPixel, t.XTile = at.rowSize(), m.out, m.step()*m.out
	t.VTile, t.VStride = m.outStride(), s.valueStride(m.outStride())
	t.X, t.V = gradient[at.row(row/s.down, row%s.down*m.step()):], slopes[s.before(row)*m.outStride():]
	m.transforms.WinogradWeights(t)
}

// addProducts computes the sum of the products of one of the values over all tiles.
func (m *winograd) addProducts(w *workspace[float32], sums, values, slopes []float32, s tiles, value int, add bool) {
	depth, o := m.depth(), &w.outer
	if !s.sameNeeded(value) {
		m.beginOuter(w, s, value, m.inStride(), m.outStride())
	}
	o.A, o.Run, o.B = values[value*s.valueStride(m.inStride()):], depth, slopes[value*s.valueStride(m.outStride()):]
	o.C, o.Add = sums[value*depth*m.out:][:depth*m.out], add
	m.outerProducts(o)
}

// beginOuter describes the sum over tiles of the outer products of a transformed value of the input and of the
// gradient of the results, which are the given numbers of elements apart.
func (m *winograd) beginOuter(w *workspace[float32], s tiles, value, inStride, outStride int) {
	numbers := s.needed(&w.inputOffsets, value)
	count := len(numbers)
	offsets := grow(&w.offsets, 2*count)
	for i, number := range numbers {
		offsets[i], offsets[count+i] = number*int32(inStride), number*int32(outStride)
	}
	w.outer = vector.Outer[float32]{CStride: m.out, Columns: m.out, AOffsets: offsets[:count], BOffsets: offsets[count:]}
}

// outerProducts computes such a sum, which may have no terms.
func (m *winograd) outerProducts(o *vector.Outer[float32]) {
	if len(o.AOffsets) == 0 && !o.Add {
		clear(o.C)
	}
	m.engine.Outer(o)
}

// weightGradient writes the gradient of the weights, (kernel, kernel, in, out).
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
		t.Kernel, t.Tiles, t.Channels, t.Bias, t.Clip = m.step(), 1, last-first, zeros, vector.NoClip
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
