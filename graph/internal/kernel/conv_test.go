package kernel

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func conv(s ConvShape) subject {
	return subject{
		arguments: []int{s.inputs(), s.weights(), s.Filters}, result: s.outputs(),
		single: convOperation[float32](s), double: convOperation[float64](s), naive: naiveConv(s),
	}
}

func convOperation[T Float](s ConvShape) operation[T] { return convOperationOf(NewConv[T](s)) }

func convOperationOf[T Float](c *Conv[T]) operation[T] {
	return operation[T]{
		forward: func(y []T, x ...[]T) { c.Forward(y, x[0], x[1], x[2]) },
		backward: func(dx, x [][]T, y, dy []T) {
			c.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy)
		},
	}
}

// convShape returns a shape with the same padding on all sides.
func convShape(batch, height, width, channels, filters, kernelHeight, kernelWidth, stride, padding int) ConvShape {
	return ConvShape{
		Batch: batch, Height: height, Width: width, Channels: channels,
		Filters: filters, KernelHeight: kernelHeight, KernelWidth: kernelWidth, Stride: stride, Padding: Around(padding),
	}
}

// padded returns the shape with other padding.
func padded(s ConvShape, top, left, bottom, right int) ConvShape {
	s.Padding = Padding{top, left, bottom, right}
	return s
}

// drawConvShape draws shapes of small layers, including unusual ones: one pixel, odd
// numbers of channels, kernels larger than the image without its padding, strides that
// skip pixels.
func drawConvShape(t *rapid.T) ConvShape {
	s := ConvShape{
		Batch:    rapid.IntRange(1, 3).Draw(t, "batch"),
		Height:   rapid.IntRange(1, 9).Draw(t, "height"),
		Width:    rapid.IntRange(1, 9).Draw(t, "width"),
		Channels: rapid.IntRange(1, 7).Draw(t, "channels"),
		Filters:  rapid.IntRange(1, 8).Draw(t, "filters"),
		Stride:   rapid.IntRange(1, 3).Draw(t, "stride"),
		Padding:  drawPadding(t),
	}
	height, width := s.padded()
	s.KernelHeight = rapid.IntRange(1, min(5, height)).Draw(t, "kernel height")
	s.KernelWidth = rapid.IntRange(1, min(5, width)).Draw(t, "kernel width")
	return s
}

// drawPadding draws a border, which has one width in half of the cases.
func drawPadding(t *rapid.T) Padding {
	side := rapid.IntRange(0, 3)
	p := Around(side.Draw(t, "padding"))
	if rapid.Bool().Draw(t, "sides differ") {
		p.Left, p.Bottom, p.Right = side.Draw(t, "left"), side.Draw(t, "bottom"), side.Draw(t, "right")
	}
	return p
}

func TestConv(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return conv(drawConvShape(t)) })
}

// Shapes so large that blocks of pixels, groups of kernel rows and partial sums are
// combined.
func TestConvInParts(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"many channels": convShape(2, 7, 8, 131, 5, 3, 3, 1, 1),
		"many pixels":   convShape(2, 61, 53, 2, 4, 3, 3, 1, 1),
		"large kernel":  convShape(1, 25, 31, 7, 5, 13, 9, 2, 3),
		"many filters":  convShape(2, 5, 6, 8, 150, 3, 3, 1, 0),
		"two sides":     padded(convShape(2, 61, 53, 3, 4, 3, 3, 2, 0), 0, 0, 1, 1),
		"four sides":    padded(convShape(3, 12, 11, 20, 24, 5, 4, 1, 0), 3, 0, 1, 2),
	} {
		t.Run(name, func(t *testing.T) { check(t, conv(s), 1) })
	}
}

// The values of TensorFlow's definition: as many results as strides fit, and the odd zero at
// the end.
func TestSamePadding(t *testing.T) {
	for _, c := range []struct {
		height, width, size, stride int
		want                        Padding
	}{
		{7, 8, 3, 1, Padding{1, 1, 1, 1}},
		{7, 8, 3, 2, Padding{1, 0, 1, 1}},
		{224, 224, 3, 2, Padding{0, 0, 1, 1}},
		{112, 113, 5, 2, Padding{1, 2, 2, 2}},
		{7, 8, 4, 1, Padding{1, 1, 2, 2}},
		{5, 6, 1, 3, Padding{}},
		{1, 2, 7, 4, Padding{3, 2, 3, 3}},
	} {
		got := SamePadding(c.height, c.width, c.size, c.stride)
		if got != c.want {
			t.Errorf("%d×%d, size %d, stride %d: got %v, want %v", c.height, c.width, c.size, c.stride, got, c.want)
		}
		s := ConvShape{Height: c.height, Width: c.width, KernelHeight: c.size, KernelWidth: c.size, Stride: c.stride, Padding: got}
		if height, width := s.Output(); height != ceilDiv(c.height, c.stride) || width != ceilDiv(c.width, c.stride) {
			t.Errorf("%d×%d, size %d, stride %d: the result is %d×%d", c.height, c.width, c.size, c.stride, height, width)
		}
	}
}

func TestConvGradient(t *testing.T) {
	checkGradient(t, conv(convShape(2, 4, 5, 3, 2, 3, 2, 2, 1)))
}

// One filter of ones over a 3×3 image: sums of 2×2 neighbors.
func TestConvByHand(t *testing.T) {
	c := NewConv[float32](ConvShape{Batch: 1, Height: 3, Width: 3, Channels: 1, Filters: 1, KernelHeight: 2, KernelWidth: 2, Stride: 1})
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	y := make([]float32, 4)
	c.Forward(y, x, []float32{1, 1, 1, 1}, nil)
	if diff := cmp.Diff([]float32{12, 16, 24, 28}, y); diff != "" {
		t.Error(diff)
	}
}

func TestConvShapeValidate(t *testing.T) {
	valid := ConvShape{Batch: 1, Height: 4, Width: 4, Channels: 1, Filters: 1, KernelHeight: 5, KernelWidth: 5, Stride: 1, Padding: Around(1)}
	if err := valid.Validate(); err != nil {
		t.Errorf("a valid shape: %v", err)
	}
	for want, spoil := range map[string]func(s *ConvShape){
		"batch is 0, it must be at least 1":                      func(s *ConvShape) { s.Batch = 0 },
		"stride is -1, it must be at least 1":                    func(s *ConvShape) { s.Stride = -1 },
		"padding is -1, it must be at least 0":                   func(s *ConvShape) { s.Padding.Top = -1 },
		"kernel 7×5 is larger than its 4×4 input with padding 1": func(s *ConvShape) { s.KernelHeight = 7 },
		"kernel 5×5 is larger than its 4×4 input with padding 0": func(s *ConvShape) { s.Padding = Padding{} },
		"kernel 7×5 is larger than its 4×4 input with padding of 0 rows above and 1 below, 0 columns left and 2 right": func(s *ConvShape) {
			s.KernelHeight, s.Padding = 7, Padding{Bottom: 1, Right: 2}
		},
	} {
		s := valid
		spoil(&s)
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A wrong length is a programming error and must be detected.
func TestConvRefusesWrongLengths(t *testing.T) {
	defer func() {
		if want := "kernel: x has 3 elements, its shape requires 4"; recover() != want {
			t.Errorf("want a panic with %q", want)
		}
	}()
	c := NewConv[float32](ConvShape{Batch: 1, Height: 2, Width: 2, Channels: 1, Filters: 1, KernelHeight: 1, KernelWidth: 1, Stride: 1})
	c.Forward(make([]float32, 4), make([]float32, 3), make([]float32, 1), nil)
}
