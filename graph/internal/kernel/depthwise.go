package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// depthwise is a convolution with as many groups as channels: each filter sees one channel,
// and each channel has the same number of filters, usually one. There is no sum over
// channels, so that it is not a matrix product but a sum of a few taps for each element,
// limited by the bandwidth of the caches.
//
// The input is read in place, without a border: windows that reach over the edge of the image
// are computed with fewer taps. The gradient of the input is a convolution of the same kind
// for each remainder of its rows and columns divided by the stride.
type depthwise[T Float] struct {
	engine     vector.Engine[T]
	shape      ConvShape
	multiplier int  // filters of a channel
	pixel      int  // elements from a pixel to the next of the images that are read; see pixelStride
	copies     bool // the rows that are read are copied, with a border at the left and the right
	weights    []T  // (kernel height, kernel width, filters)
	forward    sweep[T]
	backward   []sweep[T] // for the gradient of the input
}

// sweep is a depthwise convolution whose results are pixels of an image at a constant
// distance.
type sweep[T Float] struct {
	rows, columns axis
	filters       int
	tap           int // elements from the weights of a tap to the next: those of all filters
	weights       []T // (kernel height, kernel width, tap)
}

// axis is one dimension of a sweep. Result i is written to pixel first + i·step.
type axis struct {
	kernel, stride, padding int
	first, step             int
	intervals               []interval
}

// interval is a range of results [first, last) whose windows have the same taps [begin, end)
// inside the image.
type interval struct{ first, last, begin, end int }

// newAxis returns the axis of an image with the given number of pixels.
func newAxis(pixels, kernel, stride, padding, results int) axis {
	a := axis{kernel: kernel, stride: stride, padding: padding, step: 1}
	for i := range results {
		begin := max(0, padding-i*stride)
		end := max(begin, min(kernel, pixels+padding-i*stride))
		if last := len(a.intervals) - 1; last >= 0 && a.intervals[last].begin == begin && a.intervals[last].end == end {
			a.intervals[last].last++
			continue
		}
		a.intervals = append(a.intervals, interval{i, i + 1, begin, end})
	}
	return a
}

// gradientAxes returns the axes of the gradient of the pixels, which are results of a
// convolution with the given number of results. Pixel first + i·stride is the sum of the
// results whose windows contain it, times the taps of their remainder, last tap first.
func gradientAxes(pixels, kernel, stride, padding, results int) []axis {
	var axes []axis
	for remainder := range min(stride, pixels+padding) {
		taps := max(0, ceilDiv(kernel-remainder, stride))
		skipped := ceilDiv(max(0, padding-remainder), stride) // results whose pixel is in the padding
		first := skipped*stride + remainder - padding
		if first >= pixels {
			continue
		}
		a := newAxis(results, taps, 1, taps-1-skipped, (pixels-1-first)/stride+1)
		a.first, a.step = first, stride
		axes = append(axes, a)
	}
	return axes
}

// input returns the pixel at which the first window of an interval begins, without the taps
// outside the image.
func (a axis) input(r interval) int { return r.first*a.stride - a.padding + r.begin }

// newDepthwise returns the convolution of a shape, or nil if it is not depthwise.
func newDepthwise[T Float](engine vector.Engine[T], s ConvShape) *depthwise[T] {
	if !s.depthwise() {
		return nil
	}
	p := &depthwise[T]{engine: engine, shape: s, multiplier: s.Filters / s.Channels, pixel: pixelStride(engine, s)}
	height, width := s.Output()
	p.copies = p.multiplier > 1 || p.pixel != s.Channels || s.Width <= narrow && s.Padding.Left+s.Padding.Right > 0
	p.forward = sweep[T]{
		rows:    newAxis(s.Height, s.KernelHeight, s.Stride, s.Padding.Top, height),
		columns: newAxis(s.Width, s.KernelWidth, s.Stride, s.Padding.Left, width),
		filters: s.Filters, tap: s.Filters,
	}
	if p.copies {
		p.forward.columns = newAxis(s.Padding.Left+s.Width+s.Padding.Right, s.KernelWidth, s.Stride, 0, width)
	}
	return p
}

// narrow is the largest width of an image of which a copy with a border pays: windows that reach
// over the edge are single results, which take several times as long as those that share
// pixels.
const narrow = 32

// pixelStride returns the number of elements from a pixel to the next for which the pixels
// that are read at a time stay in the level 1 cache. It is the number of channels, unless
// pixels are a large power of two, or a small multiple of one, apart: then they share a few
// sets of that cache, and a copy with one cache line more between them is several times
// faster.
func pixelStride[T Float](engine vector.Engine[T], s ConvShape) int {
	const line, sets, ways, results = 64, 64, 8, 8
	bytes := s.Filters * int(unsafe.Sizeof(T(0)))
	if engine.Lanes()%4 != 0 || bytes%line != 0 { // without vector instructions the cache is no limit
		return s.Filters
	}
	same := sets // how many times as many pixels as without a common factor share a set
	for bytes/line%same != 0 {
		same /= 2
	}
	pixels := s.KernelHeight * min(s.Width, s.KernelWidth+(results-1)*s.Stride)
	if free := ways - 2; pixels <= sets/same*free {
		return s.Filters
	}
	return s.Filters + line/int(unsafe.Sizeof(T(0)))
}

// initGradient makes the sweeps of the gradient of the input.
func (p *depthwise[T]) initGradient() {
	if p.backward != nil {
		return
	}
	s := p.shape
	height, width := s.Output()
	for _, rows := range gradientAxes(s.Height, s.KernelHeight, s.Stride, s.Padding.Top, height) {
		for _, columns := range gradientAxes(s.Width, s.KernelWidth, s.Stride, s.Padding.Left, width) {
			p.backward = append(p.backward, sweep[T]{rows: rows, columns: columns, filters: s.Filters, tap: s.Filters})
		}
	}
}

// pack sets the weights.
func (p *depthwise[T]) pack(weight []T) {
	s := p.shape
	taps := s.KernelHeight * s.KernelWidth
	p.engine.Transpose(grow(&p.weights, len(weight)), s.Filters, weight, taps, s.Filters, taps)
	p.forward.weights = p.weights
}

// packBackward sets the weights of the gradient of the input.
func (p *depthwise[T]) packBackward() {
	s := p.shape
	for i := range p.backward {
		b := &p.backward[i]
		rows, columns := b.rows.kernel, b.columns.kernel
		grow(&b.weights, rows*columns*s.Filters)
		top, left := (b.rows.first+s.Padding.Top)%s.Stride, (b.columns.first+s.Padding.Left)%s.Stride
		for y := range rows {
			for x := range columns {
				ky, kx := top+(rows-1-y)*s.Stride, left+(columns-1-x)*s.Stride
				copy(b.weights[(y*columns+x)*s.Filters:][:s.Filters], p.weights[(ky*s.KernelWidth+kx)*s.Filters:])
			}
		}
	}
}

// eachPart visits the parts of a sweep that have the same taps inside the image, for the
// results that are rows [top, bottom) of image y; x is the input.
func (s *sweep[T]) eachPart(d *vector.Depthwise[T], y []T, to halo, x []T, from halo, top, bottom int, visit func(d *vector.Depthwise[T])) {
	rows, columns := s.rows, s.columns
	for _, r := range rows.intervals {
		r.first = max(r.first, ceilDiv(max(0, top-rows.first), rows.step))
		r.last = min(r.last, ceilDiv(max(0, bottom-rows.first), rows.step))
		if r.first >= r.last {
			continue
		}
		for _, c := range columns.intervals {
			*d = vector.Depthwise[T]{
				Lines: r.last - r.first, Count: c.last - c.first, Channels: s.filters, Rows: r.end - r.begin, Columns: c.end - c.begin,
				XLine: rows.stride * from.rowSize(), XStep: columns.stride * from.channels, XRow: from.rowSize(), XPixel: from.channels,
				YLine: rows.step * to.rowSize(), YPixel: columns.step * to.channels,
				WRow: columns.kernel * s.tap, WTap: s.tap,
				Y: y[to.row(0, rows.first+r.first*rows.step)+(columns.first+c.first*columns.step)*to.channels:],
			}
			if d.Rows > 0 && d.Columns > 0 {
				d.X = x[from.row(0, rows.input(r))+columns.input(c)*from.channels:]
				d.W = s.weights[(r.begin*columns.kernel+c.begin)*s.tap:]
			}
			visit(d)
		}
	}
}

// run writes the results that are rows [top, bottom) of image y.
func (s *sweep[T]) run(w *workspace[T], engine vector.Engine[T], y []T, to halo, x []T, from halo, bias []T, clip vector.Clip, top, bottom int) {
	s.eachPart(&w.depthwise, y, to, x, from, top, bottom, func(d *vector.Depthwise[T]) {
		d.Initial, d.Clip = bias, clip
		if d.Rows > 0 && d.Columns > 0 {
			engine.Depthwise(d)
			return
		}
		for line := range d.Lines { // windows that are outside the image
			for i := range d.Count {
				pixel := d.Y[line*d.YLine+i*d.YPixel:][:d.Channels]
				clear(pixel)
				copy(pixel, bias)
				vector.ApplyClip(clip, pixel)
			}
		}
	})
}

// inputRows returns the rows of the input that results [top, bottom) need.
func (p *depthwise[T]) inputRows(top, bottom int) (first, last int) {
	s := p.shape
	first = min(max(0, top*s.Stride-s.Padding.Top), s.Height)
	return first, min(max(first, (bottom-1)*s.Stride-s.Padding.Top+s.KernelHeight), s.Height)
}

// input returns an image with one channel for each filter, of which the rows that results
// [top, bottom) need are set, and where to find them.
func (p *depthwise[T]) input(w *workspace[T], x []T, image, top, bottom int) ([]T, halo) {
	s := p.shape
	x = x[image*s.Height*s.Width*s.Channels:][:s.Height*s.Width*s.Channels]
	h := halo{images: 1, height: s.Height, width: s.Width, channels: s.Filters}
	first, last := p.inputRows(top, bottom)
	if !p.copies {
		if s.inputs() >= manyElements {
			p.engine.Prefetch(x[first*h.rowSize() : last*h.rowSize()])
		}
		return x, h
	}
	left, right := s.Padding.Left*p.pixel, (s.Padding.Left+s.Width)*p.pixel
	h.top, h.width, h.channels = -first, s.Padding.Left+s.Width+s.Padding.Right, p.pixel
	to := grow(&w.halo, (last-first)*h.rowSize())
	for y := range last - first {
		row, from := to[y*h.rowSize():][:h.rowSize()], x[(first+y)*s.Width*s.Channels:][:s.Width*s.Channels]
		clear(row[:left])
		clear(row[right:])
		row = row[left:right]
		switch {
		case p.multiplier > 1:
			for pixel := range s.Width {
				for c, v := range from[pixel*s.Channels:][:s.Channels] {
					for m := range p.multiplier {
						row[pixel*p.pixel+c*p.multiplier+m] = v
					}
				}
			}
		case p.pixel == s.Channels:
			copy(row, from)
		default:
			copyColumns(row, p.pixel, from, s.Channels, s.Width, s.Channels)
		}
	}
	return to, h
}

// convolve writes the results of a span.
func (p *depthwise[T]) convolve(w *workspace[T], y, x, bias []T, clip vector.Clip, span span) {
	height, width := p.shape.Output()
	to := halo{images: 1, height: height, width: width, channels: p.shape.Filters, top: -span.top}
	size := (span.bottom - span.top) * to.rowSize()
	for i := range span.images {
		in, from := p.input(w, x, span.image+i, span.top, span.bottom)
		p.forward.run(w, p.engine, y[i*size:][:size], to, in, from, bias, clip, span.top, span.bottom)
	}
}

// bandElements is the smallest number of elements of a band, because each takes some time by
// itself.
const bandElements = 16 << 10

// spans divides results, by shape alone, into bands of rows of one image.
func (p *depthwise[T]) spans(rows, elements int) []span {
	batch := p.shape.Batch
	bands := max(1, min(max(rows*elements/spanElements, ceilDiv(units, batch)), rows*elements/bandElements, rows))
	spans := make([]span, 0, batch*bands)
	for image := range batch {
		spans = append(spans, bandsOf(image, 1, rows, bands)...)
	}
	return spans
}

// gradients writes the gradients that are not nil. bandRows is the number of rows of the
// result that must stay together.
func (p *depthwise[T]) gradients(c *Conv[T], dx, dweight, dbias, x, weight []T, dy source[T], bandRows int) {
	s := p.shape
	taps := s.KernelHeight * s.KernelWidth
	if dx != nil {
		p.initGradient()
		p.pack(weight)
		p.packBackward()
	}
	parts := 16
	for parts > s.Batch {
		parts /= 2
	}
	total := make([]float64, (taps+1)*s.Filters)
	reduceWith(total, parts, func(w *workspace[T], sum []float64, part int) {
		for image := part * s.Batch / parts; image < (part+1)*s.Batch/parts; image++ {
			p.imageGradients(c, w, dx, x, sum, dy, image, bandRows, dweight != nil)
		}
	})
	if dweight != nil {
		for f := range s.Filters {
			for tap := range taps {
				dweight[f*taps+tap] = T(total[tap*s.Filters+f])
			}
		}
	}
	round(dbias, total[taps*s.Filters:][:len(dbias)])
}

// imageGradients writes the gradient of an image and adds those of the weights and of the
// bias to sum. It processes bands of rows, and keeps of the gradient of the results those
// rows that the next band needs, too.
func (p *depthwise[T]) imageGradients(c *Conv[T], w *workspace[T], dx, x []T, sum []float64, dy source[T], image, bandRows int, weights bool) {
	s := p.shape
	height, width := s.Output()
	bandRows = max(1, bandRows)
	step := max(bandRows, spanElements/(width*s.Filters)/bandRows*bandRows)
	at := halo{images: 1, height: height, width: width, channels: s.Filters}
	kept := ceilDiv(s.Padding.Top+s.KernelHeight, s.Stride) // at most
	gradient := grow(&w.gradient, min(step+kept, height)*at.rowSize())
	first, done := 0, 0 // the first row of the gradient, and the number of rows of dx that are written
	for top := 0; top < height; top += step {
		bottom := min(top+step, height)
		keep := top
		if dx != nil && done < s.Height {
			keep = min(top, max(0, ceilDiv(max(0, done+s.Padding.Top-s.KernelHeight+1), s.Stride)))
		}
		copy(gradient, gradient[(keep-first)*at.rowSize():(top-first)*at.rowSize()])
		first = keep
		at.top = -first
		dy(w, gradient, at, span{image: image, images: 1, top: top, bottom: bottom})
		c.addBias(sum[len(sum)-s.Filters:], gradient, at, span{images: 1, top: top, bottom: bottom})
		if weights {
			p.addWeights(w, sum[:len(sum)-s.Filters], x, gradient, at, image, top, bottom)
		}
		if dx == nil {
			continue
		}
		last := s.Height
		if bottom < height { // the rows in no window that begins later
			last = min(max(done, bottom*s.Stride-s.Padding.Top), s.Height)
		}
		p.inputGradient(w, dx[image*s.Height*s.Width*s.Channels:], gradient[:(bottom-first)*at.rowSize()], at, done, last)
		done = last
	}
}

// addWeights adds to sum (kernel height, kernel width, filters) the gradient of the weights
// from rows [top, bottom) of the results. It adds a limited number of products in the
// precision of the elements, and the sums of these in float64.
func (p *depthwise[T]) addWeights(w *workspace[T], sum []float64, x, gradient []T, at halo, image, top, bottom int) {
	step := max(1, 2*weightPixels/at.width)
	for first := top; first < bottom; first += step {
		last := min(first+step, bottom)
		in, from := p.input(w, x, image, first, last)
		part := grow(&w.values, len(sum))
		clear(part)
		sweep := p.forward
		sweep.weights = part
		sweep.eachPart(&w.depthwise, gradient, at, in, from, first, last, func(d *vector.Depthwise[T]) {
			if d.Rows > 0 && d.Columns > 0 {
				p.engine.DepthwiseGradient(d)
			}
		})
		p.engine.SumRows(sum, part)
	}
}

// inputGradient writes rows [top, bottom) of the gradient dx of an image.
func (p *depthwise[T]) inputGradient(w *workspace[T], dx, gradient []T, at halo, top, bottom int) {
	size := p.shape.Width * p.shape.Channels
	p.inputRowsGradient(w, dx[top*size:bottom*size], gradient, at, top, bottom)
}

// inputRowsGradient writes rows [top, bottom) of the gradient of an image to dx, which has these rows only.
func (p *depthwise[T]) inputRowsGradient(w *workspace[T], dx, gradient []T, at halo, top, bottom int) {
	s := p.shape
	if top == bottom {
		return
	}
	y, to := dx, halo{images: 1, height: s.Height, width: s.Width, channels: s.Filters, top: -top}
	if p.multiplier > 1 {
		y = grow(&w.active, (bottom-top)*to.rowSize())
	}
	if p.pixel != s.Filters {
		copied := at
		copied.channels = p.pixel
		pixels := len(gradient) / s.Filters
		to := grow(&w.tile, pixels*p.pixel)
		copyColumns(to, p.pixel, gradient, s.Filters, pixels, s.Filters)
		gradient, at = to, copied
	}
	for i := range p.backward {
		p.backward[i].run(w, p.engine, y, to, gradient, at, nil, vector.NoClip, top, bottom)
	}
	for i := 0; p.multiplier > 1 && i < len(dx); i++ {
		dx[i] = 0
		for _, v := range y[i*p.multiplier:][:p.multiplier] {
			dx[i] += v
		}
	}
}

// grouped is a convolution of several groups of channels, each with filters of its own, that
// is not depthwise: a convolution for each group, of a copy of its channels.
type grouped[T Float] struct {
	shape ConvShape
	group ConvShape // of one group
	convs []*Conv[T]
	dy    []T // the gradient of the results
	parts groupArrays[T]
}

// groupArrays are the arrays of a group that are written or read.
type groupArrays[T Float] struct{ x, y, dx []T }

// newGrouped returns the convolution of a shape, or nil if it has one group or is depthwise.
func newGrouped[T Float](s ConvShape) *grouped[T] {
	groups := s.groups()
	if groups == 1 || s.depthwise() {
		return nil
	}
	g := &grouped[T]{shape: s, group: s}
	g.group.Groups, g.group.Channels, g.group.Filters, g.group.BFloat16 = 1, s.Channels/groups, s.Filters/groups, false
	for range groups {
		g.convs = append(g.convs, newConv[T](g.group, minTiles))
	}
	return g
}

// pack packs the weights.
func (g *grouped[T]) pack(weight []T) {
	size := g.group.weights()
	for i, c := range g.convs {
		c.packForward(weight[i*size:][:size])
	}
}

// copyColumns copies rows of columns elements from x, whose rows are xStride elements apart,
// to y, whose rows are yStride elements apart.
func copyColumns[T Float](y []T, yStride int, x []T, xStride, rows, columns int) {
	for i := range rows {
		copy(y[i*yStride:][:columns], x[i*xStride:])
	}
}

// convolve writes the results of a span of one image.
func (g *grouped[T]) convolve(w *workspace[T], y, x, bias []T, span span) {
	_, width := g.shape.Output()
	in, filters := g.group.Channels, g.group.Filters
	pixels, results := g.shape.Height*g.shape.Width, (span.bottom-span.top)*width
	x = x[span.image*pixels*g.shape.Channels:][:pixels*g.shape.Channels]
	span.image = 0
	for i, c := range g.convs {
		part := grow(&w.groupInput, pixels*in)
		copyColumns(part, in, x[i*in:], g.shape.Channels, pixels, in)
		result := grow(&w.groupResult, results*filters)
		var initial []T
		if bias != nil {
			initial = bias[i*filters:][:filters]
		}
		c.convolve(w, result, part, initial, span)
		copyColumns(y[i*filters:], g.shape.Filters, result, filters, results, filters)
	}
}

// gradients writes the gradients that are not nil.
func (g *grouped[T]) gradients(dx, dweight, dbias, x, weight []T, dy source[T]) {
	s, group := g.shape, g.group
	height, width := s.Output()
	at := halo{images: 1, height: height, width: width, channels: s.Filters}
	grow(&g.dy, s.outputs())
	divide(s.Batch, func(w *workspace[T], image int) {
		dy(w, g.dy[image*at.size():][:at.size()], at, span{image: image, images: 1, bottom: height})
	})
	p := &g.parts
	in, out, size := s.Height*s.Width, height*width, group.weights()
	for i, c := range g.convs {
		grow(&p.x, group.inputs())
		grow(&p.y, group.outputs())
		parallel.For(s.Batch, func(image int) {
			copyColumns(p.x[image*in*group.Channels:], group.Channels, x[image*in*s.Channels+i*group.Channels:], s.Channels, in, group.Channels)
			copyColumns(p.y[image*out*group.Filters:], group.Filters, g.dy[image*out*s.Filters+i*group.Filters:], s.Filters, out, group.Filters)
		})
		part := func(x []T, size int) []T {
			if x == nil {
				return nil
			}
			return x[i*size:][:size]
		}
		var gradient []T
		if dx != nil {
			gradient = grow(&p.dx, group.inputs())
		}
		c.Backward(gradient, part(dweight, size), part(dbias, group.Filters), p.x, part(weight, size), p.y)
		if dx != nil {
			parallel.For(s.Batch, func(image int) {
				copyColumns(dx[image*in*s.Channels+i*group.Channels:], s.Channels, p.dx[image*in*group.Channels:], group.Channels, in, group.Channels)
			})
		}
	}
}
