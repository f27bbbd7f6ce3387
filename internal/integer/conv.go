package integer

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Shape is the shape of an image of activations.
type Shape struct{ Height, Width, Channels int }

// Size returns the number of elements.
func (s Shape) Size() int { return s.Height * s.Width * s.Channels }

// String returns height×width×channels.
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.Height, s.Width, s.Channels) }

// validate returns an error unless all extents are at least 1 and the size fits in an int32.
func (s Shape) validate() error {
	const most = 1<<31 - 1
	if s.Height < 1 || s.Width < 1 || s.Channels < 1 {
		return errors.Errorf("the shape of the input is %v, all of it must be at least 1", s)
	}
	if s.Height > most/s.Width || s.Height*s.Width > most/s.Channels {
		return errors.Errorf("the shape of the input is %v, an image must have less than 2^31 elements", s)
	}
	return nil
}

// Padding is the width of the border on each side. It has the zero point of the input.
type Padding struct{ Top, Left, Bottom, Right int }

// Pool is a max pool of square windows after a convolution, without padding at the end: rows and
// columns that do not fill a window are ignored. The zero value is none.
type Pool struct {
	Size, Stride int
	Padding      int // rows and columns on each side that are never the maximum; at most half of Size
}

// output returns the shape of the result.
func (p Pool) output(s Shape) Shape {
	if p.Size == 0 {
		return s
	}
	return Shape{(s.Height+2*p.Padding-p.Size)/p.Stride + 1, (s.Width+2*p.Padding-p.Size)/p.Stride + 1, s.Channels}
}

// validate returns an error if the pool is not valid for an input.
func (p Pool) validate(s Shape) error {
	if p == (Pool{}) {
		return nil
	}
	if p.Size < 1 || p.Stride < 1 || p.Padding < 0 || p.Padding > p.Size/2 {
		return errors.Errorf("the pool has size %d, stride %d and padding %d: size and stride must be at least 1, the padding from 0 to half of the size", p.Size, p.Stride, p.Padding)
	}
	if p.Size > s.Height+2*p.Padding || p.Size > s.Width+2*p.Padding {
		return errors.Errorf("the pool window %d×%d is larger than its %v input", p.Size, p.Size, s)
	}
	return nil
}

// ConvShape is the shape of a convolution.
type ConvShape struct {
	Input                              Shape
	Filters, KernelHeight, KernelWidth int
	Stride                             int // at least 1
	Padding                            Padding
	Groups                             int // of channels and of filters, each convolved by itself; 0 for 1
	Pool                               Pool
}

// convolved returns the shape of the result before the pool.
func (s ConvShape) convolved() Shape {
	p := s.Padding
	return Shape{
		(s.Input.Height+p.Top+p.Bottom-s.KernelHeight)/s.Stride + 1,
		(s.Input.Width+p.Left+p.Right-s.KernelWidth)/s.Stride + 1,
		s.Filters,
	}
}

// Output returns the shape of the result.
func (s ConvShape) Output() Shape { return s.Pool.output(s.convolved()) }

func (s ConvShape) groups() int { return max(1, s.Groups) }

// patch returns the number of weights of a filter.
func (s ConvShape) patch() int { return s.KernelHeight * s.KernelWidth * s.Input.Channels / s.groups() }

// maxExtent bounds kernels, strides and paddings, so that no product of a few overflows.
const maxExtent = 1 << 15

// Validate returns an error if the shape is not valid.
func (s ConvShape) Validate() error {
	if err := s.Input.validate(); err != nil {
		return err
	}
	for _, d := range []struct {
		name         string
		value, least int
	}{
		{"the number of filters", s.Filters, 1}, {"the kernel height", s.KernelHeight, 1}, {"the kernel width", s.KernelWidth, 1},
		{"the stride", s.Stride, 1}, {"a padding", s.Padding.Top, 0}, {"a padding", s.Padding.Left, 0},
		{"a padding", s.Padding.Bottom, 0}, {"a padding", s.Padding.Right, 0}, {"the number of groups", s.Groups, 0},
	} {
		if d.value < d.least || d.value > maxExtent {
			return errors.Errorf("%s is %d, it must be from %d to %d", d.name, d.value, d.least, maxExtent)
		}
	}
	if g := s.groups(); s.Input.Channels%g != 0 || s.Filters%g != 0 {
		return errors.Errorf("%d channels and %d filters in %d groups: both must be divisible by the number of groups", s.Input.Channels, s.Filters, g)
	}
	p := s.Padding
	if height, width := s.Input.Height+p.Top+p.Bottom, s.Input.Width+p.Left+p.Right; s.KernelHeight > height || s.KernelWidth > width {
		return errors.Errorf("the kernel %d×%d is larger than its input, %d×%d with padding", s.KernelHeight, s.KernelWidth, height, width)
	}
	if err := s.convolved().validate(); err != nil {
		return errors.Wrap(err, "the result of the convolution")
	}
	return s.Pool.validate(s.convolved())
}

// Weights are the weights of a convolution or of a fully connected layer.
type Weights struct {
	Values []int8  // (filters, channels/groups, kernel height, kernel width), or (outputs, features)
	Bias   []int32 // (filters), added to the sums; nil for zeros
	Zero   uint8   // the zero point of the input
}

// sums returns the initial values of the sums, bias − zero·Σ weights, and the largest absolute
// values that the sums of filters can have. It returns an error if one does not fit in an int32.
func (w Weights) sums(filters, patch int) (initial []int32, bounds []int64, err error) {
	if len(w.Values) != filters*patch {
		return nil, nil, errors.Errorf("found %d weights, expected %d", len(w.Values), filters*patch)
	}
	if len(w.Bias) != 0 && len(w.Bias) != filters {
		return nil, nil, errors.Errorf("found %d biases, expected %d or none", len(w.Bias), filters)
	}
	initial, bounds = make([]int32, filters), make([]int64, filters)
	for f := range filters {
		var sum, size int64
		for _, v := range w.Values[f*patch:][:patch] {
			sum += int64(v)
			size += max(int64(v), -int64(v))
		}
		first := -int64(w.Zero) * sum
		if w.Bias != nil {
			first += int64(w.Bias[f])
		}
		// Every partial sum lies within these bounds, in whatever order products are added.
		if bounds[f] = max(first, -first) + 255*size; bounds[f] > 1<<31-1 {
			return nil, nil, errors.Errorf("filter %d: its sums can reach %d and must fit in 32 bits: the bias or the weights are too large, or too many", f, bounds[f])
		}
		initial[f] = int32(first)
	}
	return initial, bounds, nil
}

// Conv is a convolution (as in other libraries of neural networks, a cross-correlation):
//
//	s[b, i, j, f] = bias[f] + Σ (x[b, i·stride+k−top, j·stride+l−left, c] − zero) · weight[f, c, k, l]
//
// with x (batch, height, width, channels) equal to zero, the zero point, outside the image. The
// sums are requantized and pooled. With groups, the first group has the first channels and the
// first filters, and the sum is over the channels of the filter's group.
type Conv struct {
	shape      ConvShape
	requantize Requantize
	zero       uint8
	weights    []int8
	initial    []int32
}

// NewConv packs the weights of a convolution. The slices of its arguments must not be changed
// afterwards.
func NewConv(s ConvShape, w Weights, q Requantize) (*Conv, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	initial, bounds, err := w.sums(s.Filters, s.patch())
	if err != nil {
		return nil, err
	}
	if err := q.validate(s.Filters, func(c int) int64 { return bounds[c] }); err != nil {
		return nil, err
	}
	if q.Addend != nil && s.Pool.Size > 0 {
		return nil, errors.New("an addend and a pool cannot be combined: use MaxPool after the convolution")
	}
	return &Conv{shape: s, requantize: q, zero: w.Zero, weights: w.Values, initial: initial}, nil
}

// Shape returns the shape.
func (c *Conv) Shape() ConvShape { return c.shape }

// Forward writes y (batch, output height, output width, filters), given x (batch, height, width,
// channels) and, if the results have an addend, that, of the shape of y; otherwise it is nil. y may
// be the addend. It panics if an array does not have the length of its shape.
func (c *Conv) Forward(y, x, addend []uint8, batch int) {
	s := c.shape
	out := s.convolved()
	checkLength("x", x, batch*s.Input.Size())
	checkLength("y", y, batch*s.Output().Size())
	if c.requantize.Addend != nil {
		checkLength("the addend", addend, batch*out.Size())
	}
	to := y
	if s.Pool.Size > 0 {
		to = make([]uint8, batch*out.Size())
	}
	parallel.For(batch*out.Height, func(i int) {
		row := to[i*out.Width*out.Channels:][:out.Width*out.Channels]
		var add []uint8
		if c.requantize.Addend != nil {
			add = addend[i*out.Width*out.Channels:][:out.Width*out.Channels]
		}
		c.row(row, x[i/out.Height*s.Input.Size():][:s.Input.Size()], add, i%out.Height)
	})
	if s.Pool.Size > 0 {
		maxPool(y, to, out, s.Pool, batch)
	}
}

// row writes a row of the result, in plain loops.
func (c *Conv) row(y, x, addend []uint8, row int) {
	s := c.shape
	in, channels, filters := s.Input, s.Input.Channels/s.groups(), s.Filters/s.groups()
	width := s.convolved().Width
	for column := range width {
		for f := range s.Filters {
			sum, weights, group := c.initial[f], c.weights[f*s.patch():], f/filters
			for k := range s.KernelHeight {
				for l := range s.KernelWidth {
					h, v := row*s.Stride+k-s.Padding.Top, column*s.Stride+l-s.Padding.Left
					inside := h >= 0 && h < in.Height && v >= 0 && v < in.Width
					for ch := range channels {
						a := c.zero
						if inside {
							a = x[(h*in.Width+v)*in.Channels+group*channels+ch]
						}
						sum += int32(a) * int32(weights[(ch*s.KernelHeight+k)*s.KernelWidth+l])
					}
				}
			}
			var a uint8
			if addend != nil {
				a = addend[column*s.Filters+f]
			}
			y[column*s.Filters+f] = c.requantize.byteOf(sum, f, a)
		}
	}
}

// checkLength panics unless an array has a length.
func checkLength[E any](name string, x []E, want int) {
	if len(x) != want {
		panic(fmt.Sprintf("integer: %s has %d elements, expected %d", name, len(x), want))
	}
}
