package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/vector"
)

// convGradient is what a convolution keeps for its gradients, made when they
// are first asked for.
type convGradient[T Float] struct {
	made     bool
	bandRows int       // rows of the result that must stay together; 0 is 1
	flipped  bool      // whether the input's gradient is a convolution itself
	output   halo      // of the result's gradient, of a group
	windows  []int32   // of the input's pixels in the result's gradient, if flipped
	inputs   []int32   // the input's pixels, if flipped
	packed   packed[T] // all weights if flipped, otherwise those of the first kernel row
	rows     []packed[T]
	minimal  *winograd // of a flipped one, nil if it is direct
	partial  []T       // sums of the gradient of the weights, one a part of the batch
	total    []T
}

// source writes rows [top, bottom) of the gradient of the results of a span's
// images, row y of image i beginning at element at.row(i, y) of to.
type source[T Float] func(w *workspace[T], to []T, at halo, span span)

// Backward writes the gradients that are not nil, given x, weight and the
// gradient dy of y.
func (c *Conv[T]) Backward(dx, dweight, dbias, x, weight, dy []T) {
	s := c.shape
	checkLength("dy", dy, s.outputs())
	height, width := s.Output()
	run := width * s.Filters
	c.backward(dx, dweight, dbias, x, weight, func(_ *workspace[T], to []T, at halo, span span) {
		for i := range span.images {
			for y := span.top; y < span.bottom; y++ {
				copy(to[at.row(i, y):][:run], dy[((span.image+i)*height+y)*run:])
			}
		}
	})
}

// backward is Backward with the gradient of y made span by span, where it is
// needed.
func (c *Conv[T]) backward(dx, dweight, dbias, x, weight []T, dy source[T]) {
	s, g := c.shape, &c.gradient
	checkOptional("dx", dx, s.inputs())
	checkOptional("dweight", dweight, s.weights())
	checkOptional("dbias", dbias, s.Filters)
	checkLength("x", x, s.inputs())
	c.makeGradient()
	if dx != nil {
		checkLength("weight", weight, s.weights())
		c.packBackward(weight)
	}
	group := c.input.images
	groups := ceilDiv(s.Batch, group)
	// Each part of the batch has a sum of its own. More of them would be more
	// memory to go through, and other numbers of them divide badly by threads.
	parts := 16
	for parts > groups || parts > 4 && (parts*s.weights() > 1<<21 || s.pixels() < parts*1024) {
		parts /= 2
	}
	if dweight != nil {
		grow(&g.partial, parts*s.weights())
	}
	sums := make([]float64, parts*s.Filters)
	Parallel(parts, func(part int) {
		w := borrow[T]()
		defer w.giveBack()
		sum := sums[part*s.Filters:][:s.Filters]
		var weights []T
		if dweight != nil {
			weights = g.partial[part*s.weights():][:s.weights()]
		}
		begin := part * groups / parts
		for i := begin; i < (part+1)*groups/parts; i++ {
			images := min(group, s.Batch-i*group)
			c.groupGradient(w, dx, weights, sum, x, dy, i*group, images, dbias != nil, i == begin)
		}
	})
	if dweight != nil {
		c.finishWeights(dweight, parts)
	}
	if dbias != nil {
		for part := 1; part < parts; part++ {
			for f, v := range sums[part*s.Filters:][:s.Filters] {
				sums[f] += v
			}
		}
		round(dbias, sums[:s.Filters])
	}
}

// groupGradient is the work on a group of images. The gradient of its results
// is made at once if that of its input is wanted, as rows of the one have to do
// with several rows of the other, otherwise band by band.
func (c *Conv[T]) groupGradient(w *workspace[T], dx, weights []T, sum []float64, x []T, dy source[T], image, images int, bias, fresh bool) {
	s, at := c.shape, c.gradient.output
	height, width := s.Output()
	at.images = images
	if dx == nil {
		at = at.bare()
	}
	gradient := grow(&w.gradient, at.size())
	for i := range images {
		clearBorder(at, gradient, i, 0, at.rows())
	}
	if dx != nil {
		dy(w, gradient, at, span{image, images, 0, height})
	}
	step := max(1, c.gradient.bandRows)
	if images > 1 || height*width*s.Filters < 2*spanElements {
		step = height
	} else {
		step = max(step, spanElements/(width*s.Filters)/step*step)
	}
	for top := 0; top < height; top += step {
		band := span{image, images, top, min(top+step, height)}
		if dx == nil {
			dy(w, gradient, at, band)
		}
		if bias {
			c.addBias(sum, gradient, at, band)
		}
		if weights != nil {
			c.addWeights(w, weights, x, gradient, at, band, fresh && top == 0)
		}
	}
	if dx != nil {
		c.inputGradient(w, dx, gradient, span{image, images, 0, height})
	}
}

// makeGradient decides how the gradients are computed.
//
// The input's gradient is a convolution of the result's gradient, with a
// border, by the flipped weights. Where strides or a small result make much of
// that the multiplication by zeros, each row of the weights is instead
// multiplied by the result's gradient, and the products are added to the rows
// of the input that they come from.
func (c *Conv[T]) makeGradient() {
	s, g := c.shape, &c.gradient
	if g.made {
		return
	}
	g.made = true
	height, width := s.Output()
	g.output = halo{images: c.input.images, height: height, width: width, channels: s.Filters}
	top, left := s.KernelHeight-1-s.Padding, s.KernelWidth-1-s.Padding
	inside := s.Stride == 1 && top >= 0 && left >= 0
	if inside && top == left && c.minimal != nil {
		g.minimal = newWinograd(c.engine, ConvShape{
			Batch: s.Batch, Height: height, Width: width, Channels: s.Filters,
			Filters: s.Channels, KernelHeight: s.KernelHeight, KernelWidth: s.KernelWidth, Stride: 1, Padding: top,
		})
	}
	useful := height * width * s.KernelHeight * s.KernelWidth // products; the border's are not
	if g.minimal != nil && 2*g.minimal.products() > useful {
		g.minimal = nil
	}
	g.flipped = inside && (g.minimal != nil || 5*height*width >= 4*s.Height*s.Width)
	if !g.flipped {
		return
	}
	g.output.top, g.output.left, g.output.bottom, g.output.right = top, left, top, left
	if g.minimal != nil {
		g.output = g.minimal.border(g.output)
	}
	g.windows = g.output.windows(s.Height, s.Width, 1)
	g.inputs = halo{images: c.input.images, height: s.Height, width: s.Width, channels: s.Channels}.pixels()
}

// addBias adds the sum over all pixels.
func (c *Conv[T]) addBias(sum []float64, gradient []T, at halo, span span) {
	run := at.width * at.channels
	for i := range span.images {
		for y := span.top; y < span.bottom; y++ {
			c.engine.SumRows(sum, gradient[at.row(i, y):][:run])
		}
	}
}

// weightPixels is how many pixels are summed in registers, so that the results'
// gradients that they read stay near and the error of float32 sums stays small.
const weightPixels = 512

// addWeights adds the gradient of the weights to sum (patch, filters), or
// begins a fresh sum.
func (c *Conv[T]) addWeights(w *workspace[T], sum, x, gradient []T, at halo, span span, fresh bool) {
	s := c.shape
	in := c.window(w, x, span)
	_, width := s.Output()
	pixels := span.images * (span.bottom - span.top) * width
	windows := c.windows[span.top*width:][:pixels]
	offsets := c.pixelOffsets(w, at, span)
	o := &w.outer
	*o = vector.Outer[T]{B: gradient, Run: s.patchStart(1), Columns: s.Filters, CStride: s.Filters}
	for ky := range s.KernelHeight {
		o.A, o.C = in[ky*c.input.rowSize():], sum[s.patchStart(ky)*s.Filters:]
		for first := 0; first < pixels; first += weightPixels {
			last := min(first+weightPixels, pixels)
			o.AOffsets, o.BOffsets = windows[first:last], offsets[first:last]
			o.Add = !fresh || first > 0
			c.engine.Outer(o)
		}
	}
}

// pixelOffsets returns where the pixels of a span begin in the gradient.
func (c *Conv[T]) pixelOffsets(w *workspace[T], at halo, span span) []int32 {
	offsets := grow(&w.offsets, span.images*(span.bottom-span.top)*at.width)
	next := 0
	for i := range span.images {
		for y := span.top; y < span.bottom; y++ {
			start := at.row(i, y)
			for x := range at.width {
				offsets[next] = int32(start + x*at.channels)
				next++
			}
		}
	}
	return offsets
}

// finishWeights adds the parts up and brings the sum to the order of the
// weights.
func (c *Conv[T]) finishWeights(dweight []T, parts int) {
	s, g := c.shape, &c.gradient
	size, taps := s.patchSize(), s.KernelHeight*s.KernelWidth
	total := g.partial[:s.weights()]
	Parallel(size, func(k int) {
		row := total[k*s.Filters:][:s.Filters]
		for part := 1; part < parts; part++ {
			c.engine.Add(row, g.partial[part*s.weights()+k*s.Filters:][:s.Filters])
		}
	})
	plain := taps == 1 || s.Channels == 1
	ordered := dweight
	if !plain {
		ordered = grow(&g.total, s.weights())
	}
	bands := min(s.Filters, units)
	Parallel(bands, func(band int) {
		first, last := band*s.Filters/bands, (band+1)*s.Filters/bands
		c.engine.Transpose(ordered[first*size:], size, total[first:], s.Filters, size, last-first)
		for f := first; f < last && !plain; f++ {
			c.engine.Transpose(dweight[f*size:][:size], taps, ordered[f*size:][:size], s.Channels, taps, s.Channels)
		}
	})
}

// packBackward packs the weights for the input's gradient.
func (c *Conv[T]) packBackward(weight []T) {
	s, g := c.shape, &c.gradient
	c.order(weight)
	taps, size := s.KernelHeight*s.KernelWidth, s.patchSize()
	if g.flipped {
		g.packed.shape(c.engine, taps*s.Filters, s.Channels)
		Parallel(taps, func(tap int) {
			for i := range g.packed.panels {
				q := g.packed.panel(i)
				for f := range s.Filters {
					g.packed.put(q, (taps-1-tap)*s.Filters+f, c.ordered[f*size+tap*s.Channels:][:s.Channels])
				}
			}
		})
		if g.minimal != nil {
			g.minimal.transform(any(&g.packed).(*packed[float32]))
		}
		return
	}
	if g.rows == nil {
		g.rows = make([]packed[T], s.KernelHeight)
	}
	Parallel(s.KernelHeight, func(ky int) {
		p, run := &g.rows[ky], s.patchStart(1)
		p.shape(c.engine, s.Filters, run)
		for i := range p.panels {
			q := p.panel(i)
			for f := range s.Filters {
				p.put(q, f, c.ordered[f*size+s.patchStart(ky):][:run])
			}
		}
	})
}

// inputPixels is how many pixels' gradients are brought back to the input at a
// time, so that both stay in the level 2 cache.
const inputPixels = 384

// inputGradient writes dx of a span's images.
func (c *Conv[T]) inputGradient(w *workspace[T], dx, gradient []T, span span) {
	s, g := c.shape, &c.gradient
	in := s.Height * s.Width * s.Channels
	dx = dx[span.image*in:][:span.images*in]
	if g.flipped {
		c.flippedGradient(w, dx, gradient, span.images)
		return
	}
	to, h := dx, c.input
	h.images = span.images
	if h != h.bare() {
		to = grow(&w.halo, h.size())
	}
	clear(to)
	height, width := s.Output()
	pixels := span.images * height * width
	p := &w.product
	*p = vector.Rows[T]{A: gradient, Segments: 1, Length: s.Filters, Add: true}
	for first := 0; first < pixels; first += inputPixels {
		last := min(first+inputPixels, pixels)
		p.AOffsets, p.COffsets = c.results[first:last], c.windows[first:last]
		for ky := range s.KernelHeight {
			for i := range g.rows[ky].panels {
				q := g.rows[ky].panel(i)
				p.B, p.Width, p.Columns = q.data, q.width, q.columns
				p.C = to[ky*h.rowSize()+q.left:]
				c.engine.Rows(p)
			}
		}
	}
	if h != h.bare() {
		emptyHalo(h, dx, to)
	}
}

func (c *Conv[T]) flippedGradient(w *workspace[T], dx, gradient []T, images int) {
	s, g := c.shape, &c.gradient
	if g.minimal != nil {
		h := g.output
		h.images = images
		g.minimal.convolve(any(w).(*workspace[float32]), single(dx), single(gradient), nil, h, 0, s.Height, s.Width)
		return
	}
	pixels := images * s.Height * s.Width
	run := s.KernelWidth * s.Filters
	p := &w.product
	*p = vector.Rows[T]{
		AOffsets: g.windows[:pixels], COffsets: g.inputs[:pixels],
		Length: run, Stride: g.output.rowSize(),
	}
	for i := range g.packed.panels {
		q := g.packed.panel(i)
		wide := q.width * g.packed.lanes
		p.C, p.Columns, p.Width, p.Add = dx[q.left:], q.columns, q.width, false
		step := max(1, packedBytes/(run*wide*int(unsafe.Sizeof(T(0)))))
		for ky := 0; ky < s.KernelHeight; ky += step {
			p.Segments = min(step, s.KernelHeight-ky)
			p.A, p.B = gradient[ky*g.output.rowSize():], q.data[ky*run*wide:]
			c.engine.Rows(p)
			p.Add = true
		}
	}
}
