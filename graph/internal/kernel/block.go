package kernel

import "github.com/likeness-go/likeness/internal/vector"

// Block is the composition that networks repeat: convolution, batch norm,
// activation, max pool. It works on some rows at a time, so that the
// convolution's result, the largest array of a network, is normalised,
// activated and pooled while it is in the cache, and is not kept unless batch
// norm's gradient needs it and it would take long to compute again.
type Block[T Float] struct {
	shape     BlockShape
	engine    vector.Engine[T]
	conv      *Conv[T]
	norm      *BatchNorm[T]  // nil for NoNorm
	spans     []span         // of rows of the result
	offsets   []int32        // of the positions of a pool's window, in rows that follow each other
	parts     []blockPart[T] // by filters, where images are few
	serial    *workspace[T]  // of a part, which runs on one thread; nil otherwise
	recompute bool           // rather than keep the convolution's result
	convolved []T            // result of the convolution, if it is kept
	position  []uint8        // of each maximum in its window; "none" where ReLU is zero
	maxima    []T            // the convolution's results there, where they are needed
	gradient  []T            // of the activation's argument, at the maxima
	offset    []T            // (filters) of the normalisation as a product and a sum
	known     []T            // the weights that are packed, in evaluation
	kept      bool           // whether Backward may be called
}

// recomputeSize is the size of a window up to which a convolution is faster
// than memory.
const recomputeSize = 64

// NewBlock returns the block of a valid shape.
func NewBlock[T Float](s BlockShape) *Block[T] {
	mustBeValid(s.Validate())
	k := newBlock(s, NewConv[T](s.Conv))
	if s.few(len(k.spans)) || s.few(0) && k.conv.minimal != nil {
		k.divideFilters()
	}
	return k
}

func newBlock[T Float](s BlockShape, conv *Conv[T]) *Block[T] {
	pool := s.pool()
	k := &Block[T]{
		shape: s, engine: vector.For[T](), conv: conv,
		offsets: pool.offsets(pool.Width * pool.Channels), recompute: s.Conv.patchSize() <= recomputeSize && conv.fourier == nil,
	}
	height, _ := pool.Output()
	k.spans = conv.spans(height, pool.Stride*pool.Width*pool.Channels, pool.Stride*pool.Width)
	k.conv.gradient.bandRows = pool.Stride
	if pool.Size > pool.Stride {
		k.conv.gradient.bandRows = pool.Height // rows belong to several windows
	}
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
	if k.parts != nil {
		k.forwardParts(y, x, w)
		return
	}
	k.pack(w.Weight)
	k.normalization(x, w)
	if k.serial != nil {
		for _, span := range k.spans {
			k.finish(k.serial, y, k.convolve(k.serial, x, w.Bias, k.rows(span)), span, w)
		}
		return
	}
	if !s.Evaluation {
		grow(&k.position, len(y))
		if k.keepsMaxima() {
			grow(&k.maxima, len(y))
		}
	}
	k.overSpans(k.spans, x, func(work *workspace[T], i int) {
		k.finish(work, y, k.convolve(work, x, w.Bias, k.rows(k.spans[i])), k.spans[i], w)
	})
	k.kept = !s.Evaluation
}

// overSpans calls work for spans whose convolution can be asked for, or is kept.
func (k *Block[T]) overSpans(spans []span, x []T, work func(work *workspace[T], i int)) {
	if k.keepsAll() {
		parallel(len(spans), work)
		return
	}
	k.conv.overSpans(spans, x, work)
}

// pack packs the weights. In evaluation they are mostly those of the last time:
// to compare them is faster than to pack them, and safe whoever changes them.
func (k *Block[T]) pack(weight []T) {
	if !k.shape.Evaluation {
		k.conv.packForward(weight)
		return
	}
	if len(k.known) == len(weight) && same(k.known, weight, k.serial != nil) {
		return
	}
	k.conv.packForward(weight)
	k.known = append(k.known[:0], weight...)
}

// keepsMaxima says whether Backward needs the convolution's results.
func (k *Block[T]) keepsMaxima() bool { return k.norm != nil || k.shape.Activation == PReLU }

// keepsAll says whether it needs all of them, and not at the maxima alone.
func (k *Block[T]) keepsAll() bool { return k.shape.Norm == BatchStatistics && !k.recompute }

// rows returns the rows of the convolution's result that a span of the block's
// result is made of.
func (k *Block[T]) rows(span span) span {
	pool := k.shape.pool()
	if span.images > 1 {
		span.top, span.bottom = 0, pool.Height
		return span
	}
	span.top, span.bottom = span.top*pool.Stride, (span.bottom-1)*pool.Stride+pool.Size
	return span
}

// convolve returns rows of the convolution's result.
func (k *Block[T]) convolve(work *workspace[T], x, bias []T, rows span) []T {
	pool := k.shape.pool()
	run := pool.Width * pool.Channels
	if k.keepsAll() {
		return k.convolved[(rows.image*pool.Height+rows.top)*run:]
	}
	to := grow(&work.convolved, rows.images*(rows.bottom-rows.top)*run)
	k.conv.convolve(work, to, x, bias, rows)
	return to
}

// finish turns rows of the convolution's result into the block's.
func (k *Block[T]) finish(work *workspace[T], y, convolved []T, span span, w BlockWeights[T]) {
	s, pool := k.shape, k.shape.pool()
	height, width := pool.Output()
	in, out := pool.Width*pool.Channels, width*pool.Channels
	below := k.rows(span)
	rows := below.bottom - below.top // of the convolution's result, in each image
	windows := &work.windows
	*windows = vector.Windows[T]{
		Offsets: k.offsets, Count: width, Step: pool.Stride * pool.Channels, Channels: pool.Channels,
		Rectify: s.Activation == ReLU,
	}
	from := convolved
	switch {
	case s.Activation == PReLU: // not monotonic, so it comes before the pool
		from = k.activateAll(work, convolved[:span.images*rows*in], w)
	case k.norm != nil:
		windows.Scale, windows.Shift = k.norm.scale, k.offset
	}
	for image := range span.images {
		for row := span.top; row < span.bottom; row++ {
			at := (image*rows + (row-span.top)*pool.Stride) * in
			first := ((span.image+image)*height + row) * out
			windows.X, windows.Y = from[at:], y[first:][:out]
			if s.Evaluation {
				windows.Position = grow(&work.position, out)
			} else {
				windows.Position = k.position[first:][:out]
			}
			if k.keepsMaxima() && !s.Evaluation {
				windows.Kept = k.maxima[first:][:out]
			}
			k.engine.MaxWindows(windows)
			if s.Activation == PReLU && windows.Kept != nil {
				gatherMaxima(windows, convolved[at:])
			}
			activate(k.pointwise(), windows.Y, windows.Y, nil)
		}
	}
}

// pointwise is the activation that is left to do after the pool.
func (k *Block[T]) pointwise() Activation {
	if k.shape.Activation == Sigmoid || k.shape.Activation == Tanh {
		return k.shape.Activation
	}
	return Identity
}

// activateAll normalises and activates rows of the convolution's result.
func (k *Block[T]) activateAll(work *workspace[T], x []T, w BlockWeights[T]) []T {
	y := grow(&work.active, len(x))
	k.argument(y, x, w)
	activate(k.shape.Activation, y, y, w.Slope)
	return y
}

// argument writes the activation's argument.
func (k *Block[T]) argument(y, x []T, w BlockWeights[T]) {
	if k.norm == nil {
		copy(y, x)
		return
	}
	k.engine.Normalize(y, x, k.mean(w), k.norm.scale, w.Shift)
}

// gatherMaxima writes to what a row of windows keeps the elements of x at the
// maxima's positions.
func gatherMaxima[T Float](w *vector.Windows[T], x []T) {
	for i := range w.Count {
		for c := range w.Channels {
			at := i*w.Channels + c
			w.Kept[at] = x[i*w.Step+int(w.Offsets[w.Position[at]])+c]
		}
	}
}
