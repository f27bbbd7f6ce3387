package kernel

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// ConvShape is the shape of a convolution layer.
type ConvShape struct {
	Batch, Height, Width, Channels     int // of the input
	Filters, KernelHeight, KernelWidth int
	Stride                             int
	Padding                            Padding
	Groups                             int // of channels and of filters, each convolved by itself; 0 for 1
	// Part chooses the algorithm of the gradient of the weights for one of several parts of a batch: by the
	// tiles of the whole part also if there are few channels, which costs one sum for each part.
	Part bool
	// BFloat16 rounds the factors of products of float32 to bfloat16, forward and in gradients,
	// where pairs of such numbers are multiplied faster than any algorithm computes the layer in float32.
	BFloat16 bool
}

// Padding is the width of the border of zeros on each side.
type Padding struct{ Top, Left, Bottom, Right int }

// Around returns a border of one width on all sides.
func Around(width int) Padding { return Padding{width, width, width, width} }

// SamePadding returns the padding of TensorFlow's SAME for square windows: the result of
// an input of the given height and width has ⌈height/stride⌉ rows and ⌈width/stride⌉
// columns, and of an odd number of zeros the bottom and the right get one more.
func SamePadding(height, width, size, stride int) Padding {
	total := func(extent int) int { return max((ceilDiv(extent, stride)-1)*stride+size-extent, 0) }
	rows, columns := total(height), total(width)
	return Padding{Top: rows / 2, Left: columns / 2, Bottom: rows - rows/2, Right: columns - columns/2}
}

// String describes the border.
func (p Padding) String() string {
	if p == Around(p.Top) {
		return fmt.Sprintf("padding %d", p.Top)
	}
	return fmt.Sprintf("padding of %d rows above and %d below, %d columns left and %d right", p.Top, p.Bottom, p.Left, p.Right)
}

// Output returns the height and width of the result.
func (s ConvShape) Output() (height, width int) {
	height, width = s.padded()
	return (height-s.KernelHeight)/s.Stride + 1, (width-s.KernelWidth)/s.Stride + 1
}

// padded returns the height and width of the input with its border.
func (s ConvShape) padded() (height, width int) {
	return s.Height + s.Padding.Top + s.Padding.Bottom, s.Width + s.Padding.Left + s.Padding.Right
}

// Validate returns an error if the shape is not valid.
func (s ConvShape) Validate() error {
	for _, d := range []dimension{
		{"batch", s.Batch}, {"height", s.Height}, {"width", s.Width}, {"channels", s.Channels},
		{"filters", s.Filters}, {"kernel height", s.KernelHeight}, {"kernel width", s.KernelWidth},
		{"stride", s.Stride},
	} {
		if err := atLeastOne(d.name, d.value); err != nil {
			return err
		}
	}
	for _, width := range []int{s.Padding.Top, s.Padding.Left, s.Padding.Bottom, s.Padding.Right} {
		if err := inRange("padding", width, 0); err != nil {
			return err
		}
	}
	if err := inRange("groups", s.Groups, 0); err != nil {
		return err
	}
	groups := s.groups()
	if s.Channels%groups != 0 || s.Filters%groups != 0 {
		return errors.Errorf("%d channels and %d filters in %d groups: both must be divisible by the number of groups", s.Channels, s.Filters, groups)
	}
	if groups > maxGroups && !s.depthwise() {
		return errors.Errorf("groups is %d, it must be at most %d or the number of channels, %d", groups, maxGroups, s.Channels)
	}
	if height, width := s.padded(); s.KernelHeight > height || s.KernelWidth > width {
		return errors.Errorf("kernel %d×%d is larger than its %d×%d input with %v",
			s.KernelHeight, s.KernelWidth, s.Height, s.Width, s.Padding)
	}
	return nil
}

// maxGroups is the largest number of groups that are not of one channel each.
const maxGroups = 1024

// groups returns the number of groups, and depthwise whether each of several groups has one
// channel.
func (s ConvShape) groups() int     { return max(1, s.Groups) }
func (s ConvShape) depthwise() bool { return s.Groups > 1 && s.Groups == s.Channels }

// groupChannels returns the number of channels of a group.
func (s ConvShape) groupChannels() int { return s.Channels / s.groups() }

// inputs, outputs and weights return the number of elements of the arrays.
func (s ConvShape) inputs() int  { return s.Batch * s.Height * s.Width * s.Channels }
func (s ConvShape) outputs() int { return s.pixels() * s.Filters }
func (s ConvShape) weights() int { return s.Filters * s.patchSize() }

// patchSize returns the number of elements of a window, and patchStart the offset of one
// of its rows, in the order (kernel height, kernel width, channels of a group).
func (s ConvShape) patchSize() int         { return s.patchStart(s.KernelHeight) }
func (s ConvShape) patchStart(row int) int { return row * s.KernelWidth * s.groupChannels() }

// pixels returns the number of output pixels of the batch.
func (s ConvShape) pixels() int {
	height, width := s.Output()
	return s.Batch * height * width
}

// Conv is a convolution layer (as in other libraries of neural networks, a
// cross-correlation):
//
//	y[b, i, j, f] = bias[f] + Σ x[b, i·stride+k−top, j·stride+l−left, c] · weight[f, c, k, l]
//
// with x (batch, height, width, channels), weight (filters, channels, kernel height,
// kernel width), bias (filters), y (batch, output height, output width, filters), and top and
// left the padding; x is zero outside the image. With groups, the first group has the first
// channels and the first filters, weight is (filters, channels/groups, kernel height, kernel
// width), and the sum is over the channels of the filter's group.
//
// Each output pixel is the product of its window, read in place, and the packed weights.
// The rows of a window are contiguous in memory, so a product consists of as many
// segments as the kernel has rows.
type Conv[T Float] struct {
	shape    ConvShape
	engine   vector.Engine[T]
	input    halo    // of a group of images
	windows  []int32 // the offset, in the input, of the window of each output pixel of the group
	results  []int32 // the offset of each output pixel of the group
	factors  factors[T]
	left     layout // of the images whose windows the forward pass multiplies
	forward  packed[T]
	rounding rounding
	ordered  []T // weights in the order of windows, (filters, kernel height, kernel width, channels)
	gradient convGradient[T]
	shared   *SharedWeights[T] // nil if no other convolution has the same weights
	fuses    bool              // the packed weights are needed once for the whole batch, and may be transformed meanwhile

	// At most one of these algorithms is not nil.
	winograd  *winograd
	tiles     tileMemory // of several images by Winograd's algorithm, while they are computed
	fourier   *fourier[T]
	depthwise *depthwise[T]
	grouped   *grouped[T]
}

// layout is that of images, with a border, as factors of products.
type layout struct {
	halo    halo
	windows []int32 // the offset of each window
	run     int     // elements of a row of a window
	rows    int     // of a window
}

// patch returns the number of elements of a window.
func (l layout) patch() int { return l.rows * l.run }

// layoutOf returns the layout of images with a window for each pixel of a result, for factors of which count
// store the channels of a pixel.
func layoutOf(h halo, count, height, width, stride, kernelHeight, kernelWidth int) layout {
	h.channels = count
	return layout{h, h.windows(height, width, stride), kernelWidth * count, kernelHeight}
}

// packedBytes is about the size of the part of the packed weights that is used at a
// time, so that it stays in the level 2 cache together with the images. blockElements is about
// the number of elements of the input for which all panels are used one after the other, so
// that they stay in that cache, too.
//
// Arrays of manyElements are probably not in any cache, and are fetched in the order of memory
// before they are read in another one.
const (
	manyElements   = 4 << 20
	packedBytes    = 128 << 10
	blockElements  = 32 << 10
	maxBlockPixels = 960
	wholeTiles     = 60 // pixels, a multiple of the usual numbers of rows of a tile
)

// NewConv returns the layer of a valid shape.
func NewConv[T Float](s ConvShape) *Conv[T] {
	c := newConv[T](s, minTiles)
	height, width := s.Output()
	products := height * width * s.KernelHeight * s.KernelWidth
	if s.groups() > 1 || c.factors.rounded {
		return c
	}
	if c.winograd != nil {
		products = c.winograd.products()
	}
	if fourierPays(s, products) {
		c.winograd, c.fourier = nil, newFourier(c.engine, s)
	}
	return c
}

// newConv returns a layer that uses Winograd's algorithm if there are at least the given
// number of tiles, and never the Fourier transform.
func newConv[T Float](s ConvShape, tiles int) *Conv[T] {
	mustBeValid(s.Validate())
	c := &Conv[T]{shape: s, engine: vector.For[T]()}
	if c.depthwise, c.grouped = newDepthwise(c.engine, s), newGrouped[T](s); s.groups() > 1 {
		return c
	}
	height, width := s.Output()
	// Products of few rows are slow, so small images are computed in groups.
	group := groupSize(s.Batch, ceilDiv(128, height*width))
	p := s.Padding
	c.input = halo{group, s.Height, s.Width, s.Channels, p.Top, p.Left, p.Bottom, p.Right}
	c.factors = newFactors[T](s.rounds())
	if !c.factors.rounded {
		c.winograd = newWinograd(c.engine, s, tiles)
	}
	if c.winograd != nil {
		c.input.images = c.winograd.group(s.Batch, group)
		c.input = c.winograd.border(c.input)
	}
	c.windows = c.input.windows(height, width, s.Stride)
	c.left = layout{c.input, c.windows, s.patchStart(1), s.KernelHeight}
	if c.factors.pairs != nil {
		c.left = layoutOf(c.input, c.factors.count(s.Channels), height, width, s.Stride, s.KernelHeight, s.KernelWidth)
		c.rounding.pixelPairs = everySecondPixel(c.windows, width)
	}
	c.results = halo{images: c.input.images, height: height, width: width, channels: s.Filters}.pixels()
	return c
}

// groupSize returns the number of images in a group, about the given number, such that
// the number of groups divides well by the usual numbers of threads.
func groupSize(batch, group int) int {
	groups := max(1, batch/group)
	if groups > 4 {
		groups -= groups % 4
	}
	return ceilDiv(batch, groups)
}

// Forward writes y. A nil bias is zero.
func (c *Conv[T]) Forward(y, x, weight, bias []T) {
	s := c.shape
	checkLength("y", y, s.outputs())
	checkLength("x", x, s.inputs())
	checkLength("weight", weight, s.weights())
	checkOptional("bias", bias, s.Filters)
	c.packForward(weight)
	if c.winograd.inPhases(s.Batch) {
		c.convolveInPhases(y, x, bias, vector.NoClip, nil)
		return
	}
	height, width := s.Output()
	spans := c.spans(height, width*s.Filters, width)
	c.forEachSpan(spans, x, func(w *workspace[T], i int) {
		span := spans[i]
		c.convolve(w, y[(span.image*height+span.top)*width*s.Filters:], x, bias, span)
	})
}

// convolve writes the results of a span: rows [top, bottom) of one image, or all rows of
// several images.
func (c *Conv[T]) convolve(w *workspace[T], y, x, bias []T, span span) {
	c.convolvePart(w, y, nil, x, bias, vector.NoClip, span, 0, c.forward.panels)
}

// plain reports whether the convolution is direct or by Winograd's algorithm.
func (c *Conv[T]) plain() bool {
	return c.fourier == nil && c.depthwise == nil && c.grouped == nil
}

// clips reports whether convolvePart can clip.
func (c *Conv[T]) clips() bool { return c.fourier == nil && c.grouped == nil }

// convolvePart is convolve for the filters of some panels, whose results it clips. Those of a
// depthwise convolution, of groups and of the Fourier transform are of all filters. A direct convolution
// adds the addend, which has the layout of y, unless that is nil.
func (c *Conv[T]) convolvePart(w *workspace[T], y, addend, x, bias []T, clip vector.Clip, span span, firstPanel, lastPanel int) {
	if c.fourier != nil {
		c.fourier.convolve(w, y, bias, span)
		return
	}
	if c.depthwise != nil {
		c.depthwise.convolve(w, y, x, bias, clip, span)
		return
	}
	if c.grouped != nil {
		c.grouped.convolve(w, y, x, bias, span)
		return
	}
	s := c.shape
	in := c.window(w, x, span)
	_, width := s.Output()
	if c.winograd != nil {
		h := c.input
		h.images = span.images
		c.winograd.convolve(any(w).(*workspace[float32]), asFloat32(y), asFloat32(in), asFloat32(bias), clip, h, span.top, span.bottom, width, firstPanel, lastPanel)
		return
	}
	pixels := span.images * (span.bottom - span.top) * width
	p := &w.product
	*p = vector.Rows[T]{Stride: c.left.halo.rowSize(), Length: c.left.run}
	step := blockElements / (s.Channels * s.Stride * s.Stride) / wholeTiles * wholeTiles
	step = min(max(wholeTiles, step), maxBlockPixels)
	for first := 0; first < pixels; first += step {
		last := min(first+step, pixels)
		p.AOffsets, p.COffsets = c.left.windows[span.top*width:][first:last], c.results[first:last]
		ahead := c.ahead(in, x, span, first, last, min(last+step, pixels), pixels)
		for i := firstPanel; i < lastPanel; i++ {
			q := c.forward.panel(i)
			p.C, p.Columns, p.Width = y[q.left:], q.columns, q.width
			p.Initial, p.Add, p.Addend, p.Clip = nil, false, nil, vector.NoClip
			p.Ahead = shareOf(ahead, i-firstPanel, lastPanel-firstPanel)
			if pixels <= step && i+1 < lastPanel { // each panel is used once
				p.Ahead = c.forward.panel(i + 1).data
			}
			if addend != nil {
				p.Add, p.Addend = true, addend[q.left:]
			}
			if bias != nil {
				p.Initial = bias[q.left:][:q.columns]
			}
			wide := q.width * c.forward.lanes
			step := c.windowRows(q.width)
			for ky := 0; ky < s.KernelHeight; ky += step {
				if p.Segments = min(step, s.KernelHeight-ky); ky+step >= s.KernelHeight {
					p.Clip = clip
				}
				p.A, p.B = in[ky*c.left.halo.rowSize():], q.data[ky*c.left.run*wide:]
				c.factors.products.Rows(p)
				p.Initial, p.Add, p.Addend = nil, true, nil
			}
		}
	}
}

// windowRows returns the number of rows of a window that are multiplied at a time by a panel of the given
// width.
func (c *Conv[T]) windowRows(width int) int {
	return max(1, packedBytes/(c.left.run*width*c.forward.lanes*int(unsafe.Sizeof(T(0)))))
}

// ahead returns the part of the input that is needed after pixels [first, last) of a span: the windows of
// the pixels up to next where they are read in place, and otherwise a part of the rows after those
// of the span, which are copied next.
func (c *Conv[T]) ahead(in, x []T, span span, first, last, next, pixels int) []T {
	s := c.shape
	if c.factors.rounded {
		return nil
	}
	if c.input == c.input.withoutBorder() {
		if s.KernelHeight > 1 || s.Stride > 1 {
			return nil
		}
		size := s.Channels * max(next-last, last-first)
		return in[min(last*s.Channels, len(in)):min(last*s.Channels+size, len(in))]
	}
	row := s.Width * s.Channels
	rows := span.images * (span.bottom - span.top) * s.Stride
	from := span.image*s.Height + min(span.bottom*s.Stride, s.Height)
	if span.images > 1 {
		from = (span.image + span.images) * s.Height
	}
	begin, size := from*row, rows*row
	return x[min(begin+first*size/pixels, len(x)):min(begin+last*size/pixels, len(x))]
}

// shareOf returns part i of n parts of an array.
func shareOf[T Float](x []T, i, n int) []T { return x[i*len(x)/n : (i+1)*len(x)/n] }

// spans divides results with the given number of rows for each image, and of elements and
// pixels for each row. With the Fourier transform and with groups of several channels,
// spans are whole images, because each part of an image would read the spectra, or copies of
// the channels, of the whole image.
func (c *Conv[T]) spans(rows, elements, pixels int) []span {
	switch {
	case c.depthwise != nil:
		return c.depthwise.spans(rows, elements)
	case c.fourier == nil && c.grouped == nil:
		spans := spansOf(c.shape.Batch, c.input.images, rows, elements, pixels)
		if height, _ := c.shape.Output(); c.winograd != nil && rows == height {
			c.winograd.align(spans, rows)
		}
		return spans
	}
	spans := make([]span, c.shape.Batch)
	for image := range spans {
		spans[image] = span{image: image, images: 1, bottom: rows}
	}
	return spans
}

// window returns the images of a span with their border; only the rows that the span's
// windows cover are set.
func (c *Conv[T]) window(w *workspace[T], x []T, span span) []T {
	if c.factors.rounded {
		return c.roundedWindow(w, x, span)
	}
	h := c.input
	h.images = span.images
	x = x[span.image*c.shape.Height*c.shape.Width*c.shape.Channels:]
	if h == h.withoutBorder() {
		return x
	}
	to := grow(&w.halo, h.size())
	last := (span.bottom-1)*c.shape.Stride + c.shape.KernelHeight
	if c.winograd != nil {
		last = span.top + c.winograd.inputRows(span.bottom-span.top)
	}
	copyWithBorder(h, to, x, span.top*c.shape.Stride, last)
	return to
}

// orderWeights sets ordered to the weights in the order of windows.
func (c *Conv[T]) orderWeights(weight []T) {
	s := c.shape
	taps, size := s.KernelHeight*s.KernelWidth, s.patchSize()
	if taps == 1 || s.Channels == 1 {
		c.ordered = append(c.ordered[:0], weight...)
		return
	}
	grow(&c.ordered, s.weights())
	parallel.For(s.Filters, func(f int) {
		c.engine.Transpose(c.ordered[f*size:][:size], s.Channels, weight[f*size:][:size], taps, s.Channels, taps)
	})
}

// packForward packs the transpose of the weights, (patch size, filters).
func (c *Conv[T]) packForward(weight []T) {
	if c.depthwise != nil {
		c.depthwise.pack(weight)
		return
	}
	if c.grouped != nil {
		c.grouped.pack(weight)
		return
	}
	if c.shared != nil {
		c.shared.pack(c, &c.shared.forward, &c.forward, c.winograd, nil, func() {
			c.forward.layout(c.engine, c.left.patch(), c.shape.Filters)
		}, func() { c.packPlain(weight) })
		return
	}
	c.packPlain(weight)
}

// packPlain packs the weights of a convolution that is direct or by Winograd's algorithm or the Fourier transform.
func (c *Conv[T]) packPlain(weight []T) {
	if c.winograd != nil && c.winograd.piece == c.winograd.kernel {
		c.forward.layout(c.engine, c.left.patch(), c.shape.Filters)
		set := c.winograd.transformWeights
		if c.fuses && c.shared == nil {
			set = c.winograd.setSource
		}
		set(any(&c.forward).(*packed[float32]), asFloat32(weight), false)
		return
	}
	c.orderWeights(weight)
	ordered := c.ordered
	if c.factors.rounded {
		ordered = c.roundWeights()
	}
	c.forward.resize(c.engine, c.left.patch(), c.shape.Filters)
	parallel.For(c.forward.panels, func(i int) {
		c.forward.putTransposed(c.engine, c.forward.panel(i), ordered, c.left.patch())
	})
	if c.winograd != nil {
		c.winograd.setWeights(any(&c.forward).(*packed[float32]))
	}
}

// SharedWeights are the packed weights of a convolution that several blocks of one shape have in common, those of parts of a
// batch, so that only the first of them packs the weights. The zero value is empty. It takes the memory of the packed weights until
// the end, where other blocks in training use the memory of one another.
type SharedWeights[T Float] struct {
	mutex             sync.Mutex
	forward, backward packing[T]
}

// packing is memory for packed weights.
type packing[T Float] struct {
	valid  bool
	data   []T       // without Winograd's algorithm
	values []float32 // with it
	rows   [][]T     // of the rows of the kernel, for the gradient of an input that is not flipped
}

// Reset must be called between runs of the blocks when the weights have changed.
func (s *SharedWeights[T]) Reset() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.forward.valid, s.backward.valid = false, false
}

// pack gives a convolution the packed weights, after it has packed them by fill if no other one has done so. layout sets
// their shape.
func (s *SharedWeights[T]) pack(c *Conv[T], shared *packing[T], p *packed[T], w *winograd, rows []packed[T], layout, fill func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for i := range rows {
		if i < len(shared.rows) {
			rows[i].data = shared.rows[i]
		}
	}
	if w != nil {
		w.values = shared.values
	} else {
		p.data = shared.data
	}
	if shared.valid {
		if layout(); w != nil {
			w.panels = any(p).(*packed[float32])
		}
		return
	}
	release := borrowPass(func(m *passMemory[T]) {
		m.ordered, c.ordered = c.ordered, m.ordered
		if w != nil {
			m.packed, p.data = p.data, m.packed
			m.padded, w.padded = w.padded, m.padded
		}
	})
	fill()
	release()
	shared.valid = true
	if w != nil {
		shared.values = w.values
	} else {
		shared.data = p.data
	}
	shared.rows = shared.rows[:0]
	for i := range rows {
		shared.rows = append(shared.rows, rows[i].data)
	}
}

// Share makes the block use packed weights together with others of the same shape and weights. Depthwise convolutions, groups and
// the Fourier transform pack by themselves.
func (k *Block[T]) Share(s *SharedWeights[T]) {
	if k.conv.plain() {
		k.conv.shared = s
	}
}
