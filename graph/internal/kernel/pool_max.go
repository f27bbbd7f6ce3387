package kernel

// MaxPool takes the largest element of each window, channel by channel. Of
// equal elements the first counts; if there is a NaN, the result is NaN.
type MaxPool[T Float] struct {
	shape    PoolShape
	offsets  []int
	position []uint16 // of each result, in its window
}

// NewMaxPool returns the layer of a valid shape.
func NewMaxPool[T Float](s PoolShape) *MaxPool[T] {
	mustBeValid(s.Validate())
	return &MaxPool[T]{shape: s, offsets: s.offsets()}
}

// Forward writes y (batch, output height, output width, channels) and
// remembers the positions of the maxima.
func (p *MaxPool[T]) Forward(y, x []T) {
	s := p.shape
	checkPool(s, y, x)
	grow(&p.position, len(y))
	height, width := s.Output()
	in, out := s.Width*s.Channels, width*s.Channels
	Parallel(s.Batch*height, func(unit int) {
		image, row := unit/height, unit%height
		maxRow(s, y[unit*out:][:out], p.position[unit*out:][:out], x[(image*s.Height+row*s.Stride)*in:], p.offsets)
	})
}

// Backward writes the gradient dx, unless it is nil: each dy goes to where its
// maximum was in the last Forward.
func (p *MaxPool[T]) Backward(dx, dy []T) {
	if dx == nil {
		return
	}
	s := p.shape
	checkPool(s, dy, dx)
	in, out := s.input(), s.output()
	Parallel(s.Batch, func(image int) {
		clear(dx[image*in:][:in])
		scatterMaxima(s, dx[image*in:][:in], dy[image*out:][:out], p.position[image*out:][:out], p.offsets)
	})
}

// maxRow pools the first row of windows of x into a row of y.
func maxRow[T Float](s PoolShape, y []T, position []uint16, x []T, offsets []int) {
	for out, in := 0, 0; out < len(y); out, in = out+s.Channels, in+s.Stride*s.Channels {
		maxWindow(y[out:][:s.Channels], position[out:][:s.Channels], x[in:], offsets)
	}
}

// maxWindow pools the window at the beginning of x.
func maxWindow[T Float](y []T, position []uint16, x []T, offsets []int) {
	position = position[:len(y)]
	copy(y, x)
	clear(position)
	for k := 1; k < len(offsets); k++ {
		for c, v := range x[offsets[k]:][:len(y)] {
			best, at := y[c], position[c]
			if v > best {
				at = uint16(k)
			}
			if v != v && best == best { // the first NaN
				at = uint16(k)
			}
			y[c], position[c] = max(best, v), at
		}
	}
}

// scatterMaxima adds y, elements of one output image, to the elements of x
// that they were the maxima of.
func scatterMaxima[T Float](s PoolShape, x, y []T, position []uint16, offsets []int) {
	s.eachWindow(func(in, out int) {
		position := position[out:][:s.Channels]
		for c, v := range y[out:][:s.Channels] {
			x[in+offsets[position[c]]+c] += v
		}
	})
}

// gatherMaxima writes to y the elements of x at the maxima's positions.
func gatherMaxima[T Float](s PoolShape, y, x []T, position []uint16, offsets []int) {
	s.eachWindow(func(in, out int) {
		position := position[out:][:s.Channels]
		for c := range y[out:][:s.Channels] {
			y[out+c] = x[in+offsets[position[c]]+c]
		}
	})
}
