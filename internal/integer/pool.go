package integer

import (
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

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

// MaxPool is the maximum of each window for each channel.
type MaxPool struct {
	engine vector.ByteEngine
	input  Shape
	pool   Pool
}

// NewMaxPool returns the layer.
func NewMaxPool(input Shape, p Pool) (*MaxPool, error) {
	return newMaxPool(vector.ByteEngineOf(vector.For[float32]()), input, p)
}

func newMaxPool(e vector.ByteEngine, input Shape, p Pool) (*MaxPool, error) {
	if err := input.validate(); err != nil {
		return nil, err
	}
	if p == (Pool{}) {
		return nil, errors.New("the pool has no size")
	}
	if err := p.validate(input); err != nil {
		return nil, err
	}
	return &MaxPool{e, input, p}, nil
}

// Output returns the shape of the result.
func (m *MaxPool) Output() Shape { return m.pool.output(m.input) }

// Forward writes y (batch, output height, output width, channels), given x (batch, height, width,
// channels).
func (m *MaxPool) Forward(y, x []uint8, batch int) {
	checkLength("x", x, batch*m.input.Size())
	checkLength("y", y, batch*m.Output().Size())
	maxPool(m.engine, y, x, m.input, m.pool, batch)
}

// span is a range of rows.
type span struct{ first, last int }

// rows returns the rows of the input that are in the windows of some rows of the result.
func (p Pool) rows(s span, in Shape) span {
	return span{max(0, s.first*p.Stride-p.Padding), min(in.Height, (s.last-1)*p.Stride-p.Padding+p.Size)}
}

// maxPool computes a max pool.
func maxPool(e vector.ByteEngine, y, x []uint8, in Shape, p Pool, batch int) {
	out := p.output(in)
	divide(batch*out.Height, func(w *workspace, i int) {
		p.row(w, e, y[i*out.Width*out.Channels:], x[i/out.Height*in.Size():], in, i%out.Height, 0, 0, in.Channels)
	})
}

// row writes some channels of a row of the result, given the rows of the input from begin on.
func (p Pool) row(w *workspace, e vector.ByteEngine, y, x []uint8, in Shape, row, begin, left, channels int) {
	rows, width := p.rows(span{row, row + 1}, in), p.output(in).Width
	window := &w.windows
	*window = vector.ByteWindows{Step: p.Stride * in.Channels, YStep: in.Channels, Channels: channels}
	for column := 0; column < width; column += window.Count {
		low, high := p.columns(column, in.Width)
		// The windows that are not cut off by the border are computed together.
		for window.Count = 1; column+window.Count < width; window.Count++ {
			if nextLow, nextHigh := p.columns(column+window.Count, in.Width); nextHigh-nextLow != high-low || nextLow != low+window.Count*p.Stride {
				break
			}
		}
		window.Offsets = w.offsets[:0]
		for h := range rows.last - rows.first {
			for v := range high - low {
				window.Offsets = append(window.Offsets, int32((h*in.Width+v)*in.Channels))
			}
		}
		w.offsets = window.Offsets
		window.X, window.Y = x[((rows.first-begin)*in.Width+low)*in.Channels+left:], y[column*in.Channels+left:]
		e.Maxima(window)
	}
}

// columns returns the columns of the input that are in the window of a column of the result.
func (p Pool) columns(column, width int) (low, high int) {
	start := column*p.Stride - p.Padding
	return max(0, start), min(width, start+p.Size)
}

// AveragePool is the mean of each window for each channel, without padding. The sum of a window
// is Σ x − Size²·zero; its division by the number of elements is part of the scale of
// Requantize. A window that is the image is global average pooling.
type AveragePool struct {
	engine        vector.ByteEngine
	input         Shape
	height, width int // of windows
	stride        int
	initial       int32
	result        vector.WideByteResult
	table         []uint8 // nil for none
}

// NewAveragePool returns the layer for windows of the given height and width. With a nil q there is
// no Forward, only Sums.
func NewAveragePool(input Shape, height, width, stride int, zero uint8, q *Requantize) (*AveragePool, error) {
	return newAveragePool(vector.ByteEngineOf(vector.For[float32]()), input, height, width, stride, zero, q)
}

func newAveragePool(e vector.ByteEngine, input Shape, height, width, stride int, zero uint8, q *Requantize) (*AveragePool, error) {
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
		if err := q.validateWide(input.Channels, 255*int64(height*width)); err != nil {
			return nil, err
		}
	}
	a := &AveragePool{engine: e, input: input, height: height, width: width, stride: stride, initial: -int32(zero) * int32(height*width)}
	if q != nil {
		a.result, a.table = q.wide(input.Channels), q.Table
	}
	return a, nil
}

// Output returns the shape of the result.
func (a *AveragePool) Output() Shape {
	return Shape{(a.input.Height-a.height)/a.stride + 1, (a.input.Width-a.width)/a.stride + 1, a.input.Channels}
}

// Forward writes y (batch, output height, output width, channels), given x (batch, height, width,
// channels).
func (a *AveragePool) Forward(y, x []uint8, batch int) {
	checkLength("y", y, batch*a.Output().Size())
	a.run(x, batch, func(w *workspace, first int, sums []int32) {
		for c, sum := range sums {
			if y[first+c] = a.result.Byte(sum, c, 0, false); a.table != nil {
				y[first+c] = a.table[y[first+c]]
			}
		}
	})
}

// Sums writes the sums of windows themselves.
func (a *AveragePool) Sums(y []int32, x []uint8, batch int) {
	checkLength("y", y, batch*a.Output().Size())
	a.run(x, batch, func(_ *workspace, first int, sums []int32) { copy(y[first:], sums) })
}

// run calls put with the sums of each window, of which the first result has the given index.
func (a *AveragePool) run(x []uint8, batch int, put func(w *workspace, first int, sums []int32)) {
	in, out := a.input, a.Output()
	checkLength("x", x, batch*in.Size())
	divide(batch*out.Height, func(w *workspace, i int) {
		image, row := x[i/out.Height*in.Size():][:in.Size()], i%out.Height*a.stride
		sums := grow(&w.sums, in.Channels)
		for column := range out.Width {
			for c := range sums {
				sums[c] = a.initial
			}
			for h := range a.height {
				a.engine.Sums(sums, image[((row+h)*in.Width+column*a.stride)*in.Channels:], a.width, in.Channels)
			}
			put(w, (i*out.Width+column)*in.Channels, sums)
		}
	})
}
