package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Inverted computes the blocks of an inverted residual (Sandler et al. 2018) in evaluation: a 1×1
// convolution that expands the channels, a depthwise convolution, a 1×1 convolution that
// projects, and the sum with the input. The expansion may be missing, as in the first block of
// their network and in depthwise separable convolutions.
//
// It computes a few rows at a time, so that the expanded channels, of which there are several
// times as many as of the input and of the result, stay in the level 2 cache. Its results are
// those of the blocks one after the other, bit for bit.
type Inverted[T Float] struct {
	expand, depthwise, project *Block[T] // expand may be nil
	residual                   bool

	engine            vector.Engine[T]
	height            int      // of the result
	sweep             sweep[T] // of the depthwise convolution, over expanded rows with a border
	band              int      // rows of the result that are computed at a time
	pixel, row        int      // elements from a pixel of the expanded rows to the next, and from a row
	inputs, between   []int32  // offsets of the pixels of the input and of the depthwise result,
	expanded, results []int32  // of the expanded rows and of the result
	clips             [3]vector.Clip
	biases            [3][]T // of the last call
}

// invertedBytes is about the size of the expanded rows and the depthwise results that are used at
// a time, and invertedPixels the number of pixels below which products are slow.
const (
	invertedBytes  = 192 << 10
	invertedPixels = 56
)

// NewInverted returns the combination of blocks, of which the first may be nil; with residual, the
// input is added to the result. It returns nil if the blocks cannot be combined.
func NewInverted[T Float](expand, depthwise, project *Block[T], residual bool) *Inverted[T] {
	k := &Inverted[T]{expand: expand, depthwise: depthwise, project: project, residual: residual}
	if !k.valid() {
		return nil
	}
	s, p := depthwise.shape.Conv, depthwise.conv.depthwise
	height, width := s.Output()
	k.engine, k.height = depthwise.engine, height
	k.pixel = s.Channels
	k.sweep = p.forward
	rowBytes := s.Stride * s.Width * s.Channels
	if expand != nil {
		padded := s.Padding.Left + s.Width + s.Padding.Right
		k.pixel = p.pixel
		k.row = padded * k.pixel
		k.sweep.columns = newAxis(padded, s.KernelWidth, s.Stride, 0, width)
		rowBytes = s.Stride * k.row
	}
	size := int(unsafe.Sizeof(T(0)))
	free := invertedBytes
	if expand != nil {
		free -= (s.KernelHeight - s.Stride) * k.row * size
	}
	k.band = max(free/((rowBytes+width*s.Channels)*size), ceilDiv(invertedPixels, width))
	k.band = ceilDiv(height, ceilDiv(height, min(k.band, height))) // of equal height
	rows := (k.band-1)*s.Stride + s.KernelHeight
	if expand != nil {
		channels := expand.shape.Conv.Channels
		for i := range rows * s.Width {
			k.inputs = append(k.inputs, int32(i*channels))
			k.expanded = append(k.expanded, int32(i/s.Width*k.row+(s.Padding.Left+i%s.Width)*k.pixel))
		}
	}
	for i := range k.band * width {
		k.between = append(k.between, int32(i*s.Channels))
		k.results = append(k.results, int32(i*project.shape.Conv.Filters))
	}
	return k
}

// valid reports whether the blocks can be combined.
func (k *Inverted[T]) valid() bool {
	if k.depthwise == nil || k.project == nil {
		return false
	}
	s := k.depthwise.shape.Conv
	if k.depthwise.conv.depthwise == nil || s.Filters != s.Channels {
		return false
	}
	height, width := s.Output()
	chain := k.project.shape.Conv
	if chain.Batch != s.Batch || chain.Height != height || chain.Width != width || chain.Channels != s.Filters {
		return false
	}
	channels := s.Channels
	if k.expand != nil {
		first := k.expand.shape.Conv
		if first.Batch != s.Batch || first.Height != s.Height || first.Width != s.Width || first.Filters != s.Channels {
			return false
		}
		channels = first.Channels
	}
	for i, b := range []*Block[T]{k.expand, k.depthwise, k.project} {
		if b == nil {
			continue
		}
		clip, clips := b.shape.Activation.clip()
		if !clips || !b.folds() || b.parts != nil || i != 1 && !b.multipliesPixels() {
			return false
		}
		k.clips[i] = clip
	}
	if k.residual {
		return k.clips[2] == vector.NoClip && height == s.Height && width == s.Width && channels == chain.Filters
	}
	return true
}

// multipliesPixels reports whether the convolution is a product of each pixel with the weights.
func (k *Block[T]) multipliesPixels() bool {
	s := k.shape.Conv
	return s.KernelHeight == 1 && s.KernelWidth == 1 && s.Stride == 1 && s.Padding == Padding{} && s.groups() == 1 &&
		k.conv.winograd == nil && k.conv.plain()
}

// Forward writes y (batch, output height, output width, filters), given x (batch, height, width,
// channels) and the weights of each block; those of a missing block are not used.
func (k *Inverted[T]) Forward(y, x []T, expand, depthwise, project BlockWeights[T]) {
	s := k.depthwise.shape.Conv
	input := s.inputs()
	if k.expand != nil {
		input = k.expand.shape.Conv.inputs()
	}
	checkLength("x", x, input)
	checkLength("y", y, k.project.shape.Conv.outputs())
	if k.expand != nil {
		k.biases[0] = k.expand.fold(expand)
	}
	k.biases[1], k.biases[2] = k.depthwise.fold(depthwise), k.project.fold(project)
	k.sweep.weights = k.depthwise.conv.depthwise.weights
	parts := k.parts(parallel.Threads())
	divide(s.Batch*parts, func(w *workspace[T], i int) {
		image, part := i/parts, i%parts
		k.rows(w, y, x, image, part*k.height/parts, (part+1)*k.height/parts)
	})
}

// parts returns the number of parts of an image that are computed in parallel. The time is about
// the number of rows that a thread computes, with those that two parts expand both; of the
// numbers of parts with nearly the shortest time it is the largest, because threads may be
// interrupted. No result depends on it.
func (k *Inverted[T]) parts(threads int) int {
	time := func(parts int) float64 {
		rows := float64(ceilDiv(k.height, parts))
		if parts > 1 {
			rows += k.repeated()
		}
		return rows * float64(ceilDiv(k.depthwise.shape.Conv.Batch*parts, threads))
	}
	most := min(4*threads, k.height)
	shortest := time(1)
	for parts := 2; parts <= most; parts++ {
		shortest = min(shortest, time(parts))
	}
	for parts := most; parts > 1; parts-- {
		if time(parts) <= 1.03*shortest {
			return parts
		}
	}
	return 1
}

// repeated is the number of rows of the result that take as long as the expanded rows that the
// next part of an image needs, too. The expansion is about half of the products.
func (k *Inverted[T]) repeated() float64 {
	s := k.depthwise.shape.Conv
	if k.expand == nil {
		return 0
	}
	return 0.5 * float64(max(0, s.KernelHeight-s.Stride)) / float64(s.Stride)
}

// Pays reports whether the combination is faster than its blocks one after the other. That
// depends on the shape alone. A few small images are faster in blocks: their expanded channels
// are in the cache, their parts would repeat many rows, and threads that compute different
// filters read a part of the weights each.
func (k *Inverted[T]) Pays() bool {
	if k.project.byPanel || k.expand != nil && k.expand.byPanel {
		return false
	}
	const rows = 15 // of all images, for each that is repeated
	return float64(k.depthwise.shape.Conv.Batch*k.height) >= rows*k.repeated()
}

// rows writes rows [top, bottom) of the result of an image.
func (k *Inverted[T]) rows(w *workspace[T], y, x []T, image, top, bottom int) {
	s, p := k.depthwise.shape.Conv, k.depthwise.conv.depthwise
	_, width := s.Output()
	filters := k.project.shape.Conv.Filters
	between := grow(&w.convolved, k.band*width*s.Filters)
	var buffer []T
	if k.expand != nil {
		buffer = grow(&w.halo, ((k.band-1)*s.Stride+s.KernelHeight)*k.row)
		for at := 0; at < len(buffer); at += k.row {
			clear(buffer[at:][:s.Padding.Left*k.pixel])
			clear(buffer[at+(s.Padding.Left+s.Width)*k.pixel:][:s.Padding.Right*k.pixel])
		}
	}
	begin, end := 0, 0 // the rows of the input that are expanded
	for first := top; first < bottom; first += k.band {
		last := min(first+k.band, bottom)
		in, from := buffer, halo{}
		if k.expand == nil {
			in, from = p.input(w, x, image, first, last)
		} else {
			above, below := p.inputRows(first, last)
			if end > above {
				copy(buffer, buffer[(above-begin)*k.row:(end-begin)*k.row])
			} else {
				end = above
			}
			if begin = above; end < below {
				channels := k.expand.shape.Conv.Channels
				k.product(w, k.expand, 0, buffer[(end-above)*k.row:], k.expanded, x[(image*s.Height+end)*s.Width*channels:], k.inputs, (below-end)*s.Width, false)
				end = below
			}
			from = halo{images: 1, height: s.Height, width: k.row / k.pixel, channels: k.pixel, top: -above}
		}
		to := halo{images: 1, height: k.height, width: width, channels: s.Filters, top: -first}
		k.sweep.run(w, k.engine, between, to, in, from, k.biases[1], k.clips[1], first, last)
		at, pixels := (image*k.height+first)*width*filters, (last-first)*width
		result := y[at:][:pixels*filters]
		if k.residual {
			copy(result, x[at:])
		}
		k.product(w, k.project, 2, result, k.results, between, k.between, pixels, k.residual)
	}
}

// product multiplies pixels with the weights of a 1×1 convolution, the block of the given number.
func (k *Inverted[T]) product(w *workspace[T], block *Block[T], number int, c []T, cOffsets []int32, a []T, aOffsets []int32, pixels int, add bool) {
	weights, bias := &block.conv.forward, k.biases[number]
	p := &w.product
	*p = vector.Rows[T]{
		A: a, Segments: 1, Length: weights.depth, Stride: weights.depth,
		AOffsets: aOffsets[:pixels], COffsets: cOffsets[:pixels], Add: add, Clip: k.clips[number],
	}
	for i := range weights.panels {
		q := weights.panel(i)
		p.C, p.B, p.Columns, p.Width = c[q.left:], q.data, q.columns, q.width
		if bias != nil {
			p.Initial = bias[q.left:][:q.columns]
		}
		k.engine.Rows(p)
	}
}
