package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// ConvShape is the shape of a convolution layer. Padding is a border of zeros,
// as wide on each side.
type ConvShape struct {
	Batch, Height, Width, Channels     int // of the input
	Filters, KernelHeight, KernelWidth int
	Stride, Padding                    int
}

// Output returns the height and width of the result.
func (s ConvShape) Output() (height, width int) {
	return (s.Height+2*s.Padding-s.KernelHeight)/s.Stride + 1, (s.Width+2*s.Padding-s.KernelWidth)/s.Stride + 1
}

// Validate says what is wrong with a shape.
func (s ConvShape) Validate() error {
	for _, d := range []dimension{
		{"batch", s.Batch}, {"height", s.Height}, {"width", s.Width}, {"channels", s.Channels},
		{"filters", s.Filters}, {"kernel height", s.KernelHeight}, {"kernel width", s.KernelWidth},
		{"stride", s.Stride},
	} {
		if err := positive(d.name, d.value); err != nil {
			return err
		}
	}
	if err := between("padding", s.Padding, 0); err != nil {
		return err
	}
	if s.KernelHeight > s.Height+2*s.Padding || s.KernelWidth > s.Width+2*s.Padding {
		return errors.Errorf("kernel %d×%d is larger than its %d×%d input with padding %d",
			s.KernelHeight, s.KernelWidth, s.Height, s.Width, s.Padding)
	}
	return nil
}

// inputs, outputs and weights return the number of elements of the arrays.
func (s ConvShape) inputs() int  { return s.Batch * s.Height * s.Width * s.Channels }
func (s ConvShape) outputs() int { return s.pixels() * s.Filters }
func (s ConvShape) weights() int { return s.Filters * s.Channels * s.KernelHeight * s.KernelWidth }

// patchSize returns the length of a window, and patchStart where its row
// begins, in the order (kernel height, kernel width, channels).
func (s ConvShape) patchSize() int         { return s.patchStart(s.KernelHeight) }
func (s ConvShape) patchStart(row int) int { return row * s.KernelWidth * s.Channels }

// pixels returns the number of output pixels of the batch.
func (s ConvShape) pixels() int {
	height, width := s.Output()
	return s.Batch * height * width
}

// Conv is a convolution layer (in the sense of neural networks, a
// correlation): x (batch, height, width, channels), weight (filters, channels,
// kernel height, kernel width), bias (filters), y (batch, output height,
// output width, filters).
//
// Each output pixel is the product of its window, read in place, and the
// packed weights. A window's rows are contiguous in memory, so a product goes
// through as many segments as the kernel has rows.
type Conv[T Float] struct {
	shape    ConvShape
	engine   vector.Engine[T]
	input    halo    // of a group of images
	windows  []int32 // of the group's output pixels, in the input
	results  []int32 // where the group's results begin
	forward  packed[T]
	ordered  []T       // weights in the order of windows, (filters, kernel height, kernel width, channels)
	winograd *winograd // at most one of them is not nil
	fourier  *fourier[T]
	gradient convGradient[T]
}

// packedBytes is about how much of the packed weights is multiplied by at a
// time: what stays in the level 2 cache beside the images.
const packedBytes = 128 << 10

// NewConv returns the layer of a valid shape.
func NewConv[T Float](s ConvShape) *Conv[T] {
	c := newConv[T](s, minTiles)
	height, width := s.Output()
	products := height * width * s.KernelHeight * s.KernelWidth
	if c.winograd != nil {
		products = c.winograd.products()
	}
	if fourierPays(s, products) {
		c.winograd, c.fourier = nil, newFourier(c.engine, s)
	}
	return c
}

// newConv takes Winograd's algorithm from so many tiles on, and no transform of
// Fourier's.
func newConv[T Float](s ConvShape, tiles int) *Conv[T] {
	mustBeValid(s.Validate())
	c := &Conv[T]{shape: s, engine: vector.For[T]()}
	height, width := s.Output()
	// Products of few rows are slow, so small images are taken together.
	group := groupSize(s.Batch, ceilDiv(128, height*width))
	c.input = halo{group, s.Height, s.Width, s.Channels, s.Padding, s.Padding, s.Padding, s.Padding}
	if c.winograd = newWinograd(c.engine, s, tiles); c.winograd != nil {
		c.input.images = c.winograd.group(s.Batch, group)
		c.input = c.winograd.border(c.input)
	}
	c.windows = c.input.windows(height, width, s.Stride)
	c.results = halo{images: c.input.images, height: height, width: width, channels: s.Filters}.pixels()
	return c
}

// evenly returns how many images to take together, about as many as asked, so
// that the groups are as many as divide well by the number of threads.
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
	height, width := s.Output()
	spans := c.spans(height, width*s.Filters, width)
	c.forEachSpan(spans, x, func(w *workspace[T], i int) {
		span := spans[i]
		c.convolve(w, y[(span.image*height+span.top)*width*s.Filters:], x, bias, span)
	})
}

// convolve writes rows [top, bottom) of the results of a span's images, of
// which there is one unless the rows are all.
func (c *Conv[T]) convolve(w *workspace[T], y, x, bias []T, span span) {
	if c.fourier != nil {
		c.fourier.convolve(w, y, bias, span)
		return
	}
	s := c.shape
	in := c.window(w, x, span)
	_, width := s.Output()
	if c.winograd != nil {
		h := c.input
		h.images = span.images
		c.winograd.convolve(any(w).(*workspace[float32]), asFloat32(y), asFloat32(in), asFloat32(bias), h, span.top, span.bottom, width)
		return
	}
	pixels := span.images * (span.bottom - span.top) * width
	p := &w.product
	*p = vector.Rows[T]{
		C: y, Stride: c.input.rowSize(), Length: s.patchStart(1),
		AOffsets: c.windows[span.top*width:][:pixels], COffsets: c.results[:pixels],
	}
	for i := range c.forward.panels {
		q := c.forward.panel(i)
		p.C, p.Columns, p.Width = y[q.left:], q.columns, q.width
		p.Initial, p.Add = nil, false
		if bias != nil {
			p.Initial = bias[q.left:][:q.columns]
		}
		wide := q.width * c.forward.lanes
		step := max(1, packedBytes/(s.patchStart(1)*wide*int(unsafe.Sizeof(T(0)))))
		for ky := 0; ky < s.KernelHeight; ky += step {
			p.Segments = min(step, s.KernelHeight-ky)
			p.A, p.B = in[ky*c.input.rowSize():], q.data[s.patchStart(ky)*wide:]
			c.engine.Rows(p)
			p.Initial, p.Add = nil, true
		}
	}
}

// spans divides results of so many rows, each of so many elements and pixels.
// Spectra are of whole images, and would be read for each part of one.
func (c *Conv[T]) spans(rows, elements, pixels int) []span {
	if c.fourier == nil {
		return spansOf(c.shape.Batch, c.input.images, rows, elements, pixels)
	}
	spans := make([]span, c.shape.Batch)
	for image := range spans {
		spans[image] = span{image: image, images: 1, bottom: rows}
	}
	return spans
}

// window returns the images of a span with their border, or rather those rows
// that the span's windows cover.
func (c *Conv[T]) window(w *workspace[T], x []T, span span) []T {
	h := c.input
	h.images = span.images
	x = x[span.image*c.shape.Height*c.shape.Width*c.shape.Channels:]
	if h == h.bare() {
		return x
	}
	to := grow(&w.halo, h.size())
	last := (span.bottom-1)*c.shape.Stride + c.shape.KernelHeight
	if c.winograd != nil {
		last = span.top + c.winograd.reach(span.bottom-span.top)
	}
	copyWithBorder(h, to, x, span.top*c.shape.Stride, last)
	return to
}

// order brings the weights to the order of windows.
func (c *Conv[T]) order(weight []T) {
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

// packForward packs the transpose of the weights, (patch, filters).
func (c *Conv[T]) packForward(weight []T) {
	c.order(weight)
	c.forward.shape(c.engine, c.shape.patchSize(), c.shape.Filters)
	parallel.For(c.forward.panels, func(i int) {
		c.forward.putTransposed(c.engine, c.forward.panel(i), c.ordered, c.shape.patchSize())
	})
	if c.winograd != nil {
		c.winograd.transform(any(&c.forward).(*packed[float32]))
	}
}
