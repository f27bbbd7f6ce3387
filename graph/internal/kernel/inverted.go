package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Inverted computes the blocks of an inverted residual (Sandler et al. 2018) in evaluation: a 1×1
// convolution that expands the channels, a depthwise convolution, a 1×1 convolution that
// projects, and the sum with the input. The expansion may be missing, as in depthwise separable
// convolutions, and it may have larger windows, as the first layer of a network has, which is then
// computed together with the block after it.
//
// It computes a few rows at a time. The input has several times fewer channels than the expanded rows,
// which so stay in the level 2 cache. A few small images are divided by channels
// (inverted_channels.go). The results are those of the blocks one after the other,
// bit for bit.
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
	biases            [3][]T            // of the last call
	groups            []channelGroup[T] // of a few small images, which are divided by channels; nil otherwise
	convolved         []T               // their depthwise results
}

// The expanded rows and the depthwise results that are used at a time have about the size
// invertedBytes, or invertedBytesWide with AVX-512, whose processors have a level 2 cache of at
// least 1 MiB. Each row that two bands have in common is copied, and the channels of several rows
// are read again from the level 1 cache. invertedPixels is the number of pixels below which
// products are slow.
const (
	invertedBytes     = 192 << 10
	invertedBytesWide = 768 << 10
	invertedPixels    = 56
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
	if k.engine.Lanes() >= 16 {
		free = invertedBytesWide
	}
	if expand != nil {
		free -= (s.KernelHeight - s.Stride) * k.row * size
	}
	k.band = max(free/((rowBytes+width*s.Channels)*size), ceilDiv(invertedPixels, width))
	k.band = ceilDiv(height, ceilDiv(height, min(k.band, height))) // of equal height
	rows := (k.band-1)*s.Stride + s.KernelHeight
	if expand != nil && expand.multipliesPixels() && s.Batch <= fewImages && !k.paysByRows() {
		k.band, rows = height, s.Height
		k.divideChannels()
	}
	if expand != nil {
		k.inputs = expand.conv.left.windows[:min(rows, s.Height)*s.Width]
		for i := range rows * s.Width {
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
		height, width := first.Output()
		if first.Batch != s.Batch || height != s.Height || width != s.Width || first.Filters != s.Channels {
			return false
		}
		if channels = first.Channels; k.residual && !k.expand.multipliesPixels() {
			return false
		}
	}
	for i, b := range []*Block[T]{k.expand, k.depthwise, k.project} {
		if b == nil {
			continue
		}
		clip, clips := b.shape.Activation.clip()
		if !clips || !b.folds() || b.parts != nil || i == 0 && !b.multipliesWindows() || i == 2 && !b.multipliesPixels() {
			return false
		}
		k.clips[i] = clip
	}
	if k.residual {
		return k.clips[2] == vector.NoClip && height == s.Height && width == s.Width && channels == chain.Filters
	}
	return true
}

// multipliesPixels reports whether the convolution is a product of each pixel with the weights, and
// multipliesWindows whether it is one product of each window with them.
func (k *Block[T]) multipliesPixels() bool {
	s := k.shape.Conv
	return s.KernelHeight == 1 && s.KernelWidth == 1 && s.Stride == 1 && s.Padding == Padding{} && k.multipliesWindows()
}

func (k *Block[T]) multipliesWindows() bool {
	c, s := k.conv, k.shape.Conv
	panel := c.left.run * k.engine.MaxWidth() * k.engine.Lanes() * int(unsafe.Sizeof(T(0)))
	return s.groups() == 1 && c.winograd == nil && c.plain() && !c.factors.rounded && (s.KernelHeight == 1 || s.KernelHeight*panel <= packedBytes)
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
	if k.groups != nil {
		k.forwardByChannels(y, x)
		return
	}
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

// paysByRows reports whether parts by rows are faster than blocks one after the other. That
// depends on the shape alone.
func (k *Inverted[T]) paysByRows() bool {
	if k.project.byPanel || k.expand != nil && k.expand.byPanel {
		return false
	}
	const rows = 10 // of all images, for each that is repeated
	return float64(k.depthwise.shape.Conv.Batch*k.height) >= rows*k.repeated()
}

// Pays reports whether the combination is faster than its blocks one after the other. Several
// small images without an expansion are not.
func (k *Inverted[T]) Pays() bool { return k.groups != nil || k.paysByRows() }

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
				in := k.expandedInput(w, x, image, end, below)
				k.product(w, k.expand, 0, buffer[(end-above)*k.row:], k.expanded, in, k.inputs, (below-end)*s.Width)
				end = below
			}
			from = halo{images: 1, height: s.Height, width: k.row / k.pixel, channels: k.pixel, top: -above}
		}
		to := halo{images: 1, height: k.height, width: width, channels: s.Filters, top: -first}
		k.sweep.run(w, k.engine, between, to, in, from, k.biases[1], k.clips[1], first, last)
		at, pixels := (image*k.height+first)*width*filters, (last-first)*width
		result := y[at:][:pixels*filters]
		k.product(w, k.project, 2, result, k.results, between, k.between, pixels)
		if k.residual {
			// A product that adds would wait for the masked stores of the row before.
			k.engine.Add(result, x[at:][:len(result)])
		}
	}
}

// expandedInput returns the input of which the windows are multiplied for rows [first, last) of the
// expanded channels of an image.
func (k *Inverted[T]) expandedInput(w *workspace[T], x []T, image, first, last int) []T {
	s, h := k.expand.shape.Conv, k.expand.conv.input
	h.images = 1
	x = x[image*s.Height*s.Width*s.Channels:]
	if h == h.withoutBorder() {
		return x[first*s.Stride*h.rowSize():]
	}
	h.top -= first * s.Stride
	rows := (last-first-1)*s.Stride + s.KernelHeight
	to := grow(&w.values, rows*h.rowSize())
	copyWithBorder(h, to, x, 0, rows)
	return to
}

// largeWeightBytes is the size of weights that are probably not in the level 2 cache when they are
// needed again.
const largeWeightBytes = 512 << 10

// product multiplies windows with the weights of a convolution, the block of the given number. Of
// large weights, the panel that is needed next is loaded meanwhile.
func (k *Inverted[T]) product(w *workspace[T], block *Block[T], number int, c []T, cOffsets []int32, a []T, aOffsets []int32, pixels int) {
	weights, bias, left := &block.conv.forward, k.biases[number], block.conv.left
	next := weights
	if k.expand != nil {
		next = &k.expand.conv.forward
		if number == 0 {
			next = &k.project.conv.forward
		}
	}
	large := (len(weights.data)+len(next.data))*int(unsafe.Sizeof(T(0))) >= largeWeightBytes
	p := &w.product
	*p = vector.Rows[T]{
		A: a, Segments: left.rows, Length: left.run, Stride: left.halo.rowSize(),
		AOffsets: aOffsets[:pixels], COffsets: cOffsets[:pixels], Clip: k.clips[number],
	}
	for i := range weights.panels {
		q := weights.panel(i)
		p.C, p.B, p.Columns, p.Width = c[q.left:], q.data, q.columns, q.width
		switch {
		case !large:
		case i+1 < weights.panels:
			p.Ahead = weights.panel(i + 1).data
		default:
			p.Ahead = next.panel(0).data
		}
		if bias != nil {
			p.Initial = bias[q.left:][:q.columns]
		}
		k.engine.Rows(p)
	}
}
