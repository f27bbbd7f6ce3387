package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Norm is the kind of batch normalization of a block.
type Norm int

const (
	NoNorm          Norm = iota
	BatchStatistics      // by the statistics of the batch itself, as in training
	GivenStatistics      // by Mean and Variance of BlockWeights, as in evaluation and in frozen layers
)

// BlockShape is the shape of a block: convolution, batch norm, activation and
// max pool, in this order.
type BlockShape struct {
	Conv                 ConvShape
	Norm                 Norm
	Epsilon              float64 // of the batch norm, above 0
	Activation           Activation
	PoolSize, PoolStride int  // of the max pool; 0 for none
	PoolPadding          int  // of the max pool
	Evaluation           bool // Backward is never called, so Forward keeps nothing for it; no factors are rounded
}

// BlockWeights are the weights of a block, or their gradients; those that the block does
// not have are nil.
type BlockWeights[T Float] struct {
	Weight         []T // (filters, channels, kernel height, kernel width)
	Bias           []T // (filters)
	Gain, Shift    []T // (filters) of the batch norm
	Mean, Variance []T // (filters) for GivenStatistics; they have no gradients
	Slope          []T // (filters) or (1), for PReLU
}

// pooled reports whether the block has a max pool.
func (s BlockShape) pooled() bool { return s.PoolSize != 0 || s.PoolStride != 0 || s.PoolPadding != 0 }

// pool returns the shape of the max pool; for a block without one, windows of size 1.
func (s BlockShape) pool() PoolShape {
	height, width := s.Conv.Output()
	p := PoolShape{
		Batch: s.Conv.Batch, Height: height, Width: width, Channels: s.Conv.Filters,
		Size: s.PoolSize, Stride: s.PoolStride, Padding: s.PoolPadding,
	}
	if !s.pooled() {
		p.Size, p.Stride = 1, 1
	}
	return p
}

// Output returns the height and width of the result.
func (s BlockShape) Output() (height, width int) { return s.pool().Output() }

// Validate returns an error if the shape is not valid.
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
	if !s.Activation.valid() {
		return errors.Errorf("unknown activation %d", s.Activation)
	}
	if s.Norm != NoNorm && !(s.Epsilon > 0) {
		return errors.Errorf("batch norm's epsilon is %g, it must be above 0", s.Epsilon)
	}
	return nil
}

// Block is the sequence of layers that convolutional networks repeat: convolution, batch
// normalization, activation, max pool. It computes some rows at a time, so that the
// convolution's result, the largest array of a network, is normalized, activated and
// pooled while it is in the cache. That result is stored only if the gradient of batch
// normalization needs it and it would take long to compute again.
type Block[T Float] struct {
	shape         BlockShape
	pool          PoolShape
	engine        vector.Engine[T]
	conv          *Conv[T]
	norm          *BatchNorm[T]  // nil for NoNorm
	spans         []span         // of the rows of the result
	pooling       poolRanges     // the windows of the pool, in contiguous rows
	parts         []blockPart[T] // by filters, for few images; nil otherwise
	serial        *workspace[T]  // for a part, which runs on one thread; nil otherwise
	recompute     bool           // compute the convolution's result again rather than store it
	convolved     []T            // the convolution's result, if it is stored
	position      []uint8        // of each maximum in its window; the size of the window where ReLU is zero
	maxima        []T            // the convolution's results at the maxima, if they are needed
	gradient      []T            // of the activation's argument at the maxima
	offset        []T            // (filters): normalization is scale·x + offset
	version       func() uint64  // a number that changes when the weights do; nil if there is none
	packedVersion uint64         // that for which the weights were compared
	compared      int            // which part of the weights was compared last
	packedWeights []T            // the weights that are packed now, in evaluation
	packedNorm    []T            // the bias and the weights of the norm that are folded into them
	foldedBias    []T            // (filters), with that norm
	byPanel       bool           // of a few images, threads compute different filters rather than rows
	kept          bool           // Forward has stored what Backward needs
	sum           blockSum[T]    // in ForwardSum and BackwardSum of a block in training
}

// blockSum is the sum of a block's result and another array, in training.
type blockSum[T Float] struct {
	computed   bool
	activation Activation // of the sum
	addend     []T
	gradient   []T // that of the addend, or nil
}

// recomputeSize is the size of a window up to which computing a convolution again is
// faster than storing its result and reading it from memory; without a pool, whose results
// are fewer, it is recomputeUnpooled.
const (
	recomputeSize     = 64
	recomputeUnpooled = 32
)

// NewBlock returns the block of a valid shape.
func NewBlock[T Float](s BlockShape) *Block[T] {
	mustBeValid(s.Validate())
	s.Conv.BFloat16 = s.Conv.BFloat16 && !s.Evaluation
	k := newBlock(s, NewConv[T](s.Conv))
	if k.folds() {
		k.divideFew()
		return k
	}
	if s.few(len(k.spans)) || s.few(0) && k.conv.winograd != nil {
		k.divideFilters()
	}
	return k
}

func newBlock[T Float](s BlockShape, conv *Conv[T]) *Block[T] {
	pool := s.pool()
	k := &Block[T]{
		shape: s, pool: pool, engine: vector.For[T](), conv: conv,
		pooling: pool.windows(pool.Width * pool.Channels), recompute: s.Conv.patchSize() <= recomputeSize && conv.fourier == nil,
	}
	if !s.pooled() {
		k.recompute = s.Conv.patchSize() <= recomputeUnpooled && conv.fourier == nil
	}
	height, _ := pool.Output()
	k.spans = conv.spans(height, pool.Stride*pool.Width*pool.Channels, pool.Stride*pool.Width)
	k.conv.gradient.bandRows, k.conv.gradient.margin = pool.Stride, pool.Size-1
	if conv.depthwise != nil && (pool.Size > pool.Stride || pool.Padding > 0) {
		k.conv.gradient.bandRows = pool.Height // windows reach over the edges of bands
	}
	if s.Norm != NoNorm {
		k.norm = NewBatchNorm[T](s.Conv.pixels(), s.Conv.Filters, s.Epsilon)
	}
	conv.fuses = !s.Evaluation && s.Norm == BatchStatistics && k.keepsAll() && conv.winograd != nil && conv.winograd.fuses(s.Conv.Batch)
	return k
}

// Statistics returns the mean and the biased variance (filters) of the batch in the last
// Forward with BatchStatistics.
func (k *Block[T]) Statistics() (mean, variance []T) { return k.norm.Mean, k.norm.Variance }

// ShareStatistics makes the statistics of batch normalization those of several parts, see BatchNorm.ShareStatistics.
func (k *Block[T]) ShareStatistics(parts int, sum func(values []float64)) {
	k.norm.ShareStatistics(parts, sum)
}

// Forward writes y (batch, output height, output width, filters), given x
// (batch, height, width, channels).
func (k *Block[T]) Forward(y, x []T, w BlockWeights[T]) {
	s, pool := k.shape, k.pool
	checkLength("x", x, s.Conv.inputs())
	checkLength("y", y, pool.Batch*pool.output())
	checkLength("weight", w.Weight, s.Conv.weights())
	checkOptional("bias", w.Bias, s.Conv.Filters)
	checkSlope(s.Activation, w.Slope, s.Conv.Filters)
	if k.parts != nil {
		k.forwardParts(y, x, w)
		return
	}
	if k.folds() {
		k.forwardFolded(y, nil, x, w, s.Activation)
		return
	}
	k.kept = false
	if !s.Evaluation && !k.convolvesInBackward() && k.conv.plain() {
		defer k.conv.borrowForResults()()
	}
	k.pack(w.Weight)
	k.normalization(x, w)
	if k.keepsAll() {
		grow(&k.convolved, pool.Batch*pool.input())
	}
	if k.serial != nil {
		for _, span := range k.spans {
			k.compute(k.serial, y, x, span, w)
		}
		return
	}
	if !s.Evaluation && s.pooled() {
		grow(&k.position, len(y))
		if k.keepsMaxima() {
			grow(&k.maxima, len(y))
		}
	}
	k.forEachSpan(k.spans, x, func(work *workspace[T], i int) {
		k.compute(work, y, x, k.spans[i], w)
	})
	k.kept = !s.Evaluation
}

// compute computes a span of the block's result. Without a pool the convolution writes to y,
// where its result is normalized and activated, unless that is slow because pixels are shorter
// than a vector.
func (k *Block[T]) compute(work *workspace[T], y, x []T, span span, w BlockWeights[T]) {
	if s := k.shape; !s.pooled() && !k.keepsAll() && s.Conv.Filters >= k.engine.Lanes() {
		height, width := s.Conv.Output()
		to := y[(span.image*height+span.top)*width*s.Conv.Filters:]
		k.conv.convolve(work, to, x, w.Bias, span)
		k.finishUnpooled(y, to, span, w)
		return
	}
	k.finish(work, y, k.convolve(work, x, w.Bias, k.rows(span)), span, w)
}

// forEachSpan calls work for each span, in which convolve may be called.
func (k *Block[T]) forEachSpan(spans []span, x []T, work func(work *workspace[T], i int)) {
	if k.shape.Norm == BatchStatistics && k.keepsAll() { // the convolution is computed already
		divide(len(spans), work)
		return
	}
	k.conv.forEachSpan(spans, x, work)
}

// pack packs the weights. In evaluation they are usually those of the previous call.
func (k *Block[T]) pack(weight []T) {
	if !k.shape.Evaluation {
		k.conv.packForward(weight)
		return
	}
	if k.unchanged(weight) {
		return
	}
	k.conv.packForward(weight)
	k.packedWeights = append(k.packedWeights[:0], weight...)
}

// keepsMaxima reports whether Backward needs the convolution's results at the maxima.
func (k *Block[T]) keepsMaxima() bool { return k.norm != nil || k.shape.Activation.NeedsArgument() }

// activatesFirst reports whether the activation is computed before the pool, because it is
// not monotonic.
func (k *Block[T]) activatesFirst() bool {
	a := k.shape.Activation
	return a == PReLU || k.shape.pooled() && !a.monotonic()
}

// keepsAll reports whether the convolution's whole result is stored for Backward.
func (k *Block[T]) keepsAll() bool {
	if k.shape.pooled() || k.shape.Evaluation {
		return k.shape.Norm == BatchStatistics && !k.recompute
	}
	return k.needsConvolved() && !k.recompute
}

// needsConvolved reports whether Backward of a block without a pool needs the convolution's
// result.
func (k *Block[T]) needsConvolved() bool {
	return k.norm != nil || k.shape.Activation.NeedsArgument()
}

// convolvesInBackward reports whether Backward computes the convolution's result again.
func (k *Block[T]) convolvesInBackward() bool {
	if k.shape.pooled() {
		return k.shape.Norm == BatchStatistics && !k.keepsAll()
	}
	return k.needsConvolved() && !k.keepsAll()
}

// rows returns the rows of the convolution's result from which a span of the block's
// result is computed.
func (k *Block[T]) rows(span span) span {
	pool := k.pool
	if span.images > 1 {
		span.top, span.bottom = 0, pool.Height
		return span
	}
	span.top, span.bottom = pool.inputRows(span.top, span.bottom)
	return span
}

// convolve returns rows of the convolution's result.
func (k *Block[T]) convolve(work *workspace[T], x, bias []T, rows span) []T {
	pool := k.pool
	run := pool.Width * pool.Channels
	if k.keepsAll() {
		to := k.convolved[(rows.image*pool.Height+rows.top)*run:]
		if k.shape.Norm != BatchStatistics && !k.kept { // the statistics have computed it otherwise
			k.conv.convolve(work, to, x, bias, rows)
		}
		return to
	}
	to := grow(&work.convolved, rows.images*(rows.bottom-rows.top)*run)
	k.conv.convolve(work, to, x, bias, rows)
	return to
}

// finish computes a span of the block's result from rows of the convolution's result.
func (k *Block[T]) finish(work *workspace[T], y, convolved []T, span span, w BlockWeights[T]) {
	if !k.shape.pooled() {
		k.finishUnpooled(y, convolved, span, w)
		return
	}
	s, pool := k.shape, k.pool
	height, width := pool.Output()
	in, out := pool.Width*pool.Channels, width*pool.Channels
	below := k.rows(span)
	rows := below.bottom - below.top // of the convolution's result, in each image
	windows := &work.windows
	*windows = vector.Windows[T]{Step: pool.Stride * pool.Channels, Channels: pool.Channels, Rectify: s.Activation == ReLU}
	from := convolved
	switch {
	case k.activatesFirst():
		from = k.activateRows(work, convolved[:span.images*rows*in], w)
	case k.norm != nil:
		windows.Scale, windows.Shift = k.norm.scale, k.offset
	}
	for image := range span.images {
		for row := span.top; row < span.bottom; row++ {
			begin := ((span.image+image)*height + row) * out
			k.pooling.row(pool, row, func(offsets []int32, top, left, first, count int) {
				at := (image*rows+top-below.top)*in + left*pool.Channels
				first, size := begin+first*pool.Channels, count*pool.Channels
				windows.Offsets, windows.Count = offsets, count
				windows.X, windows.Y = from[at:], y[first:][:size]
				if s.Evaluation {
					windows.Position = grow(&work.position, size)
				} else {
					windows.Position = k.position[first:][:size]
				}
				if k.keepsMaxima() && !s.Evaluation {
					windows.Kept = k.maxima[first:][:size]
				}
				k.engine.MaxWindows(windows)
				if k.activatesFirst() && windows.Kept != nil {
					gatherMaxima(windows, convolved[at:])
				}
			})
			result := y[begin:][:out]
			activate(k.pointwise(), result, result, nil)
		}
	}
}

// finishUnpooled is finish for a block without a pool.
func (k *Block[T]) finishUnpooled(y, convolved []T, span span, w BlockWeights[T]) {
	height, width := k.shape.Conv.Output()
	run := width * k.shape.Conv.Filters
	begin := (span.image*height + span.top) * run
	y = y[begin:][:span.images*(span.bottom-span.top)*run]
	k.inParts(len(y), func(first, last int) {
		if k.sum.computed {
			k.unpooledArgument(y[first:last], convolved[first:last])
			k.engine.Add(y[first:last], k.sum.addend[begin+first:begin+last])
			activate(k.sum.activation, y[first:last], y[first:last], nil)
			return
		}
		if k.unpooledArgument(y[first:last], convolved[first:last]) {
			return
		}
		activate(k.shape.Activation, y[first:last], y[first:last], w.Slope)
	})
}

// unpooledArgument writes the activation's argument for a part of the convolution's result, or
// the activation's value if that is computed with it, and reports whether it did that.
func (k *Block[T]) unpooledArgument(y, convolved []T) bool {
	if k.norm == nil {
		if k.shape.Activation == ReLU {
			k.engine.ReLU(y, convolved)
			return true
		}
		if unsafe.SliceData(y) != unsafe.SliceData(convolved) {
			copy(y, convolved)
		}
		return false
	}
	clip, clips := k.shape.Activation.clip()
	k.engine.NormalizeClipped(clip, y, convolved, k.norm.scale, k.offset)
	return clips
}

// clip returns the clip that is the activation, and whether there is one.
func (a Activation) clip() (clip vector.Clip, ok bool) {
	switch a {
	case Identity:
		return vector.NoClip, true
	case ReLU:
		return vector.ClipZero, true
	case ReLU6:
		return vector.ClipSix, true
	}
	return vector.NoClip, false
}

// partElements is the number of elements that several loops process one after the other, so
// that they stay in the level 1 cache.
const partElements = 2048

// inParts calls work for ranges of elements of whole pixels of the convolution's result.
func (k *Block[T]) inParts(elements int, work func(first, last int)) {
	step := max(1, partElements/k.shape.Conv.Filters) * k.shape.Conv.Filters
	for first := 0; first < elements; first += step {
		work(first, min(first+step, elements))
	}
}

// pointwise returns the activation that is applied after the pool: the monotonic ones
// commute with it, and MaxWindows itself computes ReLU.
func (k *Block[T]) pointwise() Activation {
	if k.shape.Activation == ReLU || k.activatesFirst() {
		return Identity
	}
	return k.shape.Activation
}

// activateRows normalizes and activates rows of the convolution's result.
func (k *Block[T]) activateRows(work *workspace[T], x []T, w BlockWeights[T]) []T {
	y := grow(&work.active, len(x))
	k.argument(y, x, w)
	activate(k.shape.Activation, y, y, w.Slope)
	return y
}

// argument writes to y the activation's argument for x, rows of the convolution's result.
func (k *Block[T]) argument(y, x []T, w BlockWeights[T]) {
	if k.norm == nil {
		copy(y, x)
		return
	}
	k.engine.Normalize(y, x, k.mean(w), k.norm.scale, w.Shift)
}

// gatherMaxima writes to w.Kept the elements of x at the positions of the maxima.
func gatherMaxima[T Float](w *vector.Windows[T], x []T) {
	for i := range w.Count {
		for c := range w.Channels {
			at := i*w.Channels + c
			w.Kept[at] = x[i*w.Step+int(w.Offsets[w.Position[at]])+c]
		}
	}
}

// normalization computes the factor and the offset of the convolution's result.
func (k *Block[T]) normalization(x []T, w BlockWeights[T]) {
	switch k.shape.Norm {
	case NoNorm:
		return
	case BatchStatistics:
		k.computeStatistics(x, w.Bias)
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

// mean returns the mean by which the block normalizes.
func (k *Block[T]) mean(w BlockWeights[T]) []T {
	if k.shape.Norm == GivenStatistics {
		return w.Mean
	}
	return k.norm.Mean
}

// computeStatistics computes the mean and the variance of the convolution's result. The
// squares are those of differences from the first pixel's result, which has the right
// order of magnitude: squares of the results themselves would lose a variance that is
// small compared with the mean.
func (k *Block[T]) computeStatistics(x, bias []T) {
	pool, n := k.pool, k.norm
	run := pool.Width * pool.Channels
	spans := k.conv.spans(pool.Height, run, pool.Width)
	if k.keepsAll() {
		grow(&k.convolved, pool.Batch*pool.input())
	}
	center := make([]T, n.channels)
	inPhases := k.keepsAll() && k.conv.winograd.inPhases(k.shape.Conv.Batch)
	computed := k.conv.fourier != nil || inPhases // before the sums, because spectra are of whole images
	if inPhases {
		k.conv.convolveInPhases(k.convolved, x, bias, vector.NoClip, nil)
		copy(center, k.convolved)
	} else if computed {
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
		if !computed {
			k.conv.convolve(work, to, x, bias, rows)
		}
		k.engine.SumMoments(sum, to, center)
	})
	own := make([]float64, 2*n.channels)
	for c, m := range center {
		mean := n.total[c] / float64(n.rows)
		offset := mean - float64(m)
		own[c], own[n.channels+c] = mean, max(0, n.total[n.channels+c]/float64(n.rows)-offset*offset)
	}
	n.set(own)
}
