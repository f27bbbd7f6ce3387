package kernel

// Conv is a convolution layer (in the sense of neural networks, a
// correlation): x (batch, height, width, channels), weight (filters, channels,
// kernel height, kernel width), bias (filters), y (batch, output height,
// output width, filters).
//
// All three products are matrix products with the matrix of columns (see
// columns.go), of which only a block that fits the cache exists at a time.
type Conv[T Float] struct {
	shape    ConvShape
	forward  panels[T] // weights as Forward multiplies by them
	backward panels[T] // weights as the gradient of x does
	partial  []T       // partial sums of the gradient of the weights
}

// NewConv returns the layer of a valid shape.
func NewConv[T Float](s ConvShape) *Conv[T] {
	mustBeValid(s.Validate())
	return &Conv[T]{shape: s}
}

// Forward writes y. A nil bias is zero.
func (c *Conv[T]) Forward(y, x, weight, bias []T) {
	s := c.shape
	checkLength("y", y, s.outputs())
	checkLength("x", x, s.inputs())
	checkLength("weight", weight, s.weights())
	checkOptional("bias", bias, s.Filters)
	c.packForward(weight)
	c.multiplyForward(s.Batch, y, x, bias)
}

// multiplyForward is Forward by the weights last packed, for a batch of any
// size.
func (c *Conv[T]) multiplyForward(batch int, y, x, bias []T) {
	s := c.shape
	s.Batch = batch
	pixels, size, height := s.pixels(), s.patchSize(), s.kernelRows()
	step := min(s.pixelsPerBlock(), ceilDiv(pixels, tileRows*units)*tileRows)
	Parallel(ceilDiv(pixels, step), func(unit int) {
		first := unit * step
		count := min(step, pixels-first)
		out := matrix[T]{y[first*s.Filters:], s.Filters}
		fillRows(out.data[:count*s.Filters], bias, s.Filters)
		work := borrow[T]()
		defer work.giveBack()
		for top := 0; top < s.KernelHeight; top += height {
			bottom := min(top+height, s.KernelHeight)
			start, width := s.patchStart(top), s.patchStart(bottom)-s.patchStart(top)
			columns := grow(&work.rows, count*width)
			gatherColumns(s, columns, x, first, count, top, bottom)
			multiply(out, matrix[T]{columns, width}, c.forward[start:], size, count, s.Filters, width)
		}
	})
}

// packForward packs the transpose of the weights, (patch, filters).
func (c *Conv[T]) packForward(weight []T) {
	s := c.shape
	size, taps := s.patchSize(), s.KernelHeight*s.KernelWidth
	grow(&c.forward, panelCount(s.Filters)*size)
	Parallel(panelCount(s.Filters), func(p int) {
		panel := c.forward[p*size:][:size]
		for j := range tileColumns {
			filter := min(p*tileColumns+j, s.Filters-1)
			for channel := range s.Channels {
				for tap, v := range weight[(filter*s.Channels+channel)*taps:][:taps] {
					panel[tap*s.Channels+channel][j] = v
				}
			}
		}
	})
}

// fillRows makes every row of y the bias, or zero.
func fillRows[T Float](y, bias []T, columns int) {
	if bias == nil {
		clear(y)
		return
	}
	for i := 0; i < len(y); i += columns {
		copy(y[i:i+columns], bias)
	}
}
