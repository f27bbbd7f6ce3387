package kernel

import "github.com/pkg/errors"

// ConvShape is the shape of a convolution layer. Padding is a border of zeros,
// as wide on each side.
type ConvShape struct {
	Batch, Height, Width, Channels     int // of the input
	Filters, KernelHeight, KernelWidth int
	Stride, Padding                    int
}

// Output returns the height and width of the result.
func (s ConvShape) Output() (height, width int) {
	return (s.Height+2*s.Padding-s.KernelHeight)/s.Stride + 1, (s.Width+2*s.Padding-s.KernelWidth)/s.Stride + 1
}

// Validate says what is wrong with a shape.
func (s ConvShape) Validate() error {
	for _, d := range []dimension{
		{"batch", s.Batch}, {"height", s.Height}, {"width", s.Width}, {"channels", s.Channels},
		{"filters", s.Filters}, {"kernel height", s.KernelHeight}, {"kernel width", s.KernelWidth},
		{"stride", s.Stride},
	} {
		if err := positive(d.name, d.value); err != nil {
			return err
		}
	}
	if err := between("padding", s.Padding, 0); err != nil {
		return err
	}
	if s.KernelHeight > s.Height+2*s.Padding || s.KernelWidth > s.Width+2*s.Padding {
		return errors.Errorf("kernel %d×%d is larger than its %d×%d input with padding %d",
			s.KernelHeight, s.KernelWidth, s.Height, s.Width, s.Padding)
	}
	return nil
}

// inputs, outputs and weights return the number of elements of the arrays.
func (s ConvShape) inputs() int  { return s.Batch * s.Height * s.Width * s.Channels }
func (s ConvShape) outputs() int { return s.pixels() * s.Filters }
func (s ConvShape) weights() int { return s.Filters * s.Channels * s.KernelHeight * s.KernelWidth }

// patchSize returns the length of a window, and patchStart where its row
// begins, in the order (kernel height, kernel width, channels).
func (s ConvShape) patchSize() int         { return s.patchStart(s.KernelHeight) }
func (s ConvShape) patchStart(row int) int { return row * s.KernelWidth * s.Channels }

// pixels returns the number of output pixels of the batch.
func (s ConvShape) pixels() int {
	height, width := s.Output()
	return s.Batch * height * width
}
