package kernel

// convGradient is what a convolution keeps for its gradients, made when they
// are first asked for.
type convGradient[T Float] struct {
	made     bool
	bandRows int         // rows of the result that must stay together; 0 is 1
	flipped  bool        // whether the input's gradient is a convolution itself
	output   halo        // of the result's gradient, of a group
	windows  []int32     // of the input's pixels in the result's gradient, if flipped
	results  []int32     // of the result's pixels in its gradient, if not
	inputs   []int32     // the input's pixels, if flipped
	packed   packed[T]   // all weights, if flipped
	rows     []packed[T] // those of each row of the kernel, if not
	minimal  *winograd   // of a flipped one, nil if it is direct
	byTiles  bool        // whether that of the weights is by the forward pass's tiles
	partial  []T         // sums of the gradient of the weights, one a part of the batch
	sum      []T         // of all parts, from tiles
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
	if dx != nil {
		checkLength("weight", weight, s.weights())
	}
	if c.fourier != nil {
		if sum := c.fourier.backward(c, dx, dbias, x, weight, dweight != nil, dy); dweight != nil {
			c.orderGradient(dweight, sum)
		}
		return
	}
	c.makeGradient()
	if dx != nil {
		c.packBackward(weight)
	}
	group := c.input.images
	groups := ceilDiv(s.Batch, group)
	// Each part of the batch has a sum of its own. More of them would be more
	// memory to go through, and other numbers of them divide badly by threads.
	size := s.weights()
	if g.byTiles {
		size = c.minimal.sums()
	}
	parts := 16
	for parts > groups || parts > 4 && (parts*s.weights() > 1<<21 || s.pixels() < parts*1024) {
		parts /= 2
	}
	if dweight != nil {
		grow(&g.partial, parts*size)
	}
	sums := make([]float64, parts*s.Filters)
	parallel(parts, func(w *workspace[T], part int) {
		sum := sums[part*s.Filters:][:s.Filters]
		var weights []T
		if dweight != nil {
			weights = g.partial[part*size:][:size]
		}
		begin := part * groups / parts
		for i := begin; i < (part+1)*groups/parts; i++ {
			images := min(group, s.Batch-i*group)
			c.groupGradient(w, dx, weights, sum, x, dy, i*group, images, dbias != nil, i == begin)
		}
	})
	if dweight != nil {
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

// groupGradient is the work on a group of images. The gradient of its results
// is made at once if that of its input is wanted, as rows of the one have to do
// with several rows of the other, otherwise band by band.
func (c *Conv[T]) groupGradient(w *workspace[T], dx, weights []T, sum []float64, x []T, dy source[T], image, images int, bias, fresh bool) {
	s, at := c.shape, c.gradient.output
	height, width := s.Output()
	at.images = images
	whole := dx != nil || c.gradient.byTiles
	if !whole {
		at = at.bare()
	}
	gradient := grow(&w.gradient, at.size())
	for i := range images {
		clearBorder(at, gradient, i, 0, at.rows())
	}
	if whole {
		dy(w, gradient, at, span{image: image, images: images, bottom: height})
	}
	if c.gradient.byTiles && weights != nil {
		h := c.input
		h.images = images
		in := c.window(w, x, span{image: image, images: images, bottom: height})
		c.minimal.addGradient(any(w).(*workspace[float32]), single(weights), single(in), single(gradient), h, at, fresh)
	}
	step := max(1, c.gradient.bandRows)
	if images > 1 || height*width*s.Filters < 2*spanElements {
		step = height
	} else {
		step = max(step, spanElements/(width*s.Filters)/step*step)
	}
	for top := 0; top < height; top += step {
		band := span{image: image, images: images, top: top, bottom: min(top+step, height)}
		if !whole {
			dy(w, gradient, at, band)
		}
		if bias {
			c.addBias(sum, gradient, at, band)
		}
		if weights != nil && !c.gradient.byTiles {
			c.addWeights(w, weights, x, gradient, at, band, fresh && top == 0)
		}
	}
	if dx != nil {
		c.inputGradient(w, dx, gradient, span{image: image, images: images, bottom: height})
	}
}
