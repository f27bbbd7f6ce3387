package kernel

import "github.com/pkg/errors"

// PoolShape is the shape of a pooling layer over square windows that start
// Stride apart. Rows and columns that do not fill a window are left out.
type PoolShape struct {
	Batch, Height, Width, Channels int // of the input
	Size, Stride                   int
}

// Output returns the height and width of the result.
func (s PoolShape) Output() (height, width int) {
	return (s.Height-s.Size)/s.Stride + 1, (s.Width-s.Size)/s.Stride + 1
}

// Validate says what is wrong with a shape.
func (s PoolShape) Validate() error {
	for _, d := range []dimension{
		{"batch", s.Batch}, {"height", s.Height}, {"width", s.Width}, {"channels", s.Channels},
		{"pool size", s.Size}, {"pool stride", s.Stride},
	} {
		if err := positive(d.name, d.value); err != nil {
			return err
		}
	}
	if s.Size > s.Height || s.Size > s.Width {
		return errors.Errorf("pool window %d×%d is larger than its %d×%d input", s.Size, s.Size, s.Height, s.Width)
	}
	if s.Size > 255 {
		return errors.Errorf("pool size is %d, it must be at most 255", s.Size)
	}
	return nil
}

// input and output return the number of elements of one image.
func (s PoolShape) input() int { return s.Height * s.Width * s.Channels }
func (s PoolShape) output() int {
	height, width := s.Output()
	return height * width * s.Channels
}

// windows calls visit for every window of an image, with the index of its
// first input element and of its first output element.
func (s PoolShape) windows(visit func(in, out int)) {
	height, width := s.Output()
	for row := range height {
		for column := range width {
			visit((row*s.Width+column)*s.Stride*s.Channels, (row*width+column)*s.Channels)
		}
	}
}

// offset returns where position k of a window, in row-major order, lies
// relative to the window's first element.
func (s PoolShape) offset(k int) int { return (k/s.Size*s.Width + k%s.Size) * s.Channels }

// MaxPool takes the largest element of each window, channel by channel. Of
// equal elements the first counts; if there is a NaN the result is NaN.
type MaxPool[T Float] struct {
	shape    PoolShape
	position []uint16 // of each result, in its window
}

// NewMaxPool returns the layer of a valid shape.
func NewMaxPool[T Float](s PoolShape) *MaxPool[T] {
	mustBeValid(s.Validate())
	return &MaxPool[T]{shape: s, position: make([]uint16, s.Batch*s.output())}
}

// Forward writes y (batch, output height, output width, channels) and
// remembers the positions of the maxima.
func (p *MaxPool[T]) Forward(y, x []T) {
	in, out := p.shape.input(), p.shape.output()
	checkLength("x", x, p.shape.Batch*in)
	checkLength("y", y, p.shape.Batch*out)
	Parallel(p.shape.Batch, func(i int) {
		maxPool(p.shape, y[i*out:(i+1)*out], x[i*in:(i+1)*in], p.position[i*out:(i+1)*out])
	})
}

// Backward writes the gradient dx: each dy goes to where its maximum was in
// the last Forward.
func (p *MaxPool[T]) Backward(dx, dy []T) {
	in, out := p.shape.input(), p.shape.output()
	checkLength("dx", dx, p.shape.Batch*in)
	checkLength("dy", dy, p.shape.Batch*out)
	Parallel(p.shape.Batch, func(i int) {
		maxPoolBackward(p.shape, dx[i*in:(i+1)*in], dy[i*out:(i+1)*out], p.position[i*out:(i+1)*out])
	})
}

// maxPool pools one image.
func maxPool[T Float](s PoolShape, y, x []T, position []uint16) {
	s.windows(func(in, out int) {
		y, position := y[out:][:s.Channels], position[out:][:s.Channels]
		copy(y, x[in:])
		clear(position)
		for k := 1; k < s.Size*s.Size; k++ {
			for c, v := range x[in+s.offset(k):][:s.Channels] {
				best, at := y[c], int(position[c])
				if v > best {
					at = k
				}
				if v != v && best == best { // the first NaN
					at = k
				}
				y[c], position[c] = max(best, v), uint16(at)
			}
		}
	})
}

// maxPoolBackward writes the gradient of one image.
func maxPoolBackward[T Float](s PoolShape, dx, dy []T, position []uint16) {
	clear(dx)
	offsets := make([]int, s.Size*s.Size)
	for k := range offsets {
		offsets[k] = s.offset(k)
	}
	s.windows(func(in, out int) {
		position := position[out:][:s.Channels]
		for c, g := range dy[out:][:s.Channels] {
			dx[in+offsets[position[c]]+c] += g
		}
	})
}

// AveragePool takes the mean of each window, channel by channel.
type AveragePool[T Float] struct{ shape PoolShape }

// NewAveragePool returns the layer of a valid shape.
func NewAveragePool[T Float](s PoolShape) *AveragePool[T] {
	mustBeValid(s.Validate())
	return &AveragePool[T]{s}
}

// Forward writes y (batch, output height, output width, channels).
func (p *AveragePool[T]) Forward(y, x []T) {
	s, in, out := p.shape, p.shape.input(), p.shape.output()
	checkLength("x", x, s.Batch*in)
	checkLength("y", y, s.Batch*out)
	area := T(s.Size * s.Size)
	clear(y)
	Parallel(s.Batch, func(i int) {
		x, y := x[i*in:(i+1)*in], y[i*out:(i+1)*out]
		s.windows(func(in, out int) {
			to := y[out:][:s.Channels]
			for k := range s.Size * s.Size {
				for c, v := range x[in+s.offset(k):][:s.Channels] {
					to[c] += v
				}
			}
			for c := range to {
				to[c] /= area
			}
		})
	})
}

// Backward writes the gradient dx: each dy is shared by its window.
func (p *AveragePool[T]) Backward(dx, dy []T) {
	s, in, out := p.shape, p.shape.input(), p.shape.output()
	checkLength("dx", dx, s.Batch*in)
	checkLength("dy", dy, s.Batch*out)
	area := T(s.Size * s.Size)
	clear(dx)
	Parallel(s.Batch, func(i int) {
		dx, dy := dx[i*in:(i+1)*in], dy[i*out:(i+1)*out]
		s.windows(func(in, out int) {
			for k := range s.Size * s.Size {
				to := dx[in+s.offset(k):][:s.Channels]
				for c, g := range dy[out:][:s.Channels] {
					to[c] += g / area
				}
			}
		})
	})
}
