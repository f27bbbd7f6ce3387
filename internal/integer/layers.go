package integer

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// MaxPool is the maximum of each window for each channel.
type MaxPool struct {
	input Shape
	pool  Pool
}

// NewMaxPool returns the layer.
func NewMaxPool(input Shape, p Pool) (*MaxPool, error) {
	if err := input.validate(); err != nil {
		return nil, err
	}
	if p == (Pool{}) {
		return nil, errors.New("the pool has no size")
	}
	if err := p.validate(input); err != nil {
		return nil, err
	}
	return &MaxPool{input, p}, nil
}

// Output returns the shape of the result.
func (m *MaxPool) Output() Shape { return m.pool.output(m.input) }

// Forward writes y (batch, output height, output width, channels), given x (batch, height, width,
// channels).
func (m *MaxPool) Forward(y, x []uint8, batch int) {
	checkLength("x", x, batch*m.input.Size())
	checkLength("y", y, batch*m.Output().Size())
	maxPool(y, x, m.input, m.pool, batch)
}

// maxPool computes a max pool.
func maxPool(y, x []uint8, in Shape, p Pool, batch int) {
	out := p.output(in)
	parallel.For(batch*out.Height, func(i int) {
		image, row := x[i/out.Height*in.Size():][:in.Size()], i%out.Height
		top, bottom := max(0, row*p.Stride-p.Padding), min(in.Height, row*p.Stride-p.Padding+p.Size)
		for column := range out.Width {
			left, right := max(0, column*p.Stride-p.Padding), min(in.Width, column*p.Stride-p.Padding+p.Size)
			to := y[(i*out.Width+column)*in.Channels:][:in.Channels]
			clear(to)
			for h := top; h < bottom; h++ {
				for v := left; v < right; v++ {
					for c, a := range image[(h*in.Width+v)*in.Channels:][:in.Channels] {
						to[c] = max(to[c], a)
					}
				}
			}
		}
	})
}

// AveragePool is the mean of each window for each channel, without padding. The sum of a window
// is Σ x − Size²·zero; its division by the number of elements is part of the scale of
// Requantize. A window that is the image is global average pooling.
type AveragePool struct {
	input         Shape
	height, width int // of windows
	stride        int
	initial       int32
	requantize    *Requantize
}

// NewAveragePool returns the layer for windows of the given height and width. With a nil q there is
// no Forward, only Sums.
func NewAveragePool(input Shape, height, width, stride int, zero uint8, q *Requantize) (*AveragePool, error) {
	if err := input.validate(); err != nil {
		return nil, err
	}
	if height < 1 || height > input.Height || width < 1 || width > input.Width || stride < 1 || stride > maxExtent {
		return nil, errors.Errorf("found windows of %d×%d, %d apart, in images of %v: windows must have at least one element and fit in the image, the stride must be from 1 to %d", height, width, stride, input, maxExtent)
	}
	if height > (1<<31-1)/255/width {
		return nil, errors.Errorf("windows of %d×%d elements: their sums do not fit in 32 bits", height, width)
	}
	if q != nil {
		if q.Addend != nil {
			return nil, errors.New("an average has no addend: use Add")
		}
		bound := 255 * int64(height*width)
		if err := q.validate(input.Channels, func(int) int64 { return bound }); err != nil {
			return nil, err
		}
	}
	return &AveragePool{input, height, width, stride, -int32(zero) * int32(height*width), q}, nil
}

// Output returns the shape of the result.
func (a *AveragePool) Output() Shape {
	return Shape{(a.input.Height-a.height)/a.stride + 1, (a.input.Width-a.width)/a.stride + 1, a.input.Channels}
}

// Forward writes y (batch, output height, output width, channels), given x (batch, height, width,
// channels).
func (a *AveragePool) Forward(y, x []uint8, batch int) {
	checkLength("y", y, batch*a.Output().Size())
	a.run(x, batch, func(i, channel int, sum int32) { y[i] = a.requantize.byteOf(sum, channel, 0) })
}

// Sums writes the sums of windows themselves.
func (a *AveragePool) Sums(y []int32, x []uint8, batch int) {
	checkLength("y", y, batch*a.Output().Size())
	a.run(x, batch, func(i, _ int, sum int32) { y[i] = sum })
}

func (a *AveragePool) run(x []uint8, batch int, put func(i, channel int, sum int32)) {
	in, out := a.input, a.Output()
	checkLength("x", x, batch*in.Size())
	parallel.For(batch*out.Height, func(i int) {
		image, row := x[i/out.Height*in.Size():][:in.Size()], i%out.Height
		for column := range out.Width {
			for c := range in.Channels {
				sum := a.initial
				for h := range a.height {
					for v := range a.width {
						sum += int32(image[((row*a.stride+h)*in.Width+column*a.stride+v)*in.Channels+c])
					}
				}
				put((i*out.Width+column)*in.Channels+c, c, sum)
			}
		}
	})
}

// Add is the sum of two tensors with scales:
//
//	y = clamp(Zero + round((a − zeroA)·scaleA + (b − zeroB)·scaleB), Low, High)
//
// with the bounds, the zero point and the table of a Requantize.
type Add struct {
	a, b       Addend
	requantize Requantize
}

// NewAdd returns the layer. q has one scale, which is that of the first tensor, and an addend.
func NewAdd(zero uint8, q Requantize) (*Add, error) {
	if len(q.Scale) != 1 || q.Addend == nil {
		return nil, errors.Errorf("found %d scales and the addend %v, expected one scale and an addend", len(q.Scale), q.Addend)
	}
	if err := q.validate(1, func(int) int64 { return 255 }); err != nil {
		return nil, err
	}
	return &Add{Addend{zero, q.Scale[0]}, *q.Addend, q}, nil
}

// Forward writes y, given a and b, all of the same length. y may be a or b.
func (l *Add) Forward(y, a, b []uint8) {
	checkLength("b", b, len(a))
	checkLength("y", y, len(a))
	eachChunk(len(a), func(first, last int) {
		for i := first; i < last; i++ {
			y[i] = l.requantize.byteOf(int32(a[i])-int32(l.a.Zero), 0, b[i])
		}
	})
}

// Multiply multiplies each channel of an image by a byte:
//
//	y = clamp(Zero + round((x − zeroX)·(gate − zeroGate)·Scale[c]), Low, High)
//
// as squeeze-and-excitation does.
type Multiply struct {
	zeroX, zeroGate uint8
	requantize      Requantize
}

// NewMultiply returns the layer. q has one scale.
func NewMultiply(zeroX, zeroGate uint8, q Requantize) (*Multiply, error) {
	if len(q.Scale) != 1 || q.Addend != nil {
		return nil, errors.Errorf("found %d scales and the addend %v, expected one scale and no addend", len(q.Scale), q.Addend)
	}
	if err := q.validate(1, func(int) int64 { return 255 * 255 }); err != nil {
		return nil, err
	}
	return &Multiply{zeroX, zeroGate, q}, nil
}

// Forward writes y (batch, pixels, channels), given x of the same shape and gate (batch, channels).
// y may be x.
func (m *Multiply) Forward(y, x, gate []uint8, pixels, channels, batch int) {
	checkLength("x", x, batch*pixels*channels)
	checkLength("y", y, len(x))
	checkLength("gate", gate, batch*channels)
	parallel.For(batch*pixels, func(i int) {
		by := gate[i/pixels*channels:][:channels]
		for c, a := range x[i*channels:][:channels] {
			y[i*channels+c] = m.requantize.byteOf((int32(a)-int32(m.zeroX))*(int32(by[c])-int32(m.zeroGate)), 0, 0)
		}
	})
}

// Lookup writes y[i] = table[x[i]]. y may be x. The table has 256 bytes.
func Lookup(y, x, table []uint8) {
	checkLength("y", y, len(x))
	checkLength("the table", table, 256)
	eachChunk(len(x), func(first, last int) { lookup(y[first:last], x[first:last], table) })
}

// lookup is Lookup on one thread.
func lookup(y, x, table []uint8) {
	t := (*[256]uint8)(table)
	for i, a := range x {
		y[i] = t[a]
	}
}

// Flatten writes images (batch, height, width, channels) in PyTorch's order, (batch, channels, height,
// width). A fully connected layer after images does not need it, see NewLinear.
func Flatten(y, x []uint8, image Shape, batch int) {
	checkLength("x", x, batch*image.Size())
	checkLength("y", y, len(x))
	pixels := image.Height * image.Width
	parallel.For(batch, func(b int) {
		from, to := x[b*image.Size():], y[b*image.Size():]
		for p := range pixels {
			for c := range image.Channels {
				to[c*pixels+p] = from[p*image.Channels+c]
			}
		}
	})
}

// eachChunk calls work for parts of n elements.
func eachChunk(n int, work func(first, last int)) {
	const chunk = 16 << 10
	parallel.For(int(math.Ceil(float64(n)/chunk)), func(i int) { work(i*chunk, min(n, (i+1)*chunk)) })
}
