package kernel

// AveragePool takes the mean of each window, channel by channel.
type AveragePool[T Float] struct {
	shape   PoolShape
	offsets []int32
}

// NewAveragePool returns the layer of a valid shape.
func NewAveragePool[T Float](s PoolShape) *AveragePool[T] {
	mustBeValid(s.Validate())
	return &AveragePool[T]{s, s.offsets(s.Width * s.Channels)}
}

// Forward writes y (batch, output height, output width, channels).
func (p *AveragePool[T]) Forward(y, x []T) {
	s := p.shape
	checkPool(s, y, x)
	in, out := s.input(), s.output()
	Parallel(s.Batch, func(image int) {
		x, y := x[image*in:][:in], y[image*out:][:out]
		eachWindow(s, func(in, out int) {
			mean := y[out:][:s.Channels]
			clear(mean)
			for _, offset := range p.offsets {
				for c, v := range x[in+int(offset):][:s.Channels] {
					mean[c] += v
				}
			}
			for c := range mean {
				mean[c] /= T(len(p.offsets))
			}
		})
	})
}

// Backward writes the gradient dx, unless it is nil: each dy is shared equally
// by its window.
func (p *AveragePool[T]) Backward(dx, dy []T) {
	if dx == nil {
		return
	}
	s := p.shape
	checkPool(s, dy, dx)
	in, out := s.input(), s.output()
	Parallel(s.Batch, func(image int) {
		dx, dy := dx[image*in:][:in], dy[image*out:][:out]
		clear(dx)
		eachWindow(s, func(in, out int) {
			for _, offset := range p.offsets {
				sum := dx[in+int(offset):][:s.Channels]
				for c, g := range dy[out:][:s.Channels] {
					sum[c] += g / T(len(p.offsets))
				}
			}
		})
	})
}

// eachWindow visits the windows of an image, with the indices of each one's
// first input element and first output element.
func eachWindow(s PoolShape, visit func(in, out int)) {
	height, width := s.Output()
	for row := range height {
		for column := range width {
			visit((row*s.Width+column)*s.Stride*s.Channels, (row*width+column)*s.Channels)
		}
	}
}
