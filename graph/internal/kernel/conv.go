package kernel

// Conv is a convolution layer (in the sense of neural networks, a
// correlation): x (batch, height, width, channels), weight (filters, channels,
// kernel height, kernel width), bias (filters), y (batch, output height,
// output width, filters).
type Conv[T Float] struct{ shape ConvShape }

// NewConv returns the layer of a valid shape.
func NewConv[T Float](s ConvShape) *Conv[T] {
	mustBeValid(s.Validate())
	return &Conv[T]{shape: s}
}

// Forward writes y. A nil bias is zero.
func (c *Conv[T]) Forward(y, x, weight, bias []T) {
	s := c.shape
	checkLength("y", y, s.outputs())
	checkLength("x", x, s.inputs())
	checkLength("weight", weight, s.weights())
	checkOptional("bias", bias, s.Filters)
	Parallel(s.Batch, func(image int) {
		s.taps(image, func(out, in, at int) {
			y[out] += x[in] * weight[at]
		}, func(out, filter int) {
			y[out] = 0
			if bias != nil {
				y[out] = bias[filter]
			}
		})
	})
}

// Backward writes the gradients that are not nil, given x, weight and the
// gradient dy of y.
func (c *Conv[T]) Backward(dx, dweight, dbias, x, weight, dy []T) {
	s := c.shape
	clear(dx)
	clear(dweight)
	clear(dbias)
	for image := range s.Batch {
		s.taps(image, func(out, in, at int) {
			if dx != nil {
				dx[in] += dy[out] * weight[at]
			}
			if dweight != nil {
				dweight[at] += dy[out] * x[in]
			}
		}, func(out, filter int) {
			if dbias != nil {
				dbias[filter] += dy[out]
			}
		})
	}
}

// taps visits every product of an image's convolution.
func (s ConvShape) taps(image int, visit func(out, in, at int), start func(out, filter int)) {
	height, width := s.Output()
	for oy := range height {
		for ox := range width {
			for f := range s.Filters {
				out := ((image*height+oy)*width+ox)*s.Filters + f
				start(out, f)
				for ky := range s.KernelHeight {
					for kx := range s.KernelWidth {
						iy, ix := oy*s.Stride+ky-s.Padding, ox*s.Stride+kx-s.Padding
						if iy < 0 || iy >= s.Height || ix < 0 || ix >= s.Width {
							continue
						}
						for c := range s.Channels {
							visit(out, ((image*s.Height+iy)*s.Width+ix)*s.Channels+c,
								((f*s.Channels+c)*s.KernelHeight+ky)*s.KernelWidth+kx)
						}
					}
				}
			}
		}
	}
}
