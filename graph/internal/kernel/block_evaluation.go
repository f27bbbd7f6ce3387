package kernel

import (
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Watch sets a function that returns another number whenever the weights may have changed. In
// evaluation Forward compares all weights with those that it has packed only when the number
// is new, and otherwise one in comparedPart of them. Without it, Forward compares all of them.
func (k *Block[T]) Watch(version func() uint64) {
	k.version = version
	for _, part := range k.parts {
		part.block.version = version
	}
}

// While the version is the same, each call compares comparedRun elements of every comparedPart ·
// comparedRun, other ones than the call before, so that comparedPart calls compare all. Fewer
// weights than these are compared at each call.
const (
	comparedRun  = 16
	comparedPart = 256
)

// unchanged reports whether the weights are those that are packed, as far as it compares them.
func (k *Block[T]) unchanged(weight []T) bool {
	if len(k.packedWeights) != len(weight) {
		return false
	}
	if k.version != nil {
		if version := k.version(); version != k.packedVersion {
			k.packedVersion = version
		} else if len(weight) > comparedPart*comparedRun {
			k.compared = (k.compared + 1) % comparedPart
			for first := k.compared * comparedRun; first < len(weight); first += comparedPart * comparedRun {
				last := min(first+comparedRun, len(weight))
				if !equalBits(k.packedWeights[first:last], weight[first:last], true) {
					return false
				}
			}
			return true
		}
	}
	return equalBits(k.packedWeights, weight, k.serial != nil)
}

// folds reports whether the block is one pass over its result, in evaluation: the norm is
// folded into the weights and the bias, and the convolution clips its results.
func (k *Block[T]) folds() bool {
	return k.shape.Evaluation && !k.shape.pooled() && k.shape.Norm != BatchStatistics
}

// A block on one or a few images is divided into few bands, because a band of Winograd's
// algorithm needs all transformed weights, and if its weights are large into none: then threads
// compute different filters, so that each reads its part of the weights only.
const (
	bandTiles    = 48        // the smallest number of tiles of a band
	largeWeights = 128 << 10 // elements
)

// divideFew divides a block that folds if there are few images.
func (k *Block[T]) divideFew() {
	c, s := k.conv, k.shape.Conv
	if s.Batch > fewImages || c.fourier != nil || c.depthwise != nil || c.grouped != nil {
		return
	}
	height, _ := s.Output()
	bands := max(1, len(k.spans)/s.Batch)
	k.byPanel = s.weights() >= largeWeights
	if m := c.winograd; m != nil {
		down := ceilDiv(height, m.step())
		bands = max(1, min(down, m.tiles()/bandTiles))
		k.byPanel = k.byPanel || bands == 1
	}
	if k.byPanel {
		bands = 1
	}
	k.spans = k.spans[:0]
	for image := range s.Batch {
		spans := bandsOf(image, 1, height, bands)
		if m := c.winograd; m != nil { // whole tiles
			down := ceilDiv(height, m.step())
			spans = bandsOf(image, 1, down, bands)
			for i := range spans {
				spans[i].top, spans[i].bottom = spans[i].top*m.step(), min(spans[i].bottom*m.step(), height)
			}
		}
		k.spans = append(k.spans, spans...)
	}
}

// Adds reports whether ForwardSum can compute the sum of the block's result and another array, with an
// activation: in evaluation, and in training with the statistics of the batch.
func (k *Block[T]) Adds(a Activation) bool {
	_, clips := a.clip()
	trains := !k.shape.Evaluation && !k.shape.pooled() && k.shape.Norm == BatchStatistics
	return clips && (trains || k.folds() && k.conv.plain()) && k.shape.Activation == Identity
}

// ForwardSum writes y = a(z + addend), where z is what Forward would write. It has the bits of AddActivate
// after Forward. addend must not overlap y.
func (k *Block[T]) ForwardSum(y, x []T, w BlockWeights[T], addend []T, a Activation) {
	checkLength("y", y, k.pool.Batch*k.pool.output())
	checkLength("x", x, k.shape.Conv.inputs())
	checkLength("weight", w.Weight, k.shape.Conv.weights())
	checkOptional("bias", w.Bias, k.shape.Conv.Filters)
	checkLength("addend", addend, len(y))
	if !k.Adds(a) {
		panic("kernel: a block that has an activation or a pool, or statistics that are given in training, cannot add")
	}
	if k.shape.Evaluation {
		k.forwardFolded(y, addend, x, w, a)
		return
	}
	k.sum = blockSum[T]{computed: true, activation: a, addend: addend}
	defer func() { k.sum = blockSum[T]{} }()
	k.Forward(y, x, w)
}

// forwardFolded is Forward for a block that folds, or ForwardSum with an addend that is not nil. Every
// element is computed in the same way for any number of threads, which may therefore share the filters.
func (k *Block[T]) forwardFolded(y, addend, x []T, w BlockWeights[T], a Activation) {
	c, s := k.conv, k.shape
	bias := k.fold(w)
	clip, clips := a.clip()
	clips = clips && c.clips()
	// A direct convolution adds and clips its results before it stores them, if each is one product. Others
	// are finished a few rows at a time, while these are in the cache.
	addsLater := addend != nil && (c.winograd != nil || c.windowRows(c.engine.MaxWidth()) < s.Conv.KernelHeight)
	if !clips || addsLater {
		clip = vector.NoClip
	}
	finish := func(first, last int) {
		if addsLater {
			k.inParts(last-first, func(from, to int) {
				part := y[first+from : first+to]
				k.engine.Add(part, addend[first+from:first+to])
				activate(a, part, part, nil)
			})
		} else if !clips {
			activate(a, y[first:last], y[first:last], w.Slope)
		}
	}
	if c.winograd.inPhases(s.Conv.Batch) {
		c.convolveInPhases(y, x, bias, clip, finish)
		return
	}
	groups := 1
	if k.byPanel {
		groups = min(c.forward.panels, max(1, ceilDiv(parallel.Threads(), len(k.spans))))
	}
	height, width := s.Conv.Output()
	run := width * s.Conv.Filters
	work := func(work *workspace[T], i int) {
		span, group := k.spans[i/groups], i%groups
		begin := (span.image*height + span.top) * run
		var added []T
		if addend != nil && !addsLater {
			added = addend[begin:]
		}
		c.convolvePart(work, y[begin:], added, x, bias, clip, span, group*c.forward.panels/groups, (group+1)*c.forward.panels/groups)
		if groups == 1 {
			finish(begin, begin+span.images*(span.bottom-span.top)*run)
		}
	}
	if groups == 1 {
		c.forEachSpan(k.spans, x, work)
		return
	}
	divide(len(k.spans)*groups, work)
	if addsLater {
		AddActivate(a, y, nil, y, addend, nil, s.Conv.Filters)
	} else if !clips {
		Activate(a, y, y, w.Slope, s.Conv.Filters)
	}
}

// fold packs the weights, with the norm, and returns the bias.
func (k *Block[T]) fold(w BlockWeights[T]) (bias []T) {
	s, size := k.shape, k.shape.Conv.patchSize()
	if s.Norm == NoNorm {
		k.pack(w.Weight)
		return w.Bias
	}
	norm := grow(&k.foldedBias, 5*s.Conv.Filters)[:s.Conv.Filters]
	rest := k.foldedBias[s.Conv.Filters:][:0]
	for _, part := range [][]T{w.Bias, w.Gain, w.Shift, w.Mean, w.Variance} {
		rest = append(rest, part...)
	}
	if slices.Equal(k.packedNorm, rest) && k.unchanged(w.Weight) {
		return norm
	}
	k.normalization(nil, w)
	folded := make([]T, len(w.Weight))
	for f, scale := range k.norm.scale {
		k.engine.Scale(folded[f*size:][:size], w.Weight[f*size:][:size], scale)
		norm[f] = k.offset[f]
		if w.Bias != nil {
			norm[f] += scale * w.Bias[f]
		}
	}
	k.conv.packForward(folded)
	k.packedWeights, k.packedNorm = append(k.packedWeights[:0], w.Weight...), append(k.packedNorm[:0], rest...)
	return norm
}

// A block on one or a few small images has too few rows for all threads. In evaluation it
// is therefore divided by filters, into blocks that run in parallel, each from the input
// to its channels of the result, so that intermediate results stay in the cache of one
// processor core. Winograd's algorithm then pays for few tiles, too, because its weights
// stay in that cache.
const (
	fewImages = 4 // the largest number of images for which a block is divided
	fewSpans  = 8 // the number of spans below which it is
	fewTiles  = 4 // the smallest number of tiles for which Winograd's algorithm pays
)

// blockPart is a block of some of the filters.
type blockPart[T Float] struct {
	block *Block[T]
	left  int // its first filter
	y     []T
}

// few reports whether a block with the given number of spans is divided by filters.
func (s BlockShape) few(spans int) bool {
	return s.Evaluation && s.Norm != BatchStatistics && s.Conv.groups() == 1 && s.Conv.Batch <= fewImages && spans < fewSpans
}

// divideFilters makes the parts of a block by filters.
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

// forwardParts is Forward for a block that is divided by filters.
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
