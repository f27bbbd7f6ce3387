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

// checkPool panics unless input and output fit the shape.
func checkPool[T Float](s PoolShape, output, input []T) {
	checkLength("the pool's input", input, s.Batch*s.input())
	checkLength("the pool's output", output, s.Batch*s.output())
}

// eachWindow visits the windows of an image, with the indices of each one's
// first input element and first output element.
func (s PoolShape) eachWindow(visit func(in, out int)) {
	height, width := s.Output()
	for row := range height {
		for column := range width {
			visit((row*s.Width+column)*s.Stride*s.Channels, (row*width+column)*s.Channels)
		}
	}
}

// offsets returns where each position of a window, in row-major order, lies
// relative to the window's first element.
func (s PoolShape) offsets() []int {
	offsets := make([]int, 0, s.Size*s.Size)
	for row := range s.Size {
		for column := range s.Size {
			offsets = append(offsets, (row*s.Width+column)*s.Channels)
		}
	}
	return offsets
}
