package kernel

// Block is the composition that networks repeat: convolution, batch norm,
// activation, max pool. Only the convolution's result and the positions of the
// maxima are kept for Backward; everything else is made row by row.
type Block[T Float] struct {
	shape     BlockShape
	conv      *Conv[T]
	norm      *BatchNorm[T] // nil for NoNorm
	offsets   []int         // of the positions of a pool's window
	convolved []T           // result of the convolution
	position  []uint16      // of each maximum in its window
	gradient  []T           // of the activation's argument, at the maxima
	kept      bool          // whether Backward may be called
}

// NewBlock returns the block of a valid shape.
func NewBlock[T Float](s BlockShape) *Block[T] {
	mustBeValid(s.Validate())
	k := &Block[T]{shape: s, conv: NewConv[T](s.Conv), offsets: s.pool().offsets()}
	if s.Norm != NoNorm {
		k.norm = NewBatchNorm[T](s.Conv.pixels(), s.Conv.Filters, s.Epsilon)
	}
	return k
}

// Statistics returns the mean and the biased variance (filters) by which the
// last Forward with BatchStatistics normalised.
func (k *Block[T]) Statistics() (mean, variance []T) { return k.norm.Mean, k.norm.Variance }

// Forward writes y (batch, output height, output width, filters), given x
// (batch, height, width, channels).
func (k *Block[T]) Forward(y, x []T, w BlockWeights[T]) {
	s, pool := k.shape, k.shape.pool()
	checkLength("x", x, s.Conv.inputs())
	checkLength("y", y, pool.Batch*pool.output())
	checkLength("weight", w.Weight, s.Conv.weights())
	checkOptional("bias", w.Bias, s.Conv.Filters)
	checkSlope(s.Activation, w.Slope, s.Conv.Filters)
	if k.norm != nil {
		checkLength("shift", w.Shift, s.Conv.Filters)
	}
	k.conv.packForward(w.Weight)
	in, between, out := s.Conv.inputs()/pool.Batch, pool.input(), pool.output()
	step := k.imagesAtATime()
	for first := 0; first < pool.Batch; first += step {
		count := min(step, pool.Batch-first)
		y := y[first*out:][:count*out]
		convolved := y
		if !s.Evaluation || s.pooled() {
			convolved = grow(&k.convolved, count*between)
		}
		k.conv.multiplyForward(count, convolved, x[first*in:], w.Bias)
		k.finish(y, convolved, k.statistics(convolved, w), w)
	}
	k.kept = !s.Evaluation
}

// imagesAtATime returns into which parts the batch is divided: all of it if
// something is to be kept, otherwise so few images that the convolution's
// result stays small.
func (k *Block[T]) imagesAtATime() int {
	pool := k.shape.pool()
	if !k.shape.Evaluation || k.shape.Norm == BatchStatistics {
		return pool.Batch
	}
	return min(pool.Batch, max(1, 1<<20/pool.input()))
}

// statistics prepares the batch norm and returns the means it subtracts.
func (k *Block[T]) statistics(convolved []T, w BlockWeights[T]) (mean []T) {
	switch k.shape.Norm {
	case BatchStatistics:
		k.norm.measure(convolved)
		k.norm.prepare(w.Gain, k.norm.Mean, k.norm.Variance)
		return k.norm.Mean
	case GivenStatistics:
		k.norm.prepare(w.Gain, w.Mean, w.Variance)
		return w.Mean
	}
	return nil
}

// finish turns the convolution's result into the block's, row by row.
func (k *Block[T]) finish(y, convolved, mean []T, w BlockWeights[T]) {
	s, pool := k.shape, k.shape.pool()
	height, width := pool.Output()
	in, out := pool.Width*pool.Channels, width*pool.Channels
	if s.pooled() {
		grow(&k.position, len(y))
	}
	Parallel(len(y)/out, func(unit int) {
		top := unit/height*pool.Height + unit%height*pool.Stride
		from, to := convolved[top*in:][:pool.Size*in], y[unit*out:][:out]
		if !s.pooled() {
			k.activate(to, from, mean, w)
			return
		}
		work := borrow[T]()
		defer work.giveBack()
		active := grow(&work.rows, len(from))
		k.activate(active, from, mean, w)
		maxRow(pool, to, k.position[unit*out:][:out], active, k.offsets)
	})
}

// activate normalises and activates rows of the convolution's result.
func (k *Block[T]) activate(y, x, mean []T, w BlockWeights[T]) {
	if k.norm != nil {
		normalizeChannels(y, x, mean, k.norm.scale, w.Shift)
		x = y
	}
	activate(k.shape.Activation, y, x, w.Slope)
}
