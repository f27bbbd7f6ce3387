package kernel

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// InvertedTraining computes the blocks of an inverted residual (see Inverted) and their gradients in
// training, each with batch normalization by the statistics of the batch. Passes over the expanded
// arrays, which memory limits, are few:
//
//   - The statistics of the expansion z = W·x follow from those of its input, mean(z) = W·mean(x) and
//     var(z) = w·cov(x)·wᵀ for each row w of W. So the expanded channels are never stored: they are
//     computed for a few rows at a time, normalized and clipped by the product itself, forward and again in
//     the gradient.
//   - Of the depthwise convolution its result before normalization is stored, and of the projection
//     likewise; these are normalized where they are read.
//   - The gradient of z by batch normalization is s·(g − mean(g) − (z − mean(z))·a), where a depends on a sum
//     over all pixels. Because z is linear in x, so are its products: the gradient of x is g·(s·W), which is
//     computed together with g, minus x·M and a constant, where M = Wᵀ·diag(s·a)·W, and that of W follows
//     from Σ g·x and cov(x).
//
// The expansion may have larger windows, as the first layer of a network has, if the gradient of its input is not needed.
// Its input is then the windows, of which channels that are next to each other are nearly equal, and its statistics are
// computed from its results.
//
// Sums are added in an order that depends on the shape alone.
type InvertedTraining[T Float] struct {
	expand, depthwise, project *Block[T] // expand may be nil
	residual                   bool
	windows                    bool // the expansion has larger windows than one pixel

	engine         vector.Engine[T]
	batch          int
	in, wide, out  int            // channels
	height, width  int            // of the depthwise convolution's result
	sweep          sweep[T]       // of the depthwise convolution, over expanded rows with a border
	pixel, row     int            // elements from a pixel of the expanded rows to the next, and from a row
	band, bandBack int            // rows of the result that are computed at a time, forward and backward
	ordered        []T            // (wide, in) the weights of the expansion
	expanded       []int32        // offsets of the pixels of expanded rows
	narrow         [3][]int32     // offsets of pixels that follow each other, of in, wide and out channels
	clips          [2]vector.Clip // of the expansion and of the depthwise convolution

	mean        []T    // (in) of the input in the last Forward
	covariance  []T    // (wide, in) the weights of the expansion times the covariance of the input
	centers     []T    // (batch, channels) from which differences are computed
	z2, z3      []T    // the results of the depthwise convolution and of the projection before normalization
	offset      [3][]T // normalization is scale·z + offset
	folded      []T    // (wide, in) the weights of the expansion times the scale of its normalization
	turned      []T    // (wide, in) products of the expansion's gradient and the input
	active      []T    // (batch, height, row) the expanded rows with their border, if they are stored
	partial     []T    // sums over a part of the batch; borrowed
	sloped      []T    // the gradient of the projection's input, if it is stored; borrowed
	products    [3]packed[T]
	kept        bool
	ones, zeros []T
}

// trainingBytes is about the size of the rows that the gradient uses at a time, and chunkElements that of the
// pixels of which several loops in turn make use, so that they stay in the level 2 and the level 1 cache.
const (
	trainingBytes = 768 << 10
	chunkElements = 8 << 10
	chunkPixels   = 48 // the smallest number of pixels of a chunk
)

// Reading an element from memory takes as long as about storedDepth products. Results of sums of more of them are stored.
const storedDepth = 48

// storesActive reports whether the expanded rows are stored for the gradient, and storesSloped whether the gradient
// of the projection's input is rather than computed twice.
func (k *InvertedTraining[T]) storesActive() bool { return k.expand != nil && k.in >= storedDepth }
func (k *InvertedTraining[T]) storesSloped() bool { return k.out >= storedDepth }

// NewInvertedTraining returns the combination of blocks, of which the first may be nil; with residual, the
// input is added to the result. It returns nil if the blocks cannot be combined.
func NewInvertedTraining[T Float](expand, depthwise, project *Block[T], residual bool) *InvertedTraining[T] {
	k := &InvertedTraining[T]{expand: expand, depthwise: depthwise, project: project, residual: residual}
	if !k.valid() {
		return nil
	}
	s, p := depthwise.shape.Conv, depthwise.conv.depthwise
	k.engine, k.batch = depthwise.engine, s.Batch
	k.height, k.width = s.Output()
	k.in, k.wide, k.out = s.Channels, s.Channels, project.shape.Conv.Filters
	k.pixel, k.row = s.Channels, s.Width*s.Channels
	k.sweep = p.forward
	if expand != nil {
		k.in, k.windows = expand.shape.Conv.patchSize(), !expand.multipliesPixels()
		padded := s.Padding.Left + s.Width + s.Padding.Right
		k.pixel = p.pixel
		k.row = padded * k.pixel
		k.sweep.columns = newAxis(padded, s.KernelWidth, s.Stride, 0, k.width)
	}
	size := int(unsafe.Sizeof(T(0)))
	free := trainingBytes/size - (s.KernelHeight-s.Stride)*k.row
	k.band = k.rowsOf(free, s.Stride*k.row+k.width*k.wide)
	k.bandBack = k.rowsOf(free, 2*s.Stride*k.row+2*k.width*k.wide)
	rows := min((k.band-1)*s.Stride+s.KernelHeight+s.Stride, s.Height)
	for i := range rows * s.Width {
		k.expanded = append(k.expanded, int32(i/s.Width*k.row+(s.Padding.Left+i%s.Width)*k.pixel))
	}
	pixels := max(rows*s.Width, k.band*k.width, k.chunk(), k.wide)
	for i, channels := range []int{k.in, k.wide, k.out} {
		k.narrow[i] = make([]int32, pixels)
		for j := range pixels {
			k.narrow[i][j] = int32(j * channels)
		}
	}
	k.ones, k.zeros = make([]T, k.in), make([]T, k.in)
	fill(k.ones, 1)
	return k
}

// rowsOf returns a number of rows of the result of about the given size together, such that bands are of
// about equal height.
func (k *InvertedTraining[T]) rowsOf(size, row int) int {
	rows := min(max(size/row, ceilDiv(invertedPixels, k.width)), k.height)
	return ceilDiv(k.height, ceilDiv(k.height, rows))
}

// chunk returns the number of pixels of the wide arrays that are processed at a time.
func (k *InvertedTraining[T]) chunk() int { return max(chunkPixels, chunkElements/k.wide) }

// valid reports whether the blocks can be combined.
func (k *InvertedTraining[T]) valid() bool {
	if k.depthwise == nil || k.project == nil {
		return false
	}
	s := k.depthwise.shape.Conv
	if k.depthwise.conv.depthwise == nil || s.Filters != s.Channels {
		return false
	}
	height, width := s.Output()
	chain := k.project.shape.Conv
	if chain.Batch != s.Batch || chain.Height != height || chain.Width != width || chain.Channels != s.Filters {
		return false
	}
	channels := s.Channels
	if k.expand != nil {
		first := k.expand.shape.Conv
		height, width := first.Output()
		if first.Batch != s.Batch || height != s.Height || width != s.Width || first.Filters != s.Channels {
			return false
		}
		if channels = first.Channels; !k.expand.multipliesPixels() {
			channels = 0 // there is no sum
		}
	}
	for i, b := range []*Block[T]{k.expand, k.depthwise, k.project} {
		if b == nil {
			continue
		}
		clip, clips := b.shape.Activation.clip()
		if !clips || b.shape.Evaluation || b.shape.pooled() || b.shape.Norm != BatchStatistics || i == 0 && !b.multipliesWindows() || i == 2 && !b.multipliesPixels() {
			return false
		}
		if i < 2 {
			k.clips[i] = clip
		} else if clip != vector.NoClip {
			return false
		}
	}
	return !k.residual || height == s.Height && width == s.Width && channels == chain.Filters
}

// check panics unless the arguments have the lengths of the shape.
func (k *InvertedTraining[T]) check(x, y []T, weights [3]BlockWeights[T]) {
	s := k.depthwise.shape.Conv
	if k.windows {
		checkLength("x", x, k.expand.shape.Conv.inputs())
	} else {
		checkLength("x", x, s.Batch*s.Height*s.Width*k.in)
	}
	checkLength("y", y, k.project.shape.Conv.outputs())
	for i, b := range []*Block[T]{k.expand, k.depthwise, k.project} {
		if b == nil {
			continue
		}
		w := weights[i]
		checkLength("weight", w.Weight, b.shape.Conv.weights())
		checkLength("bias", w.Bias, 0)
		checkLength("shift", w.Shift, b.shape.Conv.Filters)
	}
}

// prepare sets the normalization of a block by the statistics of the batch.
func (k *InvertedTraining[T]) prepare(block *Block[T], number int, w BlockWeights[T]) {
	n := block.norm
	n.prepare(w.Gain, n.Mean, n.Variance)
	offset := grow(&k.offset[number], n.channels)
	for c, m := range n.Mean {
		offset[c] = w.Shift[c] - m*n.scale[c]
	}
}

// Forward writes y (batch, output height, output width, filters), given x (batch, height, width,
// channels) and the weights of the three blocks, which have no bias; those of a missing block are not used.
func (k *InvertedTraining[T]) Forward(y, x []T, weights [3]BlockWeights[T]) {
	k.check(x, y, weights)
	k.kept = false
	if k.expand != nil {
		k.orderWeights(weights[0].Weight)
		if k.windows {
			k.windowStatistics(x)
		} else {
			k.expansionStatistics(x, k.ordered)
		}
		k.prepare(k.expand, 0, weights[0])
		k.packExpansion(true)
	}
	if s := k.depthwise.shape.Conv; k.storesActive() {
		grow(&k.active, s.Batch*s.Height*k.row)
	}
	k.depthwise.conv.depthwise.pack(weights[1].Weight)
	k.sweep.weights = k.depthwise.conv.depthwise.weights
	grow(&k.z2, k.depthwise.shape.Conv.outputs())
	k.statistics(k.depthwise.norm, k.batch, func(w *workspace[T], image int, add func(z []T)) { k.depthwiseImage(w, x, image, add) })
	k.prepare(k.depthwise, 1, weights[1])

	p := &k.products[0]
	p.resize(k.engine, k.wide, k.out)
	parallel.For(p.panels, func(i int) { p.putTransposed(k.engine, p.panel(i), weights[2].Weight, k.wide) })
	grow(&k.z3, len(y))
	k.statistics(k.project.norm, k.batch, func(w *workspace[T], image int, add func(z []T)) {
		k.chunks(image, func(first, last int) {
			a := grow(&w.active, (last-first)*k.wide)
			k.engine.NormalizeClipped(k.clips[1], a, k.z2[first*k.wide:last*k.wide], k.depthwise.norm.scale, k.offset[1])
			to := k.z3[first*k.out : last*k.out]
			k.multiply(w, p, to, k.narrow[2], a, k.narrow[1], last-first, k.following(k.z2, last))
			add(to)
		})
	})
	k.prepare(k.project, 2, weights[2])
	forEachRowChunk(len(y), k.out, func(first, last int) {
		k.engine.NormalizeClipped(vector.NoClip, y[first:last], k.z3[first:last], k.project.norm.scale, k.offset[2])
		if k.residual {
			k.engine.Add(y[first:last], x[first:last])
		}
	})
	k.kept = true
}

// following returns the chunk of wide pixels from a pixel on, which is processed next.
func (k *InvertedTraining[T]) following(x []T, pixel int) []T {
	return x[min(pixel*k.wide, len(x)):min((pixel+k.chunk())*k.wide, len(x))]
}

// chunks calls work for ranges of the pixels of the result of an image, numbered in the batch.
func (k *InvertedTraining[T]) chunks(image int, work func(first, last int)) {
	pixels := k.height * k.width
	for first := image * pixels; first < (image+1)*pixels; first += k.chunk() {
		work(first, min(first+k.chunk(), (image+1)*pixels))
	}
}

// multiply multiplies rows of pixels with a packed matrix, and loads an array that is read next.
func (k *InvertedTraining[T]) multiply(w *workspace[T], b *packed[T], c []T, cOffsets []int32, a []T, aOffsets []int32, pixels int, ahead []T) {
	p := &w.product
	*p = vector.Rows[T]{A: a, Segments: 1, Length: b.depth, AOffsets: aOffsets[:pixels], COffsets: cOffsets[:pixels], Ahead: ahead}
	for i := range b.panels {
		q := b.panel(i)
		p.C, p.B, p.Columns, p.Width = c[q.left:], q.data, q.columns, q.width
		k.engine.Rows(p)
	}
}

// packRows packs a matrix, given its rows.
func (k *InvertedTraining[T]) packRows(p *packed[T], matrix []T, depth, columns int) {
	p.resize(k.engine, depth, columns)
	parallel.For(p.panels, func(i int) {
		q := p.panel(i)
		for row := range depth {
			p.put(q, row, matrix[row*columns:][:columns])
		}
	})
}

// parts returns the number of parts of the batch that have sums of their own, of the given size.
func (k *InvertedTraining[T]) parts(size int) int {
	parts := 16
	for parts > k.batch || parts > 4 && parts*size > 1<<20 {
		parts /= 2
	}
	return parts
}

// borrowPartial borrows memory for the sums of parts, and sets them to zero.
func (k *InvertedTraining[T]) borrowPartial(size int) (release func()) {
	release = borrowPass(func(m *passMemory[T]) { m.partial, k.partial = k.partial, m.partial })
	clear(grow(&k.partial, size))
	return release
}

// total returns the sum of the sums of parts.
func (k *InvertedTraining[T]) total(parts, size int) []T {
	sum := k.partial[:size]
	forEachElementChunk(size, func(first, last int) {
		for part := 1; part < parts; part++ {
			k.engine.Add(sum[first:last], k.partial[part*size:][first:last])
		}
	})
	return sum
}

// orderWeights sets the weights of the expansion in the order of windows.
func (k *InvertedTraining[T]) orderWeights(weight []T) {
	grow(&k.ordered, len(weight))
	channels := k.expand.shape.Conv.Channels
	taps := k.in / channels
	if taps == 1 {
		copy(k.ordered, weight)
		return
	}
	for f := range k.wide {
		k.engine.Transpose(k.ordered[f*k.in:][:k.in], channels, weight[f*k.in:][:k.in], taps, channels, taps)
	}
}

// packExpansion packs the weights of the expansion, times the scale of its normalization or not.
func (k *InvertedTraining[T]) packExpansion(scaled bool) {
	grow(&k.folded, len(k.ordered))
	copy(k.folded, k.ordered)
	for f, scale := range k.expand.norm.scale {
		if scaled {
			k.engine.Scale(k.folded[f*k.in:][:k.in], k.ordered[f*k.in:][:k.in], scale)
		}
	}
	p := &k.products[1]
	p.resize(k.engine, k.in, k.wide)
	parallel.For(p.panels, func(i int) { p.putTransposed(k.engine, p.panel(i), k.folded, k.in) })
}

// inputImage returns an image of the input, with its border if the expansion has windows.
func (k *InvertedTraining[T]) inputImage(w *workspace[T], x []T, image int) []T {
	s := k.expand.shape.Conv
	size := s.Height * s.Width * s.Channels
	x = x[image*size:][:size]
	h := k.expand.conv.input
	h.images = 1
	if h == h.withoutBorder() {
		return x
	}
	to := grow(&w.groupInput, h.size())
	copyWithBorder(h, to, x, 0, h.rows())
	return to
}

// expansion describes the product of pixels [first, last) of an image with the weights of the expansion, without the panels.
func (k *InvertedTraining[T]) expansion(p *vector.Rows[T], in []T, first, last int) {
	left := k.expand.conv.left
	*p = vector.Rows[T]{
		A: in, Segments: left.rows, Length: left.run, Stride: left.halo.rowSize(), AOffsets: left.windows[first:last],
		Initial: p.Initial, Clip: p.Clip, Ahead: p.Ahead,
	}
}

// expandedRows are rows of the expanded channels of an image, normalized and clipped, with a border at the left
// and the right.
type expandedRows[T Float] struct {
	data       []T
	begin, end int // the rows of the image that are there
	stored     bool
}

// storedRows returns the memory of all rows of an image.
func (k *InvertedTraining[T]) storedRows(image int) expandedRows[T] {
	size := k.depthwise.shape.Conv.Height * k.row
	return expandedRows[T]{data: k.active[image*size:][:size], stored: true}
}

// newExpanded returns no rows, with memory for a number of them.
func (k *InvertedTraining[T]) newExpanded(w *workspace[T], image, rows int) (e expandedRows[T]) {
	s := k.depthwise.shape.Conv
	if k.storesActive() {
		e = k.storedRows(image)
	} else {
		e.data = grow(&w.halo, rows*k.row)
	}
	for at := 0; at < len(e.data); at += k.row {
		clear(e.data[at:][:s.Padding.Left*k.pixel])
		clear(e.data[at+(s.Padding.Left+s.Width)*k.pixel:][:s.Padding.Right*k.pixel])
	}
	return e
}

// expandTo makes the rows [above, below) of an image, whose input is given, of which those that are there are kept. It loads an array that is
// used next.
func (k *InvertedTraining[T]) expandTo(w *workspace[T], e *expandedRows[T], in []T, above, below int, ahead []T) {
	s := k.depthwise.shape.Conv
	if e.stored {
		above = 0
	} else if e.end > above {
		copy(e.data, e.data[(above-e.begin)*k.row:(e.end-e.begin)*k.row])
	} else {
		e.end = above
	}
	if e.begin = above; e.end >= below {
		return
	}
	begin, pixels, step := e.end*s.Width, (below-e.end)*s.Width, k.chunk()
	to := e.data[(e.end-above)*k.row:]
	weights, p := &k.products[1], &w.product
	*p = vector.Rows[T]{Clip: k.clips[0], Ahead: ahead}
	for first := 0; first < pixels; first += step {
		last := min(first+step, pixels)
		k.expansion(p, in, begin+first, begin+last)
		p.COffsets = k.expanded[first:last]
		for i := range weights.panels {
			q := weights.panel(i)
			p.C, p.B, p.Columns, p.Width = to[q.left:], q.data, q.columns, q.width
			p.Initial = k.offset[0][q.left:][:q.columns]
			k.engine.Rows(p)
		}
	}
	e.end = below
}

// depthwiseImage writes the depthwise convolution's result for an image.
func (k *InvertedTraining[T]) depthwiseImage(w *workspace[T], x []T, image int, add func(z []T)) {
	s, p := k.depthwise.shape.Conv, k.depthwise.conv.depthwise
	var e expandedRows[T]
	var input []T
	if k.expand != nil {
		e = k.newExpanded(w, image, (k.band-1)*s.Stride+s.KernelHeight)
		input = k.inputImage(w, x, image)
	}
	for first := 0; first < k.height; first += k.band {
		last := min(first+k.band, k.height)
		z := k.z2[(image*k.height+first)*k.width*k.wide:][:(last-first)*k.width*k.wide]
		in, from := e.data, halo{}
		if k.expand == nil {
			k.engine.Prefetch(z)
			in, from = p.input(w, x, image, first, last)
		} else {
			above, below := p.inputRows(first, last)
			k.expandTo(w, &e, input, above, below, z)
			from = k.expandedHalo(&e)
		}
		to := halo{images: 1, height: k.height, width: k.width, channels: k.wide, top: -first}
		k.sweep.run(w, k.engine, z, to, in, from, nil, vector.NoClip, first, last)
		add(z)
	}
}

// expandedHalo returns where to find the expanded rows.
func (k *InvertedTraining[T]) expandedHalo(e *expandedRows[T]) halo {
	return halo{images: 1, height: k.depthwise.shape.Conv.Height, width: k.row / k.pixel, channels: k.pixel, top: -e.begin}
}
