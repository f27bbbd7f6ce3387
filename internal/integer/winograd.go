package integer

import (
	"math"
	"sync"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// winograd computes a convolution by Winograd's algorithms in integers, which give the same sums as
// the products of the convolution itself; see vector.ByteTiles. A kernel is divided into blocks of
// 3×3 or 4×4 weights, with zeros where it ends; the products of all blocks are one sum.
type winograd struct {
	engine       vector.ByteEngine
	loops        vector.ByteWinograd
	shape        ConvShape
	kernel, size int // rows and columns of a block of weights, and of the results of a tile
	blocks       int // in each direction
	rows         int // of tiles
	columns      int
	least        float64   // images of a thread that are worth the transformed weights
	images       int       // that share the transformed weights
	saved        float64   // instructions of an image
	whole        bool      // threads do not divide images
	padded       ConvShape // with the padding that the tiles need
	input        halo
	depth        int // numbers of a value of a tile: of the channels of all blocks
	weights      []int8
	initial      []int32
	result       vector.ByteResult
	zero         uint8
	panels       []panel
	pack         sync.Once
	data         [][]uint8 // of each panel, the packed transformed weights of each value
}

const (
	tileValues    = 36 // of a tile of 6×6 pixels
	inputLanes    = 32 // channels that are transformed together
	outputLanes   = 16
	winogradBytes = 1 << 20 // about the size of the transformed tiles that are computed at a time
)

// newWinograd returns nil if there is no such algorithm for a convolution, if sums may be too large, and,
// unless it is forced, if the products of windows are always faster.
func newWinograd(e vector.ByteEngine, s ConvShape, w Weights, initial []int32, q *Requantize, forced bool) *winograd {
	loops := vector.WinogradOf(e)
	channels, k := s.Input.Channels, s.KernelHeight
	if loops == nil || s.groups() > 1 || s.Stride != 1 || k != s.KernelWidth || k < 3 || channels%inputLanes != 0 || s.Filters%outputLanes != 0 ||
		q.NegativeScale != nil || q.Table != nil || s.Pool.Size > 0 && (s.Pool.Padding > 0 || s.Pool.Size != s.Pool.Stride) {
		return nil
	}
	for f := range s.Filters {
		var positive, negative int64
		for _, v := range w.Values[f*s.patch():][:s.patch()] {
			positive += max(0, int64(v))
			negative += max(0, -int64(v))
		}
		if 255*max(positive, negative) >= vector.MaxWinogradSum {
			return nil
		}
	}
	var best *winograd
	for _, kernel := range []int{3, 4} {
		a := &winograd{engine: e, loops: loops, kernel: kernel, size: 7 - kernel, blocks: ceilDiv(k, kernel), shape: s, padded: s, weights: w.Values, initial: initial, zero: w.Zero}
		out := s.convolved()
		a.rows, a.columns = ceilDiv(out.Height, a.size), ceilDiv(out.Width, a.size)
		if best == nil || a.cost() < best.cost() {
			best = a
		}
	}
	a := best
	// Transformed weights are eight times as large as the weights, so several images have to share them: a thread
	// reads them for each block of tiles. It saves time from leastSaved instructions for each byte of them on, and the
	// reading hardly counts from enoughSaved on.
	const leastSaved, enoughSaved = 0.2, 0.8
	out := s.convolved()
	direct := float64(out.Height*out.Width*s.patch()) * float64(s.Filters) / 64
	saved, bytes := direct-a.cost(), 2*tileValues*a.blocks*a.blocks*channels*s.Filters
	if a.saved = saved; !forced {
		if a.cost() > 0.74*direct {
			return nil
		}
		a.least = leastSaved * float64(bytes) / saved
		a.images = max(1, int(math.Ceil(enoughSaved*float64(bytes)/saved)))
	}
	in, p, extent := s.Input, &a.padded.Padding, a.blocks*a.kernel
	a.padded.KernelHeight, a.padded.KernelWidth = extent, extent
	p.Bottom += a.rows*a.size + extent - 1 - (in.Height + p.Top + p.Bottom)
	p.Right += a.columns*a.size + extent - 1 - (in.Width + p.Left + p.Right)
	a.input = newHalo(a.padded, channels)
	a.depth = a.blocks * a.blocks * channels
	vectors := s.Filters / outputLanes
	count := ceilDiv(vectors, e.MaxWidth())
	for i := range count {
		from, to := i*vectors/count, (i+1)*vectors/count
		a.panels = append(a.panels, panel{left: from * outputLanes, columns: (to - from) * outputLanes, width: to - from})
	}
	if !forced && a.least*float64(a.rows*a.columns) > float64(a.tilesOfBlock()) {
		return nil
	}
	a.result = q.sums(s.Filters)
	for f := range s.Filters {
		q.set(&a.result, f, f)
	}
	return a
}

// widest returns the number of filters of the widest panel.
func (a *winograd) widest() (columns int) {
	for _, p := range a.panels {
		columns = max(columns, p.columns)
	}
	return columns
}

// tilesOfBlock returns the largest number of tiles that are computed at a time.
func (a *winograd) tilesOfBlock() int {
	return max(1, winogradBytes/(tileValues*(2*a.depth+4*a.widest())))
}

// cost is about the number of instructions of products and transforms of an image.
func (a *winograd) cost() float64 {
	channels, filters := a.shape.Input.Channels, a.shape.Filters
	blocks := a.blocks * a.blocks
	const input, output = 9, 16 // instructions for each channel
	return float64(a.rows*a.columns) * (float64(tileValues*blocks*channels)*float64(filters)/32 + float64(input*blocks*channels+output*filters))
}

// prepare packs the transforms of the weights, at the first call.
func (a *winograd) prepare() {
	a.pack.Do(func() {
		a.data = make([][]uint8, len(a.panels))
		parallel.For(len(a.panels), func(i int) {
			p, size, transformed := a.panels[i], a.panelSize(i), a.transformedWeights(a.panels[i])
			a.data[i] = make([]uint8, tileValues*size)
			for v := range tileValues {
				a.loops.PackWords(a.data[i][v*size:][:size], transformed[v*p.columns*a.depth:], a.depth, p.columns, p.width)
			}
		})
	})
}

// transformedWeights returns the transforms of the weights of a panel, (values, filters, blocks, channels).
func (a *winograd) transformedWeights(p panel) []int16 {
	channels, blocks := a.shape.Input.Channels, a.blocks*a.blocks
	transformed := make([]int16, tileValues*p.columns*a.depth)
	var to [tileValues]int16
	for i := range p.columns * channels * blocks {
		filter, channel, block := i/(channels*blocks), i/blocks%channels, i%blocks
		weights := a.block((p.left+filter)*channels+channel, block)
		vector.WinogradTransform(&to, weights[:], a.kernel)
		for v, value := range to {
			transformed[(v*p.columns+filter)*a.depth+block*channels+channel] = value
		}
	}
	return transformed
}

// block returns a block of the weights of one filter and channel, with zeros where the kernel ends.
func (a *winograd) block(plane, block int) (weights [16]int8) {
	extent, k := a.shape.KernelHeight, a.kernel
	all := a.weights[plane*extent*extent:][:extent*extent]
	for i := range k * k {
		row, column := block/a.blocks*k+i/k, block%a.blocks*k+i%k
		if row < extent && column < extent {
			weights[i] = all[row*extent+column]
		}
	}
	return weights
}

// panelSize returns the number of bytes of the factors of one value.
func (a *winograd) panelSize(panel int) int {
	return a.engine.PanelSize(2*a.depth, a.panels[panel].width)
}

// pays reports whether the algorithm is faster than the products of windows.
func (a *winograd) pays(batch int) bool {
	return a != nil && float64(batch)/float64(parallel.Threads()) >= a.least && !(a.whole && dividesImages(batch))
}

// dividesImages reports whether threads divide the images of a batch.
func dividesImages(batch int) bool {
	threads := parallel.Threads()
	return batch%threads != 0 && batch < 4*threads
}

// winogradUnit is a part of the results: one of some parts of the tiles of some images.
type winogradUnit struct{ image, images, part, parts int }

// forward writes the results.
func (a *winograd) forward(y, x, addend []uint8, batch int) {
	threads, parts := parallel.Threads(), 1
	images := max(1, min(a.images, batch/threads))
	if dividesImages(batch) {
		images = batch
		parts = min(threads, batch*a.rows*a.columns)
	}
	a.prepare()
	pooled := a.shape.Pool.Size > 0 && parts > 1
	out, full := y, a.shape
	if pooled {
		shared := borrow(-1) // of no worker
		defer shared.release()
		full.Pool = Pool{}
		out = grow(&shared.between, batch*full.Output().Size())
	}
	divide(ceilDiv(batch, images)*parts, func(w *workspace, i int) {
		first := i / parts * images
		a.part(w, out, x, addend, full, winogradUnit{image: first, images: min(images, batch-first), part: i % parts, parts: parts})
	})
	if pooled {
		maxPool(a.engine, y, out, a.shape.convolved(), a.shape.Pool, batch)
	}
}

// part writes a part of the results of a shape, which is that of the convolution, or without its pool.
func (a *winograd) part(w *workspace, y, x, addend []uint8, s ConvShape, u winogradUnit) {
	out := s.convolved()
	runs, rows := a.tiles(w, u)
	in := a.input.window(w, x, a.padded, a.zero, unit{image: u.image, images: u.images}, span{rows.first * a.size, rows.last * a.size})
	to := y[u.image*s.Output().Size():]
	if s.Pool.Size > 0 {
		to = grow(&w.between, u.images*out.Size())
	} else if addend != nil {
		addend = addend[u.image*out.Size():]
	}
	all := len(w.xOffsets)
	widest, step := a.widest(), min(all, a.tilesOfBlock())
	step = ceilDiv(all, ceilDiv(all, step)) // blocks of equal size
	values := grow(&w.transformed, tileValues*valueStride(2*step*a.depth))
	sums := grow(&w.sums, tileValues*valueStride(4*step*widest)/4)
	for first := 0; first < all; first += step {
		last := min(first+step, all)
		a.transform(w, values, in, first, last)
		for i := range a.panels {
			a.multiply(w, sums, values, i, last-first)
			a.results(w, to, addend, sums, i, runs, first, last)
		}
	}
	if s.Pool.Size > 0 {
		pooled := s.Output()
		for i := range u.images * pooled.Height {
			at := (u.image*pooled.Height + i) * pooled.Width * pooled.Channels
			s.Pool.row(w, a.engine, y[at:], to[i/pooled.Height*out.Size():], out, i%pooled.Height, 0, 0, out.Channels)
		}
	}
}

// tiles sets the offsets of the tiles of a unit: first those that are whole, then those that the right
// and the bottom border cut off. It returns the number of tiles of each of the four kinds, and the rows of tiles in
// which they are.
func (a *winograd) tiles(w *workspace, u winogradUnit) (runs [4]int, rows span) {
	out := a.shape.convolved()
	w.xOffsets, w.yOffsets = w.xOffsets[:0], w.yOffsets[:0]
	rows = span{a.rows, 0}
	all := u.images * a.rows * a.columns
	first, last, at := u.part*all/u.parts, (u.part+1)*all/u.parts, 0
	for kind := range runs {
		height, width := span{0, out.Height / a.size}, span{0, out.Width / a.size}
		if kind&1 > 0 {
			width = span{width.last, a.columns}
		}
		if kind&2 > 0 {
			height = span{height.last, a.rows}
		}
		before := len(w.xOffsets)
		for image := range u.images {
			for row := height.first; row < height.last; row++ {
				for column := width.first; column < width.last; column++ {
					if at++; at <= first || at > last {
						continue
					}
					rows = span{min(rows.first, row), max(rows.last, row+1)}
					w.xOffsets = append(w.xOffsets, int32(image*a.input.size()+row*a.size*a.input.row+column*a.size*a.input.channels))
					w.yOffsets = append(w.yOffsets, int32(image*out.Size()+(row*out.Width+column)*a.size*out.Channels))
				}
			}
		}
		runs[kind] = len(w.xOffsets) - before
	}
	return runs, rows
}

// valueStride is the number of bytes from a value of tiles to the next one, given those of a value of all tiles
// of a block: an odd number of cache lines, so that the values of a tile lie in different sets of the cache.
func valueStride(bytes int) int {
	const line = 64
	return (ceilDiv(bytes, line) | 1) * line
}

// transform writes the values of some tiles, (values, tiles, blocks, channels).
func (a *winograd) transform(w *workspace, values, x []uint8, first, last int) {
	t := &w.tiles
	*t = vector.ByteTiles{
		XOffsets: w.xOffsets[first:last], XRow: a.input.row, XPixel: a.input.channels, InputChannels: a.input.channels,
		VStride: valueStride(2 * (last - first) * a.depth), VTile: 2 * a.depth, Scratch: grow(&w.tileScratch, vector.ByteTilesScratch),
	}
	for b := range a.blocks * a.blocks {
		t.X = x[b/a.blocks*a.kernel*a.input.row+b%a.blocks*a.kernel*a.input.channels:]
		t.V = values[2*b*a.input.channels:]
		a.loops.WinogradInput(t)
	}
}

// multiply writes the sums of some tiles for a panel, (values, tiles, filters).
func (a *winograd) multiply(w *workspace, sums []int32, values []uint8, panel, tiles int) {
	p, factors, size := a.panels[panel], a.data[panel], a.panelSize(panel)
	from, to := grow(&w.offsets, tiles), grow(&w.rowOffsets, tiles)
	for i := range tiles {
		from[i], to[i] = int32(i*2*a.depth), int32(i*p.columns)
	}
	r := &w.rows
	*r = vector.ByteRows{
		Initial: noSums[:p.columns], Width: p.width, Columns: p.columns, Segments: 1, Length: 2 * a.depth, Stride: 2 * a.depth,
		XOffsets: from, YOffsets: to,
	}
	for v := range tileValues {
		r.X, r.B, r.Sums = values[v*valueStride(2*tiles*a.depth):], factors[v*size:][:size], sums[v*valueStride(4*tiles*p.columns)/4:]
		if v+1 < tileValues {
			r.Next = factors[(v+1)*size:][:size]
		} else {
			r.Next = nil
		}
		a.loops.Words(r)
	}
}

// noSums are the initial sums of a panel.
var noSums [128]int32

// results writes the bytes of some tiles for a panel. runs are the numbers of tiles of each kind.
func (a *winograd) results(w *workspace, y, addend []uint8, sums []int32, panel int, runs [4]int, first, last int) {
	out, p := a.shape.convolved(), a.panels[panel]
	t := &w.tiles
	*t = vector.ByteTiles{
		Kernel: a.kernel, MStride: valueStride(4*(last-first)*p.columns) / 4, MTile: p.columns, Y: y[p.left:], YRow: out.Width * out.Channels, YPixel: out.Channels,
		Channels: p.columns, Initial: a.initial[p.left:], Result: a.result,
	}
	if addend != nil {
		t.Addend = addend[p.left:]
	}
	t.Result.Shift, t.Result.Multiplier = t.Result.Shift[p.left:], t.Result.Multiplier[p.left:]
	begin := 0
	for kind, tiles := range runs {
		from, to := max(first, begin), min(last, begin+tiles)
		if begin += tiles; from >= to {
			continue
		}
		t.Rows, t.Columns = a.size, a.size
		if kind&1 > 0 {
			t.Columns = out.Width % a.size
		}
		if kind&2 > 0 {
			t.Rows = out.Height % a.size
		}
		t.M, t.YOffsets = sums[(from-first)*t.MTile:], w.yOffsets[from:to]
		a.loops.WinogradOutput(t)
	}
}
