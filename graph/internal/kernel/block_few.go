package kernel

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
	parallel(len(k.parts), func(work *workspace[T], i int) {
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
