package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// convGradient is the data that a convolution needs for its gradients, which is made when
// Backward is first called.
type convGradient[T Float] struct {
	initialized bool
	bandRows    int         // number of rows of the result that must stay together; 0 means 1
	margin      int         // number of rows beside a band, of whose values nothing is read, to which a source may write
	flipped     bool        // the gradient of the input is computed as a convolution
	output      halo        // the gradient of a group's results, with a border
	right       layout      // of the result's gradient: the windows of the input's pixels, if flipped, or its own pixels
	inputs      []int32     // offsets of the input's pixels, if flipped
	packed      packed[T]   // all weights, if flipped
	rows        []packed[T] // the weights of each row of the kernel, if not flipped
	winograd    *winograd   // of the flipped convolution; nil if that is direct
	byTiles     bool        // the gradient of the weights is computed from the tiles of the forward pass
	keeps       bool        // and those of the whole batch are transformed first
	kept        kept        // these
	inPhases    bool        // the gradient of the input is computed by winograd from the tiles of the whole batch
	tiles       tileMemory  // these
	partial     []T         // sums of the gradient of the weights, one for each part of the batch
	sum         []T         // the sum of all parts, if byTiles
	total       []T
}

// source writes to to the gradient of the results in a span; row y of image i of the span
// begins at element at.row(i, y).
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

// backward is Backward with the gradient of y given by a source, which is called for each
// span when that is needed.
func (c *Conv[T]) backward(dx, dweight, dbias, x, weight []T, dy source[T]) {
	s, g := c.shape, &c.gradient
	checkOptional("dx", dx, s.inputs())
	checkOptional("dweight", dweight, s.weights())
	checkOptional("dbias", dbias, s.Filters)
	checkLength("x", x, s.inputs())
	if dx != nil {
		checkLength("weight", weight, s.weights())
	}
	if c.fourier != nil {
		if sum := c.fourier.backward(c, dx, dbias, x, weight, dweight != nil, dy); dweight != nil {
			c.orderGradient(dweight, sum)
		}
		return
	}
	if c.depthwise != nil {
		c.depthwise.gradients(c, dx, dweight, dbias, x, weight, dy, g.bandRows)
		return
	}
	if c.grouped != nil {
		c.grouped.gradients(dx, dweight, dbias, x, weight, dy)
		return
	}
	c.initGradient()
	defer c.borrowForGradients()()
	if dx != nil {
		c.packBackward(weight)
	}
	group := c.input.images
	groups := ceilDiv(s.Batch, group)
	// Each part of the batch has a sum of its own. More parts would take more memory
	// bandwidth, and other numbers of parts divide badly by the number of threads.
	size := s.weights()
	if g.byTiles {
		size = c.winograd.sums()
	}
	if g.keeps {
		g.kept.resize(c.winograd, s.Batch)
	}
	if g.inPhases && dx != nil {
		g.tiles.resize(g.winograd, s.Batch)
	}
	parts := 16
	for parts > groups || parts > 4 && (parts*size > 1<<21 || s.pixels() < parts*1024) {
		parts /= 2
	}
	if dweight != nil {
		count := parts
		if g.keeps {
			size, count = 1, 1 // the sums have memory of their own
		}
		grow(&g.partial, count*size)
	}
	sums := make([]float64, parts*s.Filters)
	divide(parts, func(w *workspace[T], part int) {
		sum := sums[part*s.Filters:][:s.Filters]
		var weights []T
		switch {
		case dweight != nil && g.keeps:
			weights = g.partial
		case dweight != nil:
			weights = g.partial[part*size:][:size]
		}
		begin := part * groups / parts
		for i := begin; i < (part+1)*groups/parts; i++ {
			images := min(group, s.Batch-i*group)
			c.groupGradient(w, dx, weights, sum, x, dy, i*group, images, dbias != nil, i == begin)
		}
	})
	if dx != nil && g.inPhases {
		c.inputGradientInPhases(dx)
	}
	switch {
	case dweight != nil && g.keeps:
		c.winograd.weightsFromKept(asFloat32(dweight), &g.kept, s.Batch)
	case dweight != nil:
		c.orderGradient(dweight, c.addParts(parts))
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

// groupGradient computes the gradients for a group of images. The gradient of the results
// is computed as a whole if the gradient of the input is requested, whose rows depend on
// several rows of it; otherwise it is computed in bands of rows.
func (c *Conv[T]) groupGradient(w *workspace[T], dx, weights []T, sum []float64, x []T, dy source[T], image, images int, bias, fresh bool) {
	s, at := c.shape, c.gradient.output
	height, width := s.Output()
	at.images = images
	whole := dx != nil || c.gradient.byTiles
	if !whole {
		at = at.withoutBorder()
	}
	step := max(1, c.gradient.bandRows)
	if images > 1 || height*width*s.Filters < 2*spanElements {
		step = height
	} else {
		step = max(step, spanElements/(width*s.Filters)/step*step)
	}
	var gradient []T
	if whole {
		gradient = grow(&w.gradient, at.size())
		for i := range images {
			clearBorder(at, gradient, i, 0, at.rows())
		}
		dy(w, gradient, at, span{image: image, images: images, bottom: height})
	} else {
		gradient = grow(&w.gradient, images*(step+2*c.gradient.margin)*at.rowSize())
	}
	if c.gradient.byTiles && weights != nil {
		h := c.input
		h.images = images
		in := c.window(w, x, span{image: image, images: images, bottom: height})
		if c.gradient.keeps {
			c.winograd.keep(any(w).(*workspace[float32]), &c.gradient.kept, asFloat32(in), asFloat32(gradient), h, at, image)
		} else {
			c.winograd.addGradient(any(w).(*workspace[float32]), asFloat32(weights), asFloat32(in), asFloat32(gradient), h, at, fresh)
		}
	}
	for top := 0; top < height; top += step {
		band := span{image: image, images: images, top: top, bottom: min(top+step, height)}
		if !whole {
			if images == 1 { // bands are in the same memory, with the margin before them
				at.top = c.gradient.margin - top
			}
			dy(w, gradient, at, band)
		}
		if bias {
			c.addBias(sum, gradient, at, band)
		}
		if c.factors.rounded && c.factors.pairs == nil {
			c.roundRows(gradient, at, band)
		}
		if weights != nil && !c.gradient.byTiles {
			c.addWeights(w, weights, x, gradient, at, band, fresh && top == 0)
		}
	}
	switch {
	case dx != nil && c.gradient.inPhases:
		m, k := c.gradient.winograd, &c.gradient.tiles
		t := k.imageTiles(m, image, images, 0, ceilDiv(m.height, m.step()))
		for row := range t.last {
			m.transformTiles(any(w).(*workspace[float32]), k, asFloat32(gradient), at, t, row)
		}
	case dx != nil:
		c.inputGradient(w, dx, gradient, span{image: image, images: images, bottom: height})
	}
}

// initGradient decides how the gradients are computed.
//
// The gradient of the input is the convolution of the gradient of the result, with a
// border, with the flipped weights. If much of that would be multiplication by zeros,
// because of strides or a small result, each row of the weights is instead multiplied by
// the gradient of the result, and the products are added to the rows of the input to
// which they belong.
func (c *Conv[T]) initGradient() {
	s, g := c.shape, &c.gradient
	if g.initialized {
		return
	}
	g.initialized = true
	height, width := s.Output()
	g.output = halo{images: c.input.images, height: height, width: width, channels: s.Filters}
	flipped := Padding{
		Top: s.KernelHeight - 1 - s.Padding.Top, Left: s.KernelWidth - 1 - s.Padding.Left,
		Bottom: s.KernelHeight - 1 - s.Padding.Bottom, Right: s.KernelWidth - 1 - s.Padding.Right,
	}
	inside := s.Stride == 1 && flipped.Top >= 0 && flipped.Left >= 0
	if inside && flipped.Bottom >= 0 && flipped.Right >= 0 && c.winograd != nil {
		g.winograd = newWinograd(c.engine, ConvShape{
			Batch: s.Batch, Height: height, Width: width, Channels: s.Filters,
			Filters: s.Channels, KernelHeight: s.KernelHeight, KernelWidth: s.KernelWidth, Stride: 1, Padding: flipped,
		}, minTiles)
	}
	useful := height * width * s.KernelHeight * s.KernelWidth // products; the border's are not
	if g.winograd != nil && 2*g.winograd.products() > useful {
		g.winograd = nil
	}
	g.inPhases = g.winograd.inPhases(s.Batch) && g.winograd.tileValues(s.Batch) <= maxKept
	g.flipped = inside && (g.winograd != nil || 5*height*width >= 4*s.Height*s.Width)
	g.keeps = c.winograd != nil && c.winograd.keeps(s.Batch, s.Part)
	if g.byTiles = g.keeps || c.winograd != nil && s.Batch*c.winograd.tiles() >= minGradientTiles; g.byTiles {
		g.output.bottom, g.output.right = c.winograd.overhang()
	}
	count := c.factors.count(s.Filters)
	if !g.flipped {
		h := g.output
		h.channels = count
		g.right = layout{h, h.pixels(), count, 1}
		return
	}
	g.output.top, g.output.left = flipped.Top, flipped.Left
	g.output.bottom, g.output.right = max(g.output.bottom, flipped.Bottom), max(g.output.right, flipped.Right)
	if g.winograd != nil {
		g.output = g.winograd.border(g.output)
	}
	g.right = layoutOf(g.output, count, s.Height, s.Width, 1, s.KernelHeight, s.KernelWidth)
	g.inputs = halo{images: c.input.images, height: s.Height, width: s.Width, channels: s.Channels}.pixels()
}

// packBackward packs the weights for the gradient of the input.
func (c *Conv[T]) packBackward(weight []T) {
	s, g := c.shape, &c.gradient
	if !g.flipped && g.rows == nil {
		g.rows = make([]packed[T], s.KernelHeight)
	}
	if c.shared == nil {
		c.packGradient(weight)
		return
	}
	c.shared.pack(c, &c.shared.backward, &g.packed, g.winograd, g.rows, func() {
		count := c.factors.count(s.Filters)
		g.packed.layout(c.engine, s.KernelHeight*s.KernelWidth*count, s.Channels)
		for i := range g.rows {
			g.rows[i].layout(c.engine, count, s.patchStart(1))
		}
	}, func() { c.packGradient(weight) })
}

func (c *Conv[T]) packGradient(weight []T) {
	s, g := c.shape, &c.gradient
	if g.winograd != nil && g.winograd.piece == g.winograd.kernel {
		g.packed.layout(c.engine, s.KernelHeight*s.KernelWidth*s.Filters, s.Channels)
		set := g.winograd.transformWeights
		if c.shared == nil && g.inPhases && g.winograd.fuses(s.Batch) {
			set = g.winograd.setSource
		}
		set(any(&g.packed).(*packed[float32]), asFloat32(weight), true)
		return
	}
	c.orderWeights(weight)
	taps, size := s.KernelHeight*s.KernelWidth, s.patchSize()
	count := c.factors.count(s.Filters)
	if g.flipped {
		g.packed.resize(c.engine, taps*count, s.Channels)
		divide(taps, func(w *workspace[T], tap int) {
			for i := range g.packed.panels {
				q := g.packed.panel(i)
				for f := range count {
					g.packed.put(q, (taps-1-tap)*count+f, c.factors.row(&w.tile, c.ordered[tap*s.Channels:], f, s.Filters, size, s.Channels))
				}
			}
		})
		if g.winograd != nil {
			g.winograd.setWeights(any(&g.packed).(*packed[float32]))
		}
		return
	}
	divide(s.KernelHeight, func(w *workspace[T], ky int) {
		p, run := &g.rows[ky], s.patchStart(1)
		p.resize(c.engine, count, run)
		for i := range p.panels {
			q := p.panel(i)
			for f := range count {
				p.put(q, f, c.factors.row(&w.tile, c.ordered[s.patchStart(ky):], f, s.Filters, size, run))
			}
		}
	})
}

// inputPixels is the number of output pixels whose gradients are propagated to the input
// at a time, so that both stay in the level 2 cache.
const inputPixels = 384

// inputGradient writes dx for the images of a span.
func (c *Conv[T]) inputGradient(w *workspace[T], dx, gradient []T, span span) {
	s, g := c.shape, &c.gradient
	in := s.Height * s.Width * s.Channels
	dx = dx[span.image*in:][:span.images*in]
	if c.factors.pairs != nil {
		h := g.output
		h.images = span.images
		numbers := gradient[:h.size()]
		h.channels = g.right.halo.channels
		gradient = grow(&w.pairs, h.size())
		c.factors.put(gradient, numbers, s.Filters)
	}
	if g.flipped {
		c.flippedGradient(w, dx, gradient, span.images)
		return
	}
	to, h := dx, c.input
	h.images = span.images
	if h != h.withoutBorder() {
		to = grow(&w.halo, h.size())
	}
	clear(to)
	height, width := s.Output()
	pixels := span.images * height * width
	p := &w.product
	*p = vector.Rows[T]{A: gradient, Segments: 1, Length: g.right.run, Add: true}
	for first := 0; first < pixels; first += inputPixels {
		last := min(first+inputPixels, pixels)
		p.AOffsets, p.COffsets = g.right.windows[first:last], c.windows[first:last]
		for ky := range s.KernelHeight {
			for i := range g.rows[ky].panels {
				q := g.rows[ky].panel(i)
				p.B, p.Width, p.Columns = q.data, q.width, q.columns
				p.C = to[ky*h.rowSize()+q.left:]
				c.factors.products.Rows(p)
			}
		}
	}
	if h != h.withoutBorder() {
		copyInterior(h, dx, to)
	}
}

// flippedGradient writes dx as a convolution of the gradient with the flipped weights.
func (c *Conv[T]) flippedGradient(w *workspace[T], dx, gradient []T, images int) {
	s, g := c.shape, &c.gradient
	if g.winograd != nil {
		h := g.output
		h.images = images
		g.winograd.convolve(any(w).(*workspace[float32]), asFloat32(dx), asFloat32(gradient), nil, vector.NoClip, h, 0, s.Height, s.Width, 0, g.packed.panels)
		return
	}
	pixels := images * s.Height * s.Width
	run, row := g.right.run, g.right.halo.rowSize()
	p := &w.product
	*p = vector.Rows[T]{
		AOffsets: g.right.windows[:pixels], COffsets: g.inputs[:pixels],
		Length: run, Stride: row,
	}
	for i := range g.packed.panels {
		q := g.packed.panel(i)
		wide := q.width * g.packed.lanes
		p.C, p.Columns, p.Width, p.Add = dx[q.left:], q.columns, q.width, false
		step := max(1, packedBytes/(run*wide*int(unsafe.Sizeof(T(0)))))
		for ky := 0; ky < s.KernelHeight; ky += step {
			p.Segments = min(step, s.KernelHeight-ky)
			p.A, p.B = gradient[ky*row:], q.data[ky*run*wide:]
			c.factors.products.Rows(p)
			p.Add = true
		}
	}
}

// inputGradientInPhases writes dx, given the transformed tiles of the gradient of the whole batch.
func (c *Conv[T]) inputGradientInPhases(dx []T) {
	m, k := c.gradient.winograd, &c.gradient.tiles
	m.multiplyPhase(k)
	down, size := ceilDiv(m.height, m.step()), m.height*m.width*m.out
	divide(k.images, func(w *workspace[float32], image int) {
		m.transformResults(w, asFloat32(dx)[image*size:][:size], nil, vector.NoClip, k, k.imageTiles(m, image, 1, 0, down), m.height)
	})
}

// addBias adds to sum the gradient of the bias, the sum over all pixels of a span.
func (c *Conv[T]) addBias(sum []float64, gradient []T, at halo, span span) {
	run := at.width * at.channels
	for i := range span.images {
		for y := span.top; y < span.bottom; y++ {
			c.engine.SumRows(sum, gradient[at.row(i, y):][:run])
		}
	}
}

// weightPixels is the number of pixels that are summed in registers at a time, so that the
// gradients that are read stay in the cache and the error of float32 sums stays small.
const weightPixels = 512

// gatheredRun is the number of elements of a row of the windows that are copied at a time, so
// that they stay in the level 2 cache.
const gatheredRun = 192

// addWeights adds to sum (patch size, filters) the gradient of the weights; if fresh, it
// overwrites sum.
func (c *Conv[T]) addWeights(w *workspace[T], sum, x, gradient []T, at halo, span span, fresh bool) {
	s := c.shape
	_, width := s.Output()
	pixels := span.images * (span.bottom - span.top) * width
	var in []T
	var windows, offsets []int32
	if c.factors.pairs != nil {
		in, windows, gradient, offsets = c.pairPixels(w, x, gradient, at, span)
		pixels = len(windows)
	} else {
		in, windows, offsets = c.window(w, x, span), c.windows[span.top*width:][:pixels], c.pixelOffsets(w, at, span)
	}
	run := s.patchStart(1)
	o := &w.outer
	*o = vector.Outer[T]{B: gradient, Run: run, Columns: s.Filters, CStride: s.Filters}
	// Pixels at a distance of a multiple of 256 bytes share few sets of the level 1 cache, unless all of their elements
	// are read. A copy pays if every element is used often.
	gather := (s.Filters%64 == 0 && s.Filters > 64 || s.Channels%64 == 0) && run*s.KernelHeight >= 64 && s.Filters >= 32
	for first := 0; first < pixels; first += weightPixels {
		last := min(first+weightPixels, pixels)
		o.AOffsets, o.BOffsets, o.Add = windows[first:last], offsets[first:last], !fresh || first > 0
		step := run
		if gather {
			step = gatheredRun
			o.B = gatherAt(&w.columns, gradient, o.BOffsets, s.Filters)
			o.BOffsets = paddedOffsets(&w.resultOffsets, last-first, s.Filters)
		}
		for ky := range s.KernelHeight {
			for left := 0; left < run; left += step {
				o.Run = min(step, run-left)
				o.A, o.C = in[ky*c.input.rowSize()+left:], sum[(s.patchStart(ky)+left)*s.Filters:]
				if gather {
					o.A = gatherAt(&w.tile, o.A, windows[first:last], o.Run)
					o.AOffsets = paddedOffsets(&w.inputOffsets, last-first, o.Run)
				}
				c.factors.products.Outer(o)
			}
		}
	}
}

// gatherAt returns a copy of rows of some columns at the given offsets of x, with the distance
// paddedStride.
func gatherAt[T Float](space *[]T, x []T, offsets []int32, columns int) []T {
	stride := paddedStride(columns)
	to := grow(space, len(offsets)*stride)
	for i, offset := range offsets {
		copy(to[i*stride:][:columns], x[offset:])
	}
	return to
}

// paddedOffsets returns the offsets of these rows.
func paddedOffsets(space *[]int32, rows, columns int) []int32 {
	offsets := grow(space, rows)
	for i := range offsets {
		offsets[i] = int32(i * paddedStride(columns))
	}
	return offsets
}

// pixelOffsets returns the offsets of the pixels of a span in the gradient.
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

// addParts returns the sum of the gradients of all parts, (patch size, filters).
func (c *Conv[T]) addParts(parts int) []T {
	s, g := c.shape, &c.gradient
	size := len(g.partial) / parts
	parallel.For(size/s.Filters, func(k int) {
		row := g.partial[k*s.Filters:][:s.Filters]
		for part := 1; part < parts; part++ {
			c.engine.Add(row, g.partial[part*size+k*s.Filters:][:s.Filters])
		}
	})
	if !g.byTiles {
		return g.partial[:size]
	}
	sum := grow(&g.sum, s.weights())
	c.winograd.leaveGradient(asFloat32(sum), asFloat32(g.partial[:size]))
	return sum
}

// orderGradient writes to dweight the gradient total of the weights, (patch size,
// filters), in the order of the weights.
func (c *Conv[T]) orderGradient(dweight, total []T) {
	s, g := c.shape, &c.gradient
	size, taps := s.patchSize(), s.KernelHeight*s.KernelWidth
	plain := taps == 1 || s.Channels == 1
	ordered := dweight
	if !plain {
		ordered = grow(&g.total, s.weights())
	}
	bands := min(s.Filters, units)
	parallel.For(bands, func(band int) {
		first, last := band*s.Filters/bands, (band+1)*s.Filters/bands
		c.engine.Transpose(ordered[first*size:], size, total[first:], s.Filters, size, last-first)
		for f := first; f < last && !plain; f++ {
			c.engine.Transpose(dweight[f*size:][:size], taps, ordered[f*size:][:size], s.Channels, taps, s.Channels)
		}
	})
}
