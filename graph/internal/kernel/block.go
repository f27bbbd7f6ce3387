package kernel

import (
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Norm says what a block normalises its convolution by.
type Norm int

const (
	NoNorm          Norm = iota
	BatchStatistics      // of the batch itself, as in training
	GivenStatistics      // BlockWeights' Mean and Variance, as in evaluation and in frozen layers
)

// BlockShape is the shape of a block: convolution, batch norm, activation and
// max pool, in this order.
type BlockShape struct {
	Conv                 ConvShape
	Norm                 Norm
	Epsilon              float64 // of the batch norm, above 0
	Activation           Activation
	PoolSize, PoolStride int  // of the max pool; 0 for none
	Evaluation           bool // Backward will not be called, and nothing is kept for it
}

// BlockWeights are a block's weights, or their gradients; nil where absent.
type BlockWeights[T Float] struct {
	Weight         []T // (filters, channels, kernel height, kernel width)
	Bias           []T // (filters)
	Gain, Shift    []T // (filters) of the batch norm
	Mean, Variance []T // (filters) for GivenStatistics; they have no gradients
	Slope          []T // (filters) or (1), for PReLU
}

// pooled says whether the block has a max pool.
func (s BlockShape) pooled() bool { return s.PoolSize != 0 || s.PoolStride != 0 }

// pool returns the shape of the max pool; without one, of windows of one.
func (s BlockShape) pool() PoolShape {
	height, width := s.Conv.Output()
	p := PoolShape{s.Conv.Batch, height, width, s.Conv.Filters, s.PoolSize, s.PoolStride}
	if !s.pooled() {
		p.Size, p.Stride = 1, 1
	}
	return p
}

// Output returns the height and width of the result.
func (s BlockShape) Output() (height, width int) { return s.pool().Output() }

// Validate says what is wrong with a shape.
func (s BlockShape) Validate() error {
	if err := s.Conv.Validate(); err != nil {
		return errors.Wrap(err, "convolution")
	}
	if err := s.pool().Validate(); err != nil {
		return errors.Wrap(err, "max pool after the convolution")
	}
	if s.Norm < NoNorm || s.Norm > GivenStatistics {
		return errors.Errorf("unknown norm %d", s.Norm)
	}
	if s.Activation < Identity || s.Activation > Tanh {
		return errors.Errorf("unknown activation %d", s.Activation)
	}
	if s.Norm != NoNorm && !(s.Epsilon > 0) {
		return errors.Errorf("batch norm's epsilon is %g, it must be above 0", s.Epsilon)
	}
	return nil
}

// Block is the composition that networks repeat: convolution, batch norm,
// activation, max pool. It works on some rows at a time, so that the
// convolution's result, the largest array of a network, is normalised,
// activated and pooled while it is in the cache, and is not kept unless batch
// norm's gradient needs it and it would take long to compute again.
type Block[T Float] struct {
	shape         BlockShape
	engine        vector.Engine[T]
	conv          *Conv[T]
	norm          *BatchNorm[T]  // nil for NoNorm
	spans         []span         // of rows of the result
	offsets       []int32        // of the positions of a pool's window, in rows that follow each other
	parts         []blockPart[T] // by filters, where images are few
	serial        *workspace[T]  // of a part, which runs on one thread; nil otherwise
	recompute     bool           // rather than keep the convolution's result
	convolved     []T            // result of the convolution, if it is kept
	position      []uint8        // of each maximum in its window; "none" where ReLU is zero
	maxima        []T            // the convolution's results there, where they are needed
	gradient      []T            // of the activation's argument, at the maxima
	offset        []T            // (filters) of the normalisation as a product and a sum
	packedWeights []T            // the weights that are packed, in evaluation
	kept          bool           // whether Backward may be called
}

// recomputeSize is the size of a window up to which a convolution is faster
// than memory.
const recomputeSize = 64

// NewBlock returns the block of a valid shape.
func NewBlock[T Float](s BlockShape) *Block[T] {
	mustBeValid(s.Validate())
	k := newBlock(s, NewConv[T](s.Conv))
	if s.few(len(k.spans)) || s.few(0) && k.conv.winograd != nil {
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
	k.forEachSpan(k.spans, x, func(work *workspace[T], i int) {
		k.finish(work, y, k.convolve(work, x, w.Bias, k.rows(k.spans[i])), k.spans[i], w)
	})
	k.kept = !s.Evaluation
}

// forEachSpan calls work for spans whose convolution can be asked for, or is kept.
func (k *Block[T]) forEachSpan(spans []span, x []T, work func(work *workspace[T], i int)) {
	if k.keepsAll() {
		divide(len(spans), work)
		return
	}
	k.conv.forEachSpan(spans, x, work)
}

// pack packs the weights. In evaluation they are mostly those of the last time:
// to compare them is faster than to pack them, and safe whoever changes them.
func (k *Block[T]) pack(weight []T) {
	if !k.shape.Evaluation {
		k.conv.packForward(weight)
		return
	}
	if len(k.packedWeights) == len(weight) && equalBits(k.packedWeights, weight, k.serial != nil) {
		return
	}
	k.conv.packForward(weight)
	k.packedWeights = append(k.packedWeights[:0], weight...)
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
		from = k.activateRows(work, convolved[:span.images*rows*in], w)
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

// activateRows normalises and activates rows of the convolution's result.
func (k *Block[T]) activateRows(work *workspace[T], x []T, w BlockWeights[T]) []T {
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

// normalization prepares what the convolution's result is multiplied by and
// what is added to it.
func (k *Block[T]) normalization(x []T, w BlockWeights[T]) {
	switch k.shape.Norm {
	case NoNorm:
		return
	case BatchStatistics:
		k.measure(x, w.Bias)
		k.norm.prepare(w.Gain, k.norm.Mean, k.norm.Variance)
	case GivenStatistics:
		k.norm.prepare(w.Gain, w.Mean, w.Variance)
	}
	checkLength("shift", w.Shift, k.norm.channels)
	mean := k.mean(w)
	grow(&k.offset, k.norm.channels)
	for c, m := range mean {
		k.offset[c] = w.Shift[c] - m*k.norm.scale[c]
	}
}

// mean returns the mean that is subtracted.
func (k *Block[T]) mean(w BlockWeights[T]) []T {
	if k.shape.Norm == GivenStatistics {
		return w.Mean
	}
	return k.norm.Mean
}

// measure computes the statistics of the convolution's result. Sums of squares
// are taken around the first pixel's result, a value of the right size: around
// zero they would lose a variance that is small beside the mean.
func (k *Block[T]) measure(x, bias []T) {
	pool, n := k.shape.pool(), k.norm
	run := pool.Width * pool.Channels
	spans := k.conv.spans(pool.Height, run, pool.Width)
	if k.keepsAll() {
		grow(&k.convolved, pool.Batch*pool.input())
	}
	center := make([]T, n.channels)
	made := k.conv.fourier != nil // all at once, as spectra are of whole images
	if made {
		k.conv.forEachSpan(spans, x, func(work *workspace[T], i int) {
			k.conv.convolve(work, k.convolved[spans[i].image*pool.input():], x, bias, spans[i])
		})
		copy(center, k.convolved)
	} else {
		work := borrow[T](0)
		first := grow(&work.convolved, run)
		k.conv.convolve(work, first, x, bias, span{images: 1, bottom: 1})
		copy(center, first)
		work.release()
	}
	reduceWith(n.total, len(spans), func(work *workspace[T], sum []float64, i int) {
		rows := spans[i]
		count := rows.images * (rows.bottom - rows.top) * run
		var to []T
		if k.keepsAll() {
			to = k.convolved[(rows.image*pool.Height+rows.top)*run:][:count]
		} else {
			to = grow(&work.convolved, count)
		}
		if !made {
			k.conv.convolve(work, to, x, bias, rows)
		}
		k.engine.SumRows(sum[:n.channels], to)
		k.engine.SumSquares(sum[n.channels:], to, center)
	})
	for c, m := range center {
		mean := n.total[c] / float64(n.rows)
		n.Mean[c] = T(mean)
		offset := mean - float64(m)
		n.Variance[c] = T(max(0, n.total[n.channels+c]/float64(n.rows)-offset*offset))
	}
}

// A block on one or a few small images has no rows for all threads. In
// evaluation it is divided by filters instead, into blocks that work side by
// side, each from the input to its channels of the result: what a thread makes on
// the way stays in its own cache. Winograd's algorithm then pays from few tiles
// on, as its weights stay there, too.
const (
	fewImages = 4 // up to which images are few
	fewSpans  = 8 // up to which spans are
	fewTiles  = 4 // from which Winograd's algorithm pays
)

// blockPart is a block of some of the filters.
type blockPart[T Float] struct {
	block *Block[T]
	left  int // filter
	y     []T
}

// few says whether a block of so many spans is one of few images.
func (s BlockShape) few(spans int) bool {
	return s.Evaluation && s.Norm != BatchStatistics && s.Conv.Batch <= fewImages && spans < fewSpans
}

// divideFilters makes the parts of a block of few images.
func (k *Block[T]) divideFilters() {
	lanes, filters := k.engine.Lanes(), k.shape.Conv.Filters
	vectors := ceilDiv(filters, lanes)
	parts := min(vectors, max(2, ceilDiv(vectors, k.engine.MaxWidth())))
	for i := range parts {
		first, last := i*vectors/parts*lanes, min((i+1)*vectors/parts*lanes, filters)
		s := k.shape
		s.Conv.Filters = last - first
		part := newBlock(s, newConv[T](s.Conv, fewTiles))
		height, _ := s.Output()
		part.spans = bandsOf(0, 1, height, 1)
		for image := 1; image < s.Conv.Batch; image++ {
			part.spans = append(part.spans, bandsOf(image, 1, height, 1)...)
		}
		k.parts = append(k.parts, blockPart[T]{part, first, make([]T, s.Conv.Batch*s.pool().output())})
	}
}

// forwardParts is Forward by parts.
func (k *Block[T]) forwardParts(y, x []T, w BlockWeights[T]) {
	filters, size := k.shape.Conv.Filters, k.shape.Conv.patchSize()
	divide(len(k.parts), func(work *workspace[T], i int) {
		part := k.parts[i]
		left, count := part.left, part.block.shape.Conv.Filters
		part.block.serial = work
		of := func(x []T, each int) []T {
			if len(x) < filters*each { // none, or one slope for all
				return x
			}
			return x[left*each:][:count*each]
		}
		part.block.Forward(part.y, x, BlockWeights[T]{
			Weight: of(w.Weight, size), Bias: of(w.Bias, 1), Gain: of(w.Gain, 1), Shift: of(w.Shift, 1),
			Mean: of(w.Mean, 1), Variance: of(w.Variance, 1), Slope: of(w.Slope, 1),
		})
		for pixel := 0; pixel*count < len(part.y); pixel++ {
			copy(y[pixel*filters+left:][:count], part.y[pixel*count:])
		}
	})
}
