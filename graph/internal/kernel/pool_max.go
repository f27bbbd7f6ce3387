package kernel

import "github.com/likeness-go/likeness/internal/vector"

// MaxPool takes the largest element of each window, channel by channel. Of
// equal elements the first counts; if there is a NaN, the result is NaN.
type MaxPool[T Float] struct {
	shape    PoolShape
	engine   vector.Engine[T]
	offsets  []int32
	position []uint8 // of each result, in its window
}

// NewMaxPool returns the layer of a valid shape.
func NewMaxPool[T Float](s PoolShape) *MaxPool[T] {
	mustBeValid(s.Validate())
	return &MaxPool[T]{shape: s, engine: vector.For[T](), offsets: s.offsets(s.Width * s.Channels)}
}

// Forward writes y (batch, output height, output width, channels) and
// remembers the positions of the maxima.
func (p *MaxPool[T]) Forward(y, x []T) {
	checkPool(p.shape, y, x)
	grow(&p.position, len(y))
	p.eachRow(y, x, p.engine.MaxWindows)
}

// Backward writes the gradient dx, unless it is nil: each dy goes to where its
// maximum was in the last Forward.
func (p *MaxPool[T]) Backward(dx, dy []T) {
	if dx == nil {
		return
	}
	checkPool(p.shape, dy, dx)
	clear(dx)
	p.eachRow(dy, dx, p.engine.ScatterWindows)
}

// eachRow visits each row of windows, in order within an image: windows of
// neighbouring rows may overlap.
func (p *MaxPool[T]) eachRow(y, x []T, visit func(*vector.Windows[T])) {
	s := p.shape
	height, width := s.Output()
	in, out := s.Width*s.Channels, width*s.Channels
	parallel(s.Batch, func(w *workspace[T], image int) {
		for row := range height {
			first := (image*height + row) * out
			w.windows = vector.Windows[T]{
				X: x[(image*s.Height+row*s.Stride)*in:], Y: y[first:][:out], Position: p.position[first:][:out],
				Offsets: p.offsets, Count: width, Step: s.Stride * s.Channels, Channels: s.Channels, Add: true,
			}
			visit(&w.windows)
		}
	})
}
