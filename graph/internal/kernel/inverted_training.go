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

// statistics computes the mean and the variance of arrays of rows of channels, which compute passes to add for each of
// several images. As in Block.computeStatistics the squares are those of differences, here from the first row of an image.
func (k *InvertedTraining[T]) statistics(n *BatchNorm[T], images int, compute func(w *workspace[T], image int, add func(z []T))) {
	space := borrow[float64](0)
	defer space.release()
	sums, centers := grow(&space.columns, images*2*n.channels), grow(&k.centers, images*n.channels)
	divide(images, func(w *workspace[T], image int) {
		sum, center := sums[image*2*n.channels:][:2*n.channels], centers[image*n.channels:][:n.channels]
		first := true
		clear(sum)
		compute(w, image, func(z []T) {
			if first {
				copy(center, z)
				first = false
			}
			k.engine.SumRows(sum[:n.channels], z)
			k.engine.SumSquares(sum[n.channels:], z, center)
		})
	})
	own := make([]float64, 2*n.channels)
	mean, variance := own[:n.channels], own[n.channels:]
	rows := float64(n.rows) / float64(images) // of each image
	for image := range images {
		for c, v := range sums[image*2*n.channels:][:n.channels] {
			mean[c] += v / float64(n.rows)
		}
	}
	for image := range images {
		sum, squares := sums[image*2*n.channels:][:n.channels], sums[(image*2+1)*n.channels:][:n.channels]
		for c, center := range centers[image*n.channels:][:n.channels] {
			d := mean[c] - float64(center)
			variance[c] += (squares[c] - d*(2*(sum[c]-rows*float64(center))-rows*d)) / float64(n.rows)
		}
	}
	for c, v := range variance {
		variance[c] = max(0, v)
	}
	n.set(own)
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

// expansionStatistics computes the mean and the covariance of the input, and from these the statistics of the
// expansion.
func (k *InvertedTraining[T]) expansionStatistics(x, weight []T) {
	s, n := k.expand.shape.Conv, k.expand.norm
	sum := make([]float64, k.in)
	reduceRows(sum, n.rows, k.in, func(sum []float64, first, last int) { k.engine.SumRows(sum, x[first*k.in:last*k.in]) })
	grow(&k.mean, k.in)
	for c, v := range sum {
		k.mean[c] = T(v / float64(n.rows))
	}
	size, pixels := k.in*k.in, s.Height*s.Width
	parts, step := k.parts(size), max(chunkPixels, chunkElements/k.in)
	step = min(step, len(k.narrow[0]))
	defer k.borrowPartial(parts * size)()
	divide(parts, func(w *workspace[T], part int) {
		o := &w.outer
		for first := part * k.batch / parts * pixels; first < (part+1)*k.batch/parts*pixels; first += step {
			last := min(first+step, (part+1)*k.batch/parts*pixels)
			centered := grow(&w.active, (last-first)*k.in)
			k.engine.Normalize(centered, x[first*k.in:last*k.in], k.mean, k.ones, k.zeros)
			*o = vector.Outer[T]{
				A: centered, B: centered, C: k.partial[part*size:][:size], AOffsets: k.narrow[0][:last-first], BOffsets: k.narrow[0][:last-first],
				Run: k.in, Columns: k.in, CStride: k.in, Add: true,
			}
			k.engine.Outer(o)
		}
	})
	covariance := k.total(parts, size)
	k.engine.Scale(covariance, covariance, T(1/float64(n.rows)))
	k.packRows(&k.products[1], covariance, k.in, k.in)
	grow(&k.covariance, k.wide*k.in)
	own := make([]float64, 2*k.wide)
	k.eachFilter(func(w *workspace[T], first, last int) {
		k.multiply(w, &k.products[1], k.covariance[first*k.in:], k.narrow[0], weight[first*k.in:], k.narrow[0], last-first, nil)
		for f := first; f < last; f++ {
			row := weight[f*k.in:][:k.in]
			own[f], own[k.wide+f] = float64(k.engine.Dot(row, k.mean)), max(0, float64(k.engine.Dot(row, k.covariance[f*k.in:][:k.in])))
		}
	})
	n.set(own)
}

// eachFilter calls work for ranges of the filters of the expansion.
func (k *InvertedTraining[T]) eachFilter(work func(w *workspace[T], first, last int)) {
	const step = 24
	divide(ceilDiv(k.wide, step), func(w *workspace[T], i int) { work(w, i*step, min((i+1)*step, k.wide)) })
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

// windowStatistics computes the statistics of the expansion from its results, and the mean and the covariance of the
// windows.
func (k *InvertedTraining[T]) windowStatistics(x []T) {
	n, left := k.expand.norm, k.expand.conv.left
	k.packExpansion(false)
	size := (k.in + 1) * k.in // the sums of the products and of the windows
	step, pixels := k.chunk(), n.rows/k.batch
	partial, one, zeros := make([]T, k.batch*size), []T{1}, make([]int32, step)
	k.statistics(n, k.batch, func(w *workspace[T], image int, add func(z []T)) {
		in := k.inputImage(w, x, image)
		sums := partial[image*size:][:size]
		for first := 0; first < pixels; first += step {
			last := min(first+step, pixels)
			p := &w.product
			*p = vector.Rows[T]{}
			k.expansion(p, in, first, last)
			z := grow(&w.active, (last-first)*k.wide)
			p.COffsets = k.narrow[1][:last-first]
			for i := range k.products[1].panels {
				q := k.products[1].panel(i)
				p.C, p.B, p.Columns, p.Width = z[q.left:], q.data, q.columns, q.width
				k.engine.Rows(p)
			}
			add(z)
			for column := range left.rows {
				o := &w.outer
				*o = vector.Outer[T]{
					B: in[column*left.halo.rowSize():], BOffsets: left.windows[first:last], Columns: left.run, CStride: k.in, Add: true,
				}
				o.A, o.AOffsets, o.Run, o.C = one, zeros[:last-first], 1, sums[k.in*k.in+column*left.run:]
				k.engine.Outer(o)
				for row := range column + 1 { // the others follow by symmetry
					o.A, o.AOffsets, o.Run, o.C = in[row*left.halo.rowSize():], left.windows[first:last], left.run, sums[row*left.run*k.in+column*left.run:]
					k.engine.Outer(o)
				}
			}
		}
	})
	total := make([]float64, size)
	for image := range k.batch {
		for i, v := range partial[image*size:][:size] {
			total[i] += float64(v) / float64(n.rows)
		}
	}
	covariance, mean := make([]T, k.in*k.in), total[k.in*k.in:]
	round(grow(&k.mean, k.in), mean)
	for i := range covariance {
		row, column := i/k.in, i%k.in
		at := i
		if row > column {
			at = column*k.in + row
		}
		covariance[i] = T(total[at] - mean[row]*mean[column])
	}
	k.packRows(&k.products[2], covariance, k.in, k.in)
	grow(&k.covariance, k.wide*k.in)
	k.eachFilter(func(w *workspace[T], first, last int) {
		k.multiply(w, &k.products[2], k.covariance[first*k.in:], k.narrow[0], k.ordered[first*k.in:], k.narrow[0], last-first, nil)
	})
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

// Backward writes the gradients that are not nil, given the arguments of the last Forward and the gradient dy of
// its result.
func (k *InvertedTraining[T]) Backward(dx []T, dw [3]BlockWeights[T], x []T, weights [3]BlockWeights[T], dy []T) {
	k.check(x, dy, weights)
	checkOptional("dx", dx, len(x))
	if k.windows && dx != nil {
		panic("kernel: an inverted residual whose expansion has larger windows than a pixel has no gradient of its input")
	}
	if !k.kept {
		panic("kernel: Backward of an inverted residual must follow a Forward, without another Backward between them")
	}
	k.kept = false
	third := k.project.norm
	total := make([]float64, 2*k.out)
	reduceRows(total, third.rows, k.out, func(sum []float64, first, last int) {
		k.engine.SumProducts(sum, k.z3[first*k.out:last*k.out], dy[first*k.out:last*k.out], third.Mean)
	})
	third.finishSums(total, dw[2].Gain, dw[2].Shift)
	k.packRows(&k.products[0], weights[2].Weight, k.out, k.wide)
	along, mean := third.corrections()
	result := func(w *workspace[T], first, last int) []T { // the gradient of the projection's result
		to := grow(&w.normalized, (last-first)*k.out)
		k.engine.Center(to, k.z3[first*k.out:last*k.out], dy[first*k.out:last*k.out], third.Mean, third.scale, along, mean)
		return to
	}
	if k.storesSloped() {
		defer borrowPass(func(m *passMemory[T]) { m.sloped, k.sloped = k.sloped, m.sloped })()
		grow(&k.sloped, len(k.z2))
	}
	k.projectionGradient(dw, result)
	k.depthwiseGradient(dx, dw, x, weights, dy, result)
}

// projectionGradient writes the gradients of the projection's weights and of the depthwise convolution's norm.
func (k *InvertedTraining[T]) projectionGradient(dw [3]BlockWeights[T], result func(w *workspace[T], first, last int) []T) {
	size := k.out * k.wide
	parts := k.parts(size)
	defer k.borrowPartial(parts * size)()
	second := k.depthwise.norm
	total := make([]float64, 2*k.wide)
	reduceWith(total, parts, func(w *workspace[T], sum []float64, part int) {
		for image := part * k.batch / parts; image < (part+1)*k.batch/parts; image++ {
			k.chunks(image, func(first, last int) {
				g := result(w, first, last)
				z, pixels := k.z2[first*k.wide:last*k.wide], last-first
				a := grow(&w.active, len(z))
				if dw[2].Weight != nil {
					k.engine.NormalizeClipped(k.clips[1], a, z, second.scale, k.offset[1])
					o := &w.outer
					*o = vector.Outer[T]{
						A: g, B: a, C: k.partial[part*size:][:size], AOffsets: k.narrow[2][:pixels], BOffsets: k.narrow[1][:pixels],
						Run: k.out, Columns: k.wide, CStride: k.wide, Add: true,
					}
					k.engine.Outer(o)
				}
				if k.storesSloped() {
					a = k.sloped[first*k.wide : last*k.wide]
				}
				k.multiply(w, &k.products[0], a, k.narrow[1], g, k.narrow[2], pixels, k.following(k.z2, last))
				k.engine.SumClipped(k.clips[1], sum, z, a, second.Mean, second.scale, k.offset[1])
			})
		}
	})
	second.finishSums(total, dw[1].Gain, dw[1].Shift)
	if dw[2].Weight != nil {
		checkLength("dweight", dw[2].Weight, size)
		Copy(dw[2].Weight, k.total(parts, size))
	}
}

// depthwiseGradient writes the other gradients.
func (k *InvertedTraining[T]) depthwiseGradient(dx []T, dw [3]BlockWeights[T], x []T, weights [3]BlockWeights[T], dy []T, result func(w *workspace[T], first, last int) []T) {
	s, p := k.depthwise.shape.Conv, k.depthwise.conv.depthwise
	p.initGradient()
	p.packBackward()
	g := &invertedGradient[T]{InvertedTraining: k, dx: dx, x: x, result: result, taps: s.KernelHeight * s.KernelWidth, input: make([][]T, k.batch)}
	g.along, g.mean = k.depthwise.norm.corrections()
	size := 0
	if k.expand != nil {
		size = k.in * k.wide
		if g.back = &k.products[2]; dx != nil {
			k.packRows(g.back, k.folded, k.wide, k.in)
		}
	}
	parts := k.parts(max(size, 1))
	defer k.borrowPartial(parts * size)()
	total := make([]float64, (g.taps+1)*k.wide)
	reduceWith(total, parts, func(w *workspace[T], sum []float64, part int) {
		for image := part * k.batch / parts; image < (part+1)*k.batch/parts; image++ {
			g.image(w, sum, k.partial[part*size:][:size], image)
		}
	})
	if dweight := dw[1].Weight; dweight != nil {
		checkLength("dweight", dweight, g.taps*k.wide)
		for f := range k.wide {
			for tap := range g.taps {
				dweight[f*g.taps+tap] = T(total[tap*k.wide+f])
			}
		}
	}
	if k.expand != nil {
		k.expansionGradient(dx, dw[0], x, k.ordered, dy, k.total(parts, size), total[g.taps*k.wide:])
	} else if dx != nil && k.residual {
		Add(dx, dy)
	}
}

// invertedGradient computes the gradient of the depthwise convolution and its products.
type invertedGradient[T Float] struct {
	*InvertedTraining[T]
	dx, x       []T
	result      func(w *workspace[T], first, last int) []T
	taps        int
	along, mean []T        // corrections of the depthwise convolution's norm
	input       [][]T      // the present images of the input
	back        *packed[T] // (wide, in) the folded weights of the expansion; nil without one
}

// image computes an image. It adds the gradient of the depthwise weights and of the expansion's shift to sum and the
// products of the expansion's gradient and the input to products, (in, wide).
func (g *invertedGradient[T]) image(w *workspace[T], sum []float64, products []T, image int) {
	k, s, p := g.InvertedTraining, g.depthwise.shape.Conv, g.depthwise.conv.depthwise
	at := halo{images: 1, height: k.height, width: k.width, channels: k.wide}
	kept := ceilDiv(s.Padding.Top+s.KernelHeight, s.Stride) // at most
	gradient := grow(&w.gradient, min(k.bandBack+kept, k.height)*at.rowSize())
	var e expandedRows[T]
	if k.storesActive() {
		e = k.storedRows(image)
		e.end = s.Height
	} else if k.expand != nil {
		e = k.newExpanded(w, image, min(k.bandBack*s.Stride+s.KernelHeight+s.Padding.Top, s.Height))
	}
	if k.expand != nil {
		g.input[image] = k.inputImage(w, g.x, image)
	}
	first, done := 0, 0 // the first row of the gradient, and the number of rows of the input that are done
	for top := 0; top < k.height; top += k.bandBack {
		bottom := min(top+k.bandBack, k.height)
		keep := top
		if done < s.Height {
			keep = min(top, max(0, ceilDiv(max(0, done+s.Padding.Top-s.KernelHeight+1), s.Stride)))
		}
		copy(gradient, gradient[(keep-first)*at.rowSize():(top-first)*at.rowSize()])
		first = keep
		at.top = -first
		g.resultRows(w, gradient[(top-first)*at.rowSize():], image, top, bottom)

		last := s.Height
		if bottom < k.height { // the rows in no window that begins later
			last = min(max(done, bottom*s.Stride-s.Padding.Top), s.Height)
		}
		in, from := []T(nil), halo{}
		if k.expand != nil {
			above, below := p.inputRows(top, bottom)
			k.expandTo(w, &e, g.input[image], min(above, done), max(below, last), nil)
			in, from = e.data, k.expandedHalo(&e)
		}
		g.addWeights(w, sum[:g.taps*k.wide], gradient, at, in, from, image, top, bottom)
		g.inputRows(w, sum[g.taps*k.wide:], products, gradient[:(bottom-first)*at.rowSize()], at, &e, image, done, last)
		done = last
	}
}

// resultRows writes the gradient of the depthwise convolution's results in some rows.
func (g *invertedGradient[T]) resultRows(w *workspace[T], to []T, image, top, bottom int) {
	k, n := g.InvertedTraining, g.depthwise.norm
	begin := (image*k.height + top) * k.width
	for first := begin; first < (image*k.height+bottom)*k.width; first += k.chunk() {
		last := min(first+k.chunk(), (image*k.height+bottom)*k.width)
		here := to[(first-begin)*k.wide:][:(last-first)*k.wide]
		slope := here
		if k.storesSloped() {
			slope = k.sloped[first*k.wide : last*k.wide]
		} else {
			k.multiply(w, &k.products[0], here, k.narrow[1], g.result(w, first, last), k.narrow[2], last-first, k.z2[first*k.wide:last*k.wide])
		}
		k.engine.CenterClipped(k.clips[1], here, k.z2[first*k.wide:last*k.wide], slope, n.Mean, n.scale, k.offset[1], g.along, g.mean)
	}
}

// addWeights adds the gradient of the depthwise weights, see depthwise.addWeights.
func (g *invertedGradient[T]) addWeights(w *workspace[T], sum []float64, gradient []T, at halo, in []T, from halo, image, top, bottom int) {
	p := g.depthwise.conv.depthwise
	if g.expand == nil {
		p.addWeights(w, sum, g.x, gradient, at, image, top, bottom)
		return
	}
	step := max(1, 2*weightPixels/at.width)
	for first := top; first < bottom; first += step {
		part := grow(&w.values, len(sum))
		clear(part)
		sweep := g.sweep
		sweep.weights = part
		sweep.eachPart(&w.depthwise, gradient, at, in, from, first, min(first+step, bottom), func(d *vector.Depthwise[T]) {
			if d.Rows > 0 && d.Columns > 0 {
				g.engine.DepthwiseGradient(d)
			}
		})
		g.engine.SumRows(sum, part)
	}
}

// inputRows computes the gradient of rows [top, bottom) of the depthwise convolution's input and, with an
// expansion, its products.
func (g *invertedGradient[T]) inputRows(w *workspace[T], sum []float64, products, gradient []T, at halo, e *expandedRows[T], image, top, bottom int) {
	k, s, p := g.InvertedTraining, g.depthwise.shape.Conv, g.depthwise.conv.depthwise
	if top == bottom {
		return
	}
	if k.expand == nil {
		if g.dx != nil {
			p.inputGradient(w, g.dx[image*s.Height*k.row:], gradient, at, top, bottom)
		}
		return
	}
	run := s.Width * k.wide
	to := grow(&w.results, (bottom-top)*run)
	p.inputRowsGradient(w, to, gradient, at, top, bottom)
	for y := top; y < bottom; y++ {
		clipped := e.data[(y-e.begin)*k.row+s.Padding.Left*k.pixel:]
		here := to[(y-top)*run:][:run]
		for x := 0; x < s.Width && k.pixel != k.wide; x++ {
			k.clipGradient(here[x*k.wide:][:k.wide], clipped[x*k.pixel:])
		}
		if k.pixel == k.wide {
			k.clipGradient(here, clipped)
		}
	}
	begin := (image*s.Height + top) * s.Width
	for first := 0; first < (bottom-top)*s.Width; first += k.chunk() {
		last := min(first+k.chunk(), (bottom-top)*s.Width)
		here, pixels := to[first*k.wide:last*k.wide], last-first
		k.engine.SumRows(sum, here)
		if g.dx != nil {
			k.multiply(w, g.back, g.dx[(begin+first)*k.in:], k.narrow[0], here, k.narrow[1], pixels, nil)
		}
		o, left, at := &w.outer, k.expand.conv.left, top*s.Width+first
		*o = vector.Outer[T]{
			B: here, AOffsets: left.windows[at : at+pixels], BOffsets: k.narrow[1][:pixels],
			Run: left.run, Columns: k.wide, CStride: k.wide, Add: true,
		}
		for row := range left.rows {
			o.A, o.C = g.input[image][row*left.halo.rowSize():], products[row*left.run*k.wide:]
			k.engine.Outer(o)
		}
	}
}

// clipGradient sets the gradient to zero where a value is clipped, given the clipped values.
func (k *InvertedTraining[T]) clipGradient(gradient, clipped []T) {
	switch k.clips[0] {
	case vector.ClipZero:
		k.engine.ReLUGradient(gradient, clipped[:len(gradient)], gradient)
	case vector.ClipSix:
		k.engine.ActivateGradient(vector.ReLU6, gradient, clipped[:len(gradient)], gradient)
	}
}

// expansionGradient writes the gradients of the expansion, given g·x (in, wide) and g summed over all pixels, where
// g is the gradient of the argument of its activation. dx is g·(s·W) already.
func (k *InvertedTraining[T]) expansionGradient(dx []T, dw BlockWeights[T], x, weight, dy []T, products []T, sum []float64) {
	n := k.expand.norm
	rows := float64(n.rows)
	total := make([]float64, 2*k.wide)
	own := make([]float64, k.wide) // the difference of this part's mean from that of all parts
	turned := grow(&k.turned, k.wide*k.in)
	k.eachFilter(func(_ *workspace[T], first, last int) {
		k.engine.Transpose(turned[first*k.in:], k.in, products[first:], k.wide, k.in, last-first)
		for f := first; f < last; f++ {
			row, mean := weight[f*k.in:][:k.in], float64(n.Mean[f])
			own[f] = float64(k.engine.Dot(row, k.mean)) - mean
			total[f], total[k.wide+f] = float64(k.engine.Dot(row, turned[f*k.in:][:k.in]))-mean*sum[f], sum[f]
		}
	})
	n.finishSums(total, dw.Gain, dw.Shift)
	along, mean := n.corrections()
	checkOptional("dweight", dw.Weight, len(weight))
	if dx == nil && dw.Weight == nil {
		return
	}
	scaled := k.folded // no longer needed: now times −along, for dx −= x·M + constant
	constants := make([]float64, k.wide)
	k.eachFilter(func(_ *workspace[T], first, last int) {
		for f := first; f < last; f++ {
			scale, along := float64(n.scale[f]), float64(along[f])
			constants[f] = scale * (along*float64(n.Mean[f]) - float64(mean[f]))
			k.engine.Scale(scaled[f*k.in:][:k.in], weight[f*k.in:][:k.in], T(-scale*along))
			if dw.Weight == nil {
				continue
			}
			constant, slope := T(rows*(float64(mean[f])+along*own[f])), T(along*rows)
			product, covariance := turned[f*k.in:][:k.in], k.covariance[f*k.in:][:k.in]
			for c, m := range k.mean {
				product[c] = n.scale[f] * (product[c] - constant*m - slope*covariance[c])
			}
			channels := k.expand.shape.Conv.Channels
			if channels == k.in {
				copy(dw.Weight[f*k.in:], product)
				continue
			}
			k.engine.Transpose(dw.Weight[f*k.in:][:k.in], k.in/channels, product, channels, k.in/channels, channels)
		}
	})
	if dx == nil {
		return
	}
	constant, initial, matrix := make([]float64, k.in), make([]T, k.in), make([]T, k.in*k.in)
	for f, v := range constants {
		for c, weight := range weight[f*k.in:][:k.in] {
			constant[c] += float64(weight) * v
		}
	}
	round(initial, constant)
	bands := ceilDiv(k.in, 8)
	divide(bands, func(w *workspace[T], band int) {
		first, last := band*k.in/bands, (band+1)*k.in/bands
		o := &w.outer
		*o = vector.Outer[T]{
			A: weight[first:], B: scaled, C: matrix[first*k.in:], AOffsets: k.narrow[0][:k.wide], BOffsets: k.narrow[0][:k.wide],
			Run: last - first, Columns: k.in, CStride: k.in,
		}
		k.engine.Outer(o)
	})
	m := &k.products[2]
	k.packRows(m, matrix, k.in, k.in)
	step := min(max(chunkPixels, chunkElements/k.in), len(k.narrow[0]))
	divide(ceilDiv(n.rows, step), func(w *workspace[T], i int) {
		first, last := i*step, min((i+1)*step, n.rows)
		p := &w.product
		*p = vector.Rows[T]{
			A: x[first*k.in:], Segments: 1, Length: k.in, Add: true,
			AOffsets: k.narrow[0][:last-first], COffsets: k.narrow[0][:last-first],
		}
		for j := range m.panels {
			q := m.panel(j)
			p.C, p.B, p.Columns, p.Width = dx[first*k.in+q.left:], q.data, q.columns, q.width
			p.Initial = initial[q.left:][:q.columns]
			k.engine.Rows(p)
		}
		if k.residual {
			k.engine.Add(dx[first*k.in:last*k.in], dy[first*k.in:last*k.in])
		}
	})
}
