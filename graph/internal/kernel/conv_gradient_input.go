package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/vector"
)

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
		}, leastTiles)
	}
	useful := height * width * s.KernelHeight * s.KernelWidth // products; the border's are not
	if g.minimal != nil && 2*g.minimal.products() > useful {
		g.minimal = nil
	}
	g.flipped = inside && (g.minimal != nil || 5*height*width >= 4*s.Height*s.Width)
	if g.byTiles = c.minimal != nil && s.Batch*c.minimal.tiles() >= leastGradientTiles; g.byTiles {
		g.output.bottom, g.output.right = c.minimal.overhang()
	}
	if !g.flipped {
		g.results = g.output.pixels()
		return
	}
	g.output.top, g.output.left = top, left
	g.output.bottom, g.output.right = max(g.output.bottom, top), max(g.output.right, left)
	if g.minimal != nil {
		g.output = g.minimal.border(g.output)
	}
	g.windows = g.output.windows(s.Height, s.Width, 1)
	g.inputs = halo{images: c.input.images, height: s.Height, width: s.Width, channels: s.Channels}.pixels()
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
		p.AOffsets, p.COffsets = g.results[first:last], c.windows[first:last]
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
