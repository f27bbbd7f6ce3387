package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// PoolShape is the shape of a pooling layer with square windows. Rows and columns at the
// end that do not fill a window are ignored.
type PoolShape struct {
	Batch, Height, Width, Channels int // of the input
	Size, Stride                   int
	Padding                        int // of a max pool: rows and columns on each side that are never the maximum
}

// Output returns the height and width of the result.
func (s PoolShape) Output() (height, width int) {
	return (s.Height+2*s.Padding-s.Size)/s.Stride + 1, (s.Width+2*s.Padding-s.Size)/s.Stride + 1
}

// Validate returns an error if the shape is not valid.
func (s PoolShape) Validate() error {
	for _, d := range []dimension{
		{"batch", s.Batch}, {"height", s.Height}, {"width", s.Width}, {"channels", s.Channels},
		{"pool size", s.Size}, {"pool stride", s.Stride},
	} {
		if err := atLeastOne(d.name, d.value); err != nil {
			return err
		}
	}
	if s.Padding < 0 || s.Padding > s.Size/2 { // so that no window has padding only
		return errors.Errorf("pool padding is %d, it must be from 0 to half of the pool size of %d", s.Padding, s.Size)
	}
	if s.Size > s.Height+2*s.Padding || s.Size > s.Width+2*s.Padding {
		return errors.Errorf("pool window %d×%d is larger than its %d×%d input", s.Size, s.Size, s.Height, s.Width)
	}
	if s.Size > 15 { // a position in a window is stored in a byte
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

// checkPool panics unless input and output have the lengths of the shape.
func checkPool[T Float](s PoolShape, output, input []T) {
	checkLength("the pool's input", input, s.Batch*s.input())
	checkLength("the pool's output", output, s.Batch*s.output())
}

// offsets returns the offset of each position of a window, in row-major order, from its
// first element, for rows that are the given number of elements apart.
func (s PoolShape) offsets(row int) (offsets []int32) {
	for y := range s.Size {
		for x := range s.Size {
			offsets = append(offsets, int32(y*row+x*s.Channels))
		}
	}
	return offsets
}

// MaxPool computes the maximum of each window for each channel. Of equal elements the first
// is the maximum; if there is a NaN, the result is NaN.
type MaxPool[T Float] struct {
	shape    PoolShape
	engine   vector.Engine[T]
	ranges   poolRanges
	position []uint8 // of each result, among the positions of its window inside the input
}

// poolRanges are the windows of a max pool, those of the same shape together.
type poolRanges struct {
	rows, columns []poolRange
	offsets       [][][]int32 // of the positions inside the input, by the ranges of rows and columns
}

// poolRange is a number of neighboring rows, or columns, of windows that have the same
// positions inside the input: from low to high.
type poolRange struct {
	first, count, low, high int
}

// NewMaxPool returns the layer of a valid shape.
func NewMaxPool[T Float](s PoolShape) *MaxPool[T] {
	mustBeValid(s.Validate())
	return &MaxPool[T]{shape: s, engine: vector.For[T](), ranges: s.windows(s.Width * s.Channels)}
}

// windows returns the windows, for rows of the input that are the given number of elements apart.
func (s PoolShape) windows(row int) poolRanges {
	height, width := s.Output()
	p := poolRanges{rows: s.ranges(s.Height, height), columns: s.ranges(s.Width, width)}
	for _, rows := range p.rows {
		var list [][]int32
		for _, columns := range p.columns {
			var offsets []int32
			for y := range rows.high - rows.low {
				for x := range columns.high - columns.low {
					offsets = append(offsets, int32(y*row+x*s.Channels))
				}
			}
			list = append(list, offsets)
		}
		p.offsets = append(p.offsets, list)
	}
	return p
}

// row calls visit for each range of windows of a row of the result: with the offsets of their positions, the row and
// the column of the input at which the first begins, its number in the row, and the number of windows.
func (p poolRanges) row(s PoolShape, row int, visit func(offsets []int32, top, left, first, count int)) {
	for i, rows := range p.rows {
		if row < rows.first || row >= rows.first+rows.count {
			continue
		}
		for j, columns := range p.columns {
			visit(p.offsets[i][j], row*s.Stride-s.Padding+rows.low, columns.first*s.Stride-s.Padding+columns.low, columns.first, columns.count)
		}
	}
}

// inputRows returns the range of the rows of the input that windows in rows [top, bottom) of the result have.
func (s PoolShape) inputRows(top, bottom int) (first, last int) {
	return max(0, top*s.Stride-s.Padding), min(s.Height, (bottom-1)*s.Stride-s.Padding+s.Size)
}

// windowRows returns the range of the rows of the result whose windows have some of rows [top, bottom) of the input.
func (s PoolShape) windowRows(top, bottom int) (first, last int) {
	height, _ := s.Output()
	return max(0, ceilDiv(top+s.Padding-s.Size+1, s.Stride)), min(height, (bottom-1+s.Padding)/s.Stride+1)
}

// ranges divides the windows along an axis, of a number of elements of the input and of the
// result.
func (s PoolShape) ranges(input, output int) []poolRange {
	var all []poolRange
	for i := range output {
		start := i*s.Stride - s.Padding
		r := poolRange{first: i, count: 1, low: max(0, -start), high: min(s.Size, input-start)}
		if last := len(all) - 1; last >= 0 && all[last].low == r.low && all[last].high == r.high {
			all[last].count++
			continue
		}
		all = append(all, r)
	}
	return all
}

// Forward writes y (batch, output height, output width, channels) and
// stores the positions of the maxima for Backward.
func (p *MaxPool[T]) Forward(y, x []T) {
	checkPool(p.shape, y, x)
	grow(&p.position, len(y))
	// The rows of the result do not depend on each other, so that the threads share one image, too.
	height, _ := p.shape.Output()
	step := max(1, ceilDiv(height, 4))
	chunks := ceilDiv(height, step)
	divide(p.shape.Batch*chunks, func(w *workspace[T], i int) {
		p.visit(w, i/chunks, i%chunks*step, min((i%chunks+1)*step, height), y, x, p.engine.MaxWindows)
	})
}

// Backward writes the gradient dx, unless it is nil: each dy is added at the position of
// its maximum in the last Forward.
func (p *MaxPool[T]) Backward(dx, dy []T) {
	if dx == nil {
		return
	}
	checkPool(p.shape, dy, dx)
	height, _ := p.shape.Output()
	divide(p.shape.Batch, func(w *workspace[T], image int) {
		clear(dx[image*p.shape.input():][:p.shape.input()])
		// In order, because windows of neighboring rows may overlap.
		p.visit(w, image, 0, height, dy, dx, p.engine.ScatterWindows)
	})
}

// visit visits rows from first to last of the windows of an image.
func (p *MaxPool[T]) visit(w *workspace[T], image, first, last int, y, x []T, visit func(*vector.Windows[T])) {
	s := p.shape
	height, width := s.Output()
	for row := first; row < last; row++ {
		p.ranges.row(s, row, func(offsets []int32, top, left, first, count int) {
			at, size := ((image*height+row)*width+first)*s.Channels, count*s.Channels
			w.windows = vector.Windows[T]{
				X: x[((image*s.Height+top)*s.Width+left)*s.Channels:], Y: y[at:][:size], Position: p.position[at:][:size],
				Offsets: offsets, Count: count, Step: s.Stride * s.Channels, Channels: s.Channels, Add: true,
			}
			visit(&w.windows)
		})
	}
}

// AveragePool computes the mean of each window for each channel.
type AveragePool[T Float] struct {
	shape   PoolShape
	offsets []int32
}

// NewAveragePool returns the layer of a valid shape without padding.
func NewAveragePool[T Float](s PoolShape) *AveragePool[T] {
	mustBeValid(s.Validate())
	if s.Padding != 0 {
		panic("kernel: an average pool has no padding")
	}
	return &AveragePool[T]{s, s.offsets(s.Width * s.Channels)}
}

// Forward writes y (batch, output height, output width, channels).
func (p *AveragePool[T]) Forward(y, x []T) {
	s := p.shape
	checkPool(s, y, x)
	in, out := s.input(), s.output()
	parallel.For(s.Batch, func(image int) {
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

// Backward writes the gradient dx, unless it is nil: each dy is divided equally among the
// elements of its window.
func (p *AveragePool[T]) Backward(dx, dy []T) {
	if dx == nil {
		return
	}
	s := p.shape
	checkPool(s, dy, dx)
	in, out := s.input(), s.output()
	parallel.For(s.Batch, func(image int) {
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
