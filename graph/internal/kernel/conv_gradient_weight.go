package kernel

import "github.com/likeness-go/likeness/internal/vector"

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

// addParts adds the parts up, (patch, filters).
func (c *Conv[T]) addParts(parts int) []T {
	s, g := c.shape, &c.gradient
	size := len(g.partial) / parts
	Parallel(size/s.Filters, func(k int) {
		row := g.partial[k*s.Filters:][:s.Filters]
		for part := 1; part < parts; part++ {
			c.engine.Add(row, g.partial[part*size+k*s.Filters:][:s.Filters])
		}
	})
	if !g.byTiles {
		return g.partial[:size]
	}
	sum := grow(&g.sum, s.weights())
	c.minimal.leaveGradient(single(sum), single(g.partial[:size]))
	return sum
}

// orderGradient brings the gradient of the weights, (patch, filters), to their own
// order.
func (c *Conv[T]) orderGradient(dweight, total []T) {
	s, g := c.shape, &c.gradient
	size, taps := s.patchSize(), s.KernelHeight*s.KernelWidth
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
