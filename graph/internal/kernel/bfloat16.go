package kernel

import (
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// factors says what the factors of a layer's products are: numbers of T or, with rounded, numbers
// of bfloat16. Those are pairs in words if the processor multiplies pairs, and float32 numbers
// otherwise. Both give the same products, but not always the same sums, since these are added in
// another order. All sums are of T.
type factors[T Float] struct {
	products vector.Engine[T]  // whose Rows and Outer multiply these factors
	pairs    vector.PairEngine // nil unless the factors are pairs
	rounded  bool
}

// newFactors returns the factors of T or, for float32, of bfloat16.
func newFactors[T Float](bfloat16 bool) factors[T] {
	f := factors[T]{products: vector.For[T]()}
	single, ok := any(f.products).(vector.Engine[float32])
	if !bfloat16 || !ok {
		return f
	}
	f.rounded = true
	pairs, faster := vector.Pairs()
	switch bfloat16Mode(bfloat16Setting.Load()) {
	case pairsAlways:
		if pairs == nil {
			pairs = vector.EmulatedPairs{Engine: single}
		}
	case pairsNever:
		pairs = nil
	default:
		if !faster {
			pairs = nil
		}
	}
	if pairs != nil {
		f.products, f.pairs = any(vector.Engine[float32](pairs)).(vector.Engine[T]), pairs
	}
	return f
}

// bfloat16Mode says whether factors of bfloat16 are pairs.
type bfloat16Mode int32

const (
	pairsIfFaster bfloat16Mode = iota
	pairsAlways
	pairsNever
)

var bfloat16Setting atomic.Int32

// SetPairs sets whether layers with factors of bfloat16 that are made from now on multiply pairs
// of them, even if that is slower or must be emulated. The default is to do so where it is
// faster.
func SetPairs(on bool) {
	mode := pairsNever
	if on {
		mode = pairsAlways
	}
	bfloat16Setting.Store(int32(mode))
}

// PairsAreFaster reports whether the processor multiplies pairs faster than float32 numbers.
func PairsAreFaster() bool {
	_, faster := vector.Pairs()
	return faster
}

// BFloat16Arithmetic names what multiplies factors of bfloat16.
func BFloat16Arithmetic() string {
	if f := newFactors[float32](true); f.pairs == nil {
		return "by float32 products"
	} else if _, emulated := f.pairs.(vector.EmulatedPairs); emulated {
		return "by emulated pairs"
	}
	return "by pairs"
}

// count returns the number of elements that store n numbers along the sum of a product.
func (f factors[T]) count(n int) int {
	if f.pairs != nil {
		return ceilDiv(n, 2)
	}
	return n
}

// put writes factors: runs of numbers, whose sum a product computes, to count(run) elements each.
func (f factors[T]) put(y, x []T, run int) {
	switch {
	case f.pairs == nil:
		vector.RoundBFloat16(asFloat32(y)[:len(x)], asFloat32(x))
	case run%2 == 0:
		f.pairs.PairNeighbors(asFloat32(y), asFloat32(x))
	default:
		for from, to := 0, 0; from < len(x); from, to = from+run, to+f.count(run) {
			f.pairs.PairNeighbors(asFloat32(y)[to:], asFloat32(x)[from:][:run])
		}
	}
}

// row returns factor k of a sum over the rows of a matrix, which are stride elements apart: the
// first elements of a row or, as pairs, of two. Only the given number of rows exist.
func (f factors[T]) row(space *[]T, matrix []T, k, rows, stride, elements int) []T {
	if !f.rounded {
		return matrix[k*stride:][:elements]
	}
	to := grow(space, elements)
	f.putRow(to, matrix, k, rows, stride, elements)
	return to
}

// putRow writes the factors that row returns, which must be rounded.
func (f factors[T]) putRow(to, matrix []T, k, rows, stride, elements int) {
	if f.pairs == nil {
		vector.RoundBFloat16(asFloat32(to)[:elements], asFloat32(matrix)[k*stride:][:elements])
		return
	}
	var second []float32
	if 2*k+1 < rows {
		second = asFloat32(matrix)[(2*k+1)*stride:][:elements]
	}
	f.pairs.PairLists(asFloat32(to)[:elements], asFloat32(matrix)[2*k*stride:][:elements], second)
}

// asElements returns x as elements of T, which is float32.
func asElements[T Float](x []float32) []T { return any(x).([]T) }

// pairLanes is the number of lanes of the instruction set that has products of pairs.
const pairLanes = 16

// rounds reports whether the factors of the convolution are rounded to bfloat16, of which a
// product of pairs computes twice as many in a cycle: where a direct convolution then has fewer
// cycles than the fastest algorithm for float32. Winograd's algorithms leave at most half of
// the products wherever they apply, so they are as fast and round less, and with one channel half of each
// pair would be zero. It depends on the shape alone, so that the same layers are rounded on every
// processor.
func (s ConvShape) rounds() bool {
	if !s.BFloat16 || s.groups() > 1 || s.Channels == 1 {
		return false
	}
	if piece, _ := s.winogradPieces(pairLanes, minTiles); piece > 0 {
		return false
	}
	return !fourierSaves(s, ceilDiv(s.imageProducts(), 2))
}

// imageProducts returns the number of products of an image for each filter and each channel of its group.
func (s ConvShape) imageProducts() int {
	height, width := s.Output()
	return height * width * s.KernelHeight * s.KernelWidth
}

// Work counts the products of a forward pass.
type Work struct {
	Direct  float64 // of the direct algorithms
	Fastest float64 // of the fastest algorithms for float32 with vectors of 16 lanes
	Rounded float64 // of the direct algorithms, with factors of bfloat16, which Fastest has, too
}

// Work returns the products of the convolution.
func (s ConvShape) Work() Work {
	mustBeValid(s.Validate())
	direct := s.imageProducts()
	each := float64(s.Batch * s.Filters * s.groupChannels())
	w := Work{Direct: each * float64(direct)}
	w.Fastest = w.Direct
	if s.groups() > 1 {
		return w
	}
	if s.rounds() {
		w.Rounded = w.Direct
		return w
	}
	least := direct
	if piece, pieces := s.winogradPieces(pairLanes, minTiles); piece > 0 {
		height, width := s.Output()
		m := winograd{height: height, width: width, piece: piece, pieces: pieces}
		least = m.products()
		w.Fastest = each * float64(least)
	}
	if fourierSaves(s, least) {
		w.Fastest = float64(fourierProducts(s))
	}
	return w
}

// Work returns the products of the layer.
func (l *Linear[T]) Work() Work {
	products := float64(l.batch) * float64(l.in) * float64(l.out)
	w := Work{Direct: products, Fastest: products}
	if l.factors.rounded {
		w.Rounded = products
	}
	return w
}

// rounding is what a convolution needs for factors of bfloat16.
type rounding struct {
	pixelPairs []int32   // the offset of the window of every second output pixel of a row of the input, for pairs
	words      []float32 // the weights in the order of windows, as pairs
}

// roundedWindow returns the factors of the images of a span, with their border.
func (c *Conv[T]) roundedWindow(w *workspace[T], x []T, span span) []T {
	s, h := c.shape, c.left.halo
	h.images = span.images
	to := grow(&w.halo, h.size())
	first, last := span.top*s.Stride, (span.bottom-1)*s.Stride+s.KernelHeight
	run := s.Width * s.Channels
	x = x[span.image*s.Height*run:]
	for image := range h.images {
		clearBorder(h, to, image, first, last)
		for y := max(first-h.top, 0); y < min(last-h.top, h.height); y++ {
			c.factors.put(to[h.row(image, y):], x[(image*s.Height+y)*run:][:run], s.Channels)
		}
	}
	return to
}

// roundWeights replaces the ordered weights by factors, and returns them.
func (c *Conv[T]) roundWeights() []T {
	size, channels := c.shape.patchSize(), c.shape.Channels
	if c.factors.pairs == nil {
		parallel.For(c.shape.Filters, func(f int) {
			row := c.ordered[f*size:][:size]
			c.factors.put(row, row, size)
		})
		return c.ordered
	}
	stored := c.left.patch()
	words := asElements[T](grow(&c.rounding.words, c.shape.Filters*stored))
	parallel.For(c.shape.Filters, func(f int) {
		c.factors.put(words[f*stored:][:stored], c.ordered[f*size:][:size], channels)
	})
	return words
}

// pairPixels returns the factors of the gradient of the weights for a span, whose sums are over pixels: pairs of the
// elements of neighboring windows, with the layout of the images with their border, and pairs
// of neighboring pixels of the gradient, each with its offsets. If a row has an odd number of pixels, the
// gradient beyond the last is zero.
func (c *Conv[T]) pairPixels(w *workspace[T], x, gradient []T, at halo, span span) (in []T, windows []int32, out []T, offsets []int32) {
	s, h, pairs := c.shape, c.input, c.factors.pairs
	h.images = span.images
	images := grow(&w.halo, h.size())
	first, last := span.top*s.Stride, (span.bottom-1)*s.Stride+s.KernelHeight
	copyWithBorder(h, images, x[span.image*s.Height*s.Width*s.Channels:], first, last)
	for image := range h.images {
		for y := first; y < last; y++ {
			row := asFloat32(images[image*h.imageSize()+y*h.rowSize():][:h.rowSize()])
			whole := max(0, len(row)-s.Stride*s.Channels)
			pairs.PairLists(row[:whole], row[:whole], row[len(row)-whole:])
			pairs.PairLists(row[whole:], row[whole:], nil)
		}
	}
	width := ceilDiv(at.width, 2)
	count := span.images * (span.bottom - span.top) * width
	words := grow(&w.pairs, count*s.Filters)
	offsets = grow(&w.offsets, count)
	next := 0
	for i := range span.images {
		for y := span.top; y < span.bottom; y++ {
			row := gradient[at.row(i, y):]
			for pixel := range width {
				offsets[next] = int32(next * s.Filters)
				c.factors.putRow(words[next*s.Filters:], row, pixel, at.width, s.Filters, s.Filters)
				next++
			}
		}
	}
	return images, c.rounding.pixelPairs[span.top*width:][:count], words, offsets
}

// everySecondPixel returns every second element of each row of pixels.
func everySecondPixel(windows []int32, width int) []int32 {
	var even []int32
	for i, offset := range windows {
		if i%width%2 == 0 {
			even = append(even, offset)
		}
	}
	return even
}

// roundRows rounds the gradient of the results in a span, in place.
func (c *Conv[T]) roundRows(gradient []T, at halo, span span) {
	run := at.width * at.channels
	for i := range span.images {
		for y := span.top; y < span.bottom; y++ {
			row := gradient[at.row(i, y):][:run]
			c.factors.put(row, row, run)
		}
	}
}
