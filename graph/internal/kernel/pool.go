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
	if s.Size > 15 { // a position in a window is a byte
		return errors.Errorf("pool size is %d, it must be at most 15", s.Size)
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

// offsets returns where each position of a window, in row-major order, lies
// relative to the window's first element, if rows are so many elements apart.
func (s PoolShape) offsets(row int) []int32 { return s.appendOffsets(nil, row) }

func (s PoolShape) appendOffsets(offsets []int32, row int) []int32 {
	for y := range s.Size {
		for x := range s.Size {
			offsets = append(offsets, int32(y*row+x*s.Channels))
		}
	}
	return offsets
}
