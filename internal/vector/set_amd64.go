package vector

import (
	"math"
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// clipsInAssembly is set if products clip their results in assembly.
const clipsInAssembly = true

// sets returns the instruction sets of this processor, the fastest first.
func sets() []*Set {
	var all []*Set
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
		all = append(all, avx512)
	}
	if x.HasAVX2 && x.HasFMA {
		all = append(all, avx2)
	}
	return all
}

// narrower returns the instruction set for channels that do not fill a vector of this one.
func (s *Set) narrower() *Set {
	if s == avx512 {
		return avx2
	}
	return nil
}

// productTiles returns the tiles of ScanProducts. Those of AVX-512 need VNNI.
func (s *Set) productTiles() []scanTile {
	if s == avx512 && !cpu.X86.HasAVX512VNNI {
		return avx2.scanProducts
	}
	return s.scanProducts
}

// rowsTiles computes tiles of a number of rows, from the first row on.
func (s *Set) rowsTiles(r *Rows[float32], tile func(*rowsCall), first, tiles, _ int) {
	call := &r.call
	call.aOffsets, call.cOffsets, call.segments, call.tiles, call.at = &r.AOffsets[first], &r.COffsets[first], r.Segments, tiles, 0
	tile(call)
}

// routines are the loops of an instruction set other than matrix products. n is a number
// of elements; rows and channels must be at least 1.
type routines struct {
	// Functions of the fields of Windows: step is in elements, and positions is the
	// number of offsets. A limit of zero means Rectify, one of NaN means no Rectify.
	maxWindows, maxWindowsKept, maxWindowsScaled, maxWindowsScaledKept               func(x, y *float32, position *uint8, kept, scale, shift *float32, offsets *int32, positions, count, step, channels int, limit float32)
	scatterWindows, scatterWindowsAdd, scatterWindowsScaled, scatterWindowsScaledAdd func(x, y *float32, position *uint8, scale *float32, offsets *int32, positions, count, step, channels int)

	innerProducts func(c *float64, stride int, a, b *float64, n int) // stride in bytes; n at least 1
	innerSquares  func(sum, b *float64, n int)                       // n at least 1
	widen         func(y *float64, x *float32, n int)

	prefetch      func(x *float32, n int)
	add, relu     func(y, x *float32, n int)
	scale         func(y, x *float32, n int, factor float32)
	addDifference func(dx, x, y *float32, n int, factor float32)
	reluGradient  func(dx, x, dy *float32, n int)

	// The activations; table is that of constants.
	relu6, hardSigmoid, hardSwish, silu, gelu                                         func(y, x *float32, n int, table *float32)
	relu6Gradient, hardSigmoidGradient, hardSwishGradient, siluGradient, geluGradient func(dx, x, dy *float32, n int, table *float32)

	normalize           func(y, x, mean, scale, shift *float32, rows, channels int)
	center, centerAlone func(dx, x, dy, mean, scale, along, dyMean *float32, rows, channels int) // alone without dy
	scaleChannels       func(dx, dy, scale *float32, rows, channels int)

	normalizeClipped func(y, x, scale, shift *float32, rows, channels int, floor, limit float32)
	sumClipped       func(sum *float64, x, dy, mean, scale, shift *float32, rows, channels int, floor, limit float32)
	centerClipped    func(dx, x, dy, mean, scale, shift, along, dyMean *float32, rows, channels int, floor, limit float32)

	sumRows     func(sum *float64, x *float32, rows, channels int)
	sumSquares  func(sum *float64, x, mean *float32, rows, channels int)
	sumMoments  func(sum *float64, x, mean *float32, rows, channels int)
	sumProducts func(sum *float64, x, dy, mean *float32, rows, channels int)

	dot                               func(x, y *float32, n int) float32
	dotRows                           func(y, x, rows *float32, stride, n int)
	squaredNorm                       func(x *float32, n int) float64
	squaredDistance, absoluteDistance func(x, y *float32, n int) float64
	weightedDistance                  func(x, y, weight *float32, n int) float64

	// The transposes of a row of square blocks, whose size is in the name. Strides are
	// in bytes. AVX2 does not have the largest.
	transpose4, transpose8, transpose16 func(y *float32, yStride int, x *float32, xStride, blocks int)

	adam               func(weight, gradient, first, second *float32, n int, scale, penalty, keep, beta1, rest1, beta2, rest2, rate, root, epsilon float32)
	momentum, nesterov func(weight, gradient, velocity *float32, n int, scale, rate, momentum, penalty float32)

	ceiling func(iterations int, half float32) // at least one, of 24 multiply-adds

	// Conversions to bfloat16. A block is 32 numbers; AVX2 has the first only.
	roundBFloat16 func(y, x *float32, n int)
	pairLists     func(y, x0, x1 *float32, n int)
	pairNeighbors func(y, x *float32, blocks int) // at least one
}

// Add writes y += x.
func (s *Set) Add(y, x []float32) {
	s.add(pointer(y, len(x)), unsafe.SliceData(x), len(x))
}

// Prefetch loads x into the caches.
func (s *Set) Prefetch(x []float32) {
	if len(x) > 0 {
		s.prefetch(&x[0], len(x))
	}
}

// Scale writes y = factor·x.
func (s *Set) Scale(y, x []float32, factor float32) {
	s.scale(pointer(y, len(x)), unsafe.SliceData(x), len(x), factor)
}

// ReLU writes y = max(x, 0).
func (s *Set) ReLU(y, x []float32) {
	s.relu(pointer(y, len(x)), unsafe.SliceData(x), len(x))
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (s *Set) ReLUGradient(dx, x, dy []float32) {
	n := len(dy)
	s.reluGradient(pointer(dx, n), pointer(x, n), unsafe.SliceData(dy), n)
}

// Activate writes y = f(x).
func (s *Set) Activate(f Activation, y, x []float32) {
	run := [...]func(y, x *float32, n int, table *float32){s.relu6, s.hardSigmoid, s.hardSwish, s.silu, s.gelu}[f]
	run(pointer(y, len(x)), unsafe.SliceData(x), len(x), &constants[0][0])
}

// ActivateGradient writes dx = f′(x)·dy.
func (s *Set) ActivateGradient(f Activation, dx, x, dy []float32) {
	run := [...]func(dx, x, dy *float32, n int, table *float32){
		s.relu6Gradient, s.hardSigmoidGradient, s.hardSwishGradient, s.siluGradient, s.geluGradient,
	}[f]
	n := len(dy)
	run(pointer(dx, n), pointer(x, n), unsafe.SliceData(dy), n, &constants[0][0])
}

// AddDifference adds factor·(x − y) to dx.
func (s *Set) AddDifference(dx, x, y []float32, factor float32) {
	n := len(x)
	s.addDifference(pointer(dx, n), unsafe.SliceData(x), pointer(y, n), n, factor)
}

// Dot returns the sum of products.
func (s *Set) Dot(x, y []float32) float32 {
	return s.dot(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// dotRows is the number of rows of a call of the routine of that name; the generator has the same number.
const dotRows = 4

// DotRows writes the dot products with the rows of a matrix.
func (s *Set) DotRows(y, x, rows []float32) {
	n, first := len(x), 0
	rows = rows[:len(y)*n]
	for ; n > 0 && first+dotRows <= len(y); first += dotRows {
		s.dotRows(&y[first], &x[0], &rows[first*n], 4*n, n)
	}
	for i := first; i < len(y); i++ {
		y[i] = s.Dot(x, rows[i*n:][:n])
	}
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (s *Set) SquaredDistance(x, y []float32) float64 {
	return s.squaredDistance(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (s *Set) AbsoluteDistance(x, y []float32) float64 {
	return s.absoluteDistance(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (s *Set) WeightedDistance(x, y, weight []float32) float64 {
	n := len(x)
	return s.weightedDistance(unsafe.SliceData(x), pointer(y, n), pointer(weight, n), n)
}

// InnerSquares adds the sums of squares of columns.
func (s *Set) InnerSquares(sum, b []float64) {
	if n := len(b) / s.inner.columns; n > 0 {
		s.innerSquares(pointer(sum, s.inner.columns), &b[0], n)
	}
}

// Widen converts x to float64.
func (s *Set) Widen(y []float64, x []float32) {
	s.widen(pointer(y, len(x)), unsafe.SliceData(x), len(x))
}

// SquaredNorm returns Σxᵢ².
func (s *Set) SquaredNorm(x []float32) float64 {
	return s.squaredNorm(unsafe.SliceData(x), len(x))
}

// pointer returns the address of the first element of x; it panics unless x has n elements.
func pointer[E any](x []E, n int) *E { return unsafe.SliceData(x[:n]) }

// Normalize writes y = (x − mean)·scale + shift.
func (s *Set) Normalize(y, x, mean, scale, shift []float32) {
	if s.waits(y, x, mean) {
		s.Portable.Normalize(y, x, mean, scale, shift)
		return
	}
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		s.normalize(pointer(y, len(x)), &x[0], &mean[0], pointer(scale, channels), pointer(shift, channels), rows, channels)
	}
}

// Center writes dx = scale·(dy − dyMean − (x − mean)·along).
func (s *Set) Center(dx, x, dy, mean, scale, along, dyMean []float32) {
	if s.waits(dx, x, mean) || s.waits(dx, dy, mean) {
		s.Portable.Center(dx, x, dy, mean, scale, along, dyMean)
		return
	}
	rows, channels := rowsOf(x, len(mean))
	if rows == 0 {
		return
	}
	run := s.center
	if dy == nil {
		run = s.centerAlone
	} else {
		_ = dy[:len(x)]
	}
	run(pointer(dx, len(x)), &x[0], unsafe.SliceData(dy), &mean[0], pointer(scale, channels),
		pointer(along, channels), pointer(dyMean, channels), rows, channels)
}

// ScaleChannels writes dx = dy·scale.
func (s *Set) ScaleChannels(dx, dy, scale []float32) {
	if s.waits(dx, dy, scale) {
		s.Portable.ScaleChannels(dx, dy, scale)
		return
	}
	if rows, channels := rowsOf(dy, len(scale)); rows > 0 {
		s.scaleChannels(pointer(dx, len(dy)), &dy[0], &scale[0], rows, channels)
	}
}

// NormalizeClipped writes y = clip(x·scale + shift).
func (s *Set) NormalizeClipped(clip Clip, y, x, scale, shift []float32) {
	if s.waits(y, x, scale) {
		s.Portable.NormalizeClipped(clip, y, x, scale, shift)
		return
	}
	if rows, channels := rowsOf(x, len(scale)); rows > 0 {
		floor, limit := clip.bounds()
		s.normalizeClipped(pointer(y, len(x)), &x[0], &scale[0], pointer(shift, channels), rows, channels, floor, limit)
	}
}

// SumClipped adds g·(x − mean) and g to the halves of sum, for g = clip′(x·scale + shift)·dy.
func (s *Set) SumClipped(clip Clip, sum []float64, x, dy, mean, scale, shift []float32) {
	if len(mean) < s.lanes { // each vector would wait for the sums of the row before
		s.Portable.SumClipped(clip, sum, x, dy, mean, scale, shift)
		return
	}
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		floor, limit := clip.bounds()
		s.sumClipped(pointer(sum, 2*channels), &x[0], pointer(dy, len(x)), &mean[0],
			pointer(scale, channels), pointer(shift, channels), rows, channels, floor, limit)
	}
}

// CenterClipped writes dx = scale·(g − dyMean − (x − mean)·along), for the same g.
func (s *Set) CenterClipped(clip Clip, dx, x, dy, mean, scale, shift, along, dyMean []float32) {
	rows, channels := rowsOf(x, len(mean))
	if rows == 0 {
		return
	}
	if s.waits(dx, x, mean) || s.waits(dx, dy, mean) {
		s.Portable.CenterClipped(clip, dx, x, dy, mean, scale, shift, along, dyMean)
		return
	}
	floor, limit := clip.bounds()
	s.centerClipped(pointer(dx, len(x)), &x[0], pointer(dy, len(x)), &mean[0], pointer(scale, channels), pointer(shift, channels),
		pointer(along, channels), pointer(dyMean, channels), rows, channels, floor, limit)
}

// SumRows adds the rows of x to sum.
func (s *Set) SumRows(sum []float64, x []float32) {
	if rows, channels := rowsOf(x, len(sum)); rows > 0 {
		s.sumRows(&sum[0], &x[0], rows, channels)
	}
}

// SumSquares adds (x − mean)² to sum.
func (s *Set) SumSquares(sum []float64, x, mean []float32) {
	if rows, channels := rowsOf(x, len(sum)); rows > 0 {
		s.sumSquares(&sum[0], &x[0], pointer(mean, channels), rows, channels)
	}
}

// SumMoments adds the rows of x and (x − mean)² to the halves of sum.
func (s *Set) SumMoments(sum []float64, x, mean []float32) {
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		s.sumMoments(pointer(sum, 2*channels), &x[0], &mean[0], rows, channels)
	}
}

// SumProducts adds dy·(x − mean) and dy to the halves of sum.
func (s *Set) SumProducts(sum []float64, x, dy, mean []float32) {
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		s.sumProducts(pointer(sum, 2*channels), &x[0], pointer(dy, len(x)), &mean[0], rows, channels)
	}
}

// rowsOf returns the shape of x, rows of the given number of channels; it panics unless
// the length of x is a multiple of that.
func rowsOf(x []float32, channels int) (int, int) {
	if len(x) == 0 {
		return 0, channels
	}
	if len(x)%channels != 0 {
		panic("vector: the length of an array is not a multiple of the number of channels")
	}
	return len(x) / channels, channels
}

// waits reports whether rows are shorter than a vector and are overwritten in place: then
// each load of a vector would wait for the store of the row before.
func (s *Set) waits(y, x, channels []float32) bool {
	return len(channels) < s.lanes && unsafe.SliceData(y) == unsafe.SliceData(x)
}

// MaxWindows computes the maximum of each window for each channel.
func (s *Set) MaxWindows(w *Windows[float32]) {
	if !w.valid() {
		return
	}
	run, limit := s.maxWindows, float32(math.NaN())
	switch {
	case w.Scale != nil && w.Kept != nil:
		run = s.maxWindowsScaledKept
	case w.Scale != nil:
		run = s.maxWindowsScaled
	case w.Kept != nil:
		run = s.maxWindowsKept
	}
	if w.Rectify {
		limit = 0
	}
	run(&w.X[0], &w.Y[0], &w.Position[0], unsafe.SliceData(w.Kept), unsafe.SliceData(w.Scale), unsafe.SliceData(w.Shift),
		&w.Offsets[0], len(w.Offsets), w.Count, w.Step, w.Channels, limit)
}

// ScatterWindows writes or adds Y at the positions of the maxima.
func (s *Set) ScatterWindows(w *Windows[float32]) {
	const few = 4 // channels, below which each vector would wait for the store of the previous one
	if w.Add && w.Channels < few {
		s.Portable.ScatterWindows(w)
		return
	}
	if !w.valid() {
		return
	}
	run := s.scatterWindows
	switch {
	case w.Scale != nil && w.Add:
		run = s.scatterWindowsScaledAdd
	case w.Scale != nil:
		run = s.scatterWindowsScaled
	case w.Add:
		run = s.scatterWindowsAdd
	}
	run(&w.X[0], &w.Y[0], &w.Position[0], unsafe.SliceData(w.Scale),
		&w.Offsets[0], len(w.Offsets), w.Count, w.Step, w.Channels)
}

// valid reports whether there is anything to compute. It panics if an array is too short.
func (w *Windows[T]) valid() bool {
	if w.Count == 0 || w.Channels == 0 {
		return false
	}
	size := w.Count * w.Channels
	_, _ = w.Y[:size], w.Position[:size]
	if w.Kept != nil {
		_ = w.Kept[:size]
	}
	if w.Scale != nil {
		_ = w.Scale[:w.Channels]
	}
	if w.Shift != nil {
		_ = w.Shift[:w.Channels]
	}
	_ = w.X[slices.Min(w.Offsets):]
	_ = w.X[:(w.Count-1)*w.Step+int(slices.Max(w.Offsets))+w.Channels]
	return true
}

// Adam takes a step of Adam.
func (s *Set) Adam(weight, gradient, first, second []float32, f AdamFactors[float32]) {
	n := len(weight)
	s.adam(unsafe.SliceData(weight), pointer(gradient, n), pointer(first, n), pointer(second, n), n,
		f.Scale, f.Penalty, f.Keep, f.Beta1, f.Rest1, f.Beta2, f.Rest2, f.Rate, f.Root, f.Epsilon)
}

// Momentum takes a step of gradient descent with momentum.
func (s *Set) Momentum(weight, gradient, velocity []float32, f MomentumFactors[float32]) {
	n, run := len(weight), s.momentum
	if f.Nesterov {
		run = s.nesterov
	}
	run(unsafe.SliceData(weight), pointer(gradient, n), pointer(velocity, n), n, f.Scale, f.Rate, f.Momentum, f.Penalty)
}

// Transpose writes the transpose of x, in square blocks. If the size is not a multiple of
// the blocks', the last blocks overlap those before them.
func (s *Set) Transpose(y []float32, yStride int, x []float32, xStride, rows, columns int) {
	least := min(rows, columns)
	side, run := 4, s.transpose4
	switch {
	case least < side:
		s.Portable.Transpose(y, yStride, x, xStride, rows, columns)
		return
	case least >= s.lanes && s.lanes == 16:
		side, run = 16, s.transpose16
	case least >= 8:
		side, run = 8, s.transpose8
	}
	_, _ = y[:(columns-1)*yStride+rows], x[:(rows-1)*xStride+columns]
	block := func(row, column, count int) {
		run(&y[column*yStride+row], 4*yStride, &x[row*xStride+column], 4*xStride, count)
	}
	// A few rows of y are written completely before the next ones, because neighboring
	// blocks of y share cache lines and pages.
	const few = 128
	for left := 0; left < columns; left += few {
		blocks := min(few, columns-left) / side
		for i := range (rows + side - 1) / side {
			row := min(i*side, rows-side)
			if blocks > 0 {
				block(row, left, blocks)
			}
			if left+blocks*side < min(columns, left+few) {
				block(row, columns-side, 1)
			}
		}
	}
}

// peaksRows and peaksMost bound the tiles: rows of taps, and taps in all.
const (
	peaksRows = 3
	peaksMost = 24
)

// peakAdder is the Set of AVX-512 with the method Peaks.
type peakAdder struct{ *Set }

// AsPeakAdder returns the engine as a PeakAdder if it has Peaks in assembly.
func AsPeakAdder[T Float](e Engine[T]) (PeakAdder, bool) {
	s, ok := any(e).(*Set)
	return peakAdder{s}, ok && s == avx512
}

// Peaks computes the sums of products.
func (s peakAdder) Peaks(p *Peaks[float32]) {
	last := (p.Count - 1) * p.Channels
	_, _ = p.Y[last+p.Channels-1], p.Position[last+p.Channels-1]
	_ = p.C[(p.Rows*p.Taps-1)*p.CStride+p.Channels-1]
	for _, offset := range p.Offsets {
		_ = p.A[offset:][(p.Count-1)*p.AStep+(p.Rows-1)*p.ARow+p.Taps-1]
	}
	call := &p.call
	*call = peaksCall{
		cStride: 4 * p.CStride, aStep: 4 * p.AStep, aRow: 4 * p.ARow, channels: p.Channels,
	}
	for i, offset := range p.Offsets {
		call.offsets[i] = 4 * offset
	}
	most := min(peaksRows, peaksMost/p.Taps, p.Rows)
	for left := 0; left < p.Channels; left += s.lanes {
		call.mask = maskOf(min(s.lanes, p.Channels-left)).bits
		for row := 0; row < p.Rows; row += most {
			rows := min(most, p.Rows-row)
			call.c, call.a = &p.C[row*p.Taps*p.CStride+left], &p.A[row*p.ARow]
			call.y, call.position, call.count = &p.Y[left], &p.Position[left], p.Count
			call.sum = nil
			if p.Sum != nil && row == 0 {
				call.sum = &p.Sum[left]
			}
			peaksTiles[rows][p.Taps](call)
		}
	}
}

// MultiplyAdds multiplies and adds in registers.
func (s *Set) MultiplyAdds(iterations int) int {
	const perIteration = 24
	if iterations > 0 {
		s.ceiling(iterations, 0.5)
	}
	return 2 * perIteration * s.lanes * iterations
}
