package vector

import (
	"slices"
	"unsafe"
)

// clipsInAssembly is set if products clip their results in assembly.
const clipsInAssembly = false

// sets returns NEON, which every arm64 processor has.
func sets() []*Set { return []*Set{neon} }

// rowsTiles computes tiles of a number of rows, from the first row on. The assembly computes one
// at a time, counts the segments down, and neither clips nor adds other values than those of C.
func (s *Set) rowsTiles(r *Rows[float32], tile func(*rowsCall), first, tiles, rows int) {
	call, adds := &r.call, r.Add && r.Addend != nil
	if adds {
		call.add = 0
	}
	for range tiles {
		call.aOffsets, call.cOffsets, call.segments = &r.AOffsets[first], &r.COffsets[first], r.Segments
		tile(call)
		for _, at := range r.COffsets[first:][:rows] {
			if to := r.C[at:][:r.Columns]; adds {
				s.Add(to, r.Addend[at:][:r.Columns])
			}
			ApplyClip(r.Clip, r.C[at:][:r.Columns])
		}
		first += rows
	}
}

// productTiles returns the tiles of ScanProducts.
func (s *Set) productTiles() []scanTile { return s.scanProducts }

// innerProducts adds a tile of inner products; stride is in bytes.
func (s *Set) innerProducts(c *float64, stride int, a, b *float64, n int) {
	innerProducts_neon(c, stride, a, b, n)
}

// InnerSquares adds the sums of squares of columns, in plain Go.
func (s *Set) InnerSquares(sum, b []float64) { innerSquares(sum, b, s.inner.columns) }

// Transpose writes the transpose of x: blocks of 4×4 in assembly, the rest in plain Go.
func (s *Set) Transpose(y []float32, yStride int, x []float32, xStride, rows, columns int) {
	const side = 4
	blocks := rows / side
	wholeRows, wholeColumns := blocks*side, columns/side*side
	if blocks > 0 {
		for left := 0; left < wholeColumns; left += side {
			from := x[left:][:(wholeRows-1)*xStride+side]
			to := y[left*yStride:][:(side-1)*yStride+wholeRows]
			transpose_neon(&to[0], 4*yStride, &from[0], 4*xStride, blocks)
		}
	}
	if wholeRows < rows && wholeColumns > 0 {
		s.Portable.Transpose(y[wholeRows:], yStride, x[wholeRows*xStride:], xStride, rows-wholeRows, wholeColumns)
	}
	if wholeColumns < columns && rows > 0 {
		s.Portable.Transpose(y[wholeColumns*yStride:], yStride, x[wholeColumns:], xStride, rows, columns-wholeColumns)
	}
}

// pointers returns the addresses of the first elements of arrays of n elements.
func pointers(n int, x, y, z []float32) (*float32, *float32, *float32) {
	return unsafe.SliceData(x[:n]), unsafe.SliceData(y[:n]), unsafe.SliceData(z[:n])
}

// Add writes y += x.
func (s *Set) Add(y, x []float32) {
	add_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x))
}

// Scale writes y = factor·x.
func (s *Set) Scale(y, x []float32, factor float32) {
	scale_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x), factor)
}

// Activate writes y = f(x).
func (s *Set) Activate(f Activation, y, x []float32) {
	run := [...]func(y, x *float32, n int, table *float32){relu6_neon, hardSigmoid_neon, hardSwish_neon, silu_neon, gelu_neon}[f]
	run(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x), &constants[0][0])
}

// ActivateGradient writes dx = f′(x)·dy.
func (s *Set) ActivateGradient(f Activation, dx, x, dy []float32) {
	run := [...]func(dx, x, dy *float32, n int, table *float32){
		relu6Gradient_neon, hardSigmoidGradient_neon, hardSwishGradient_neon, siluGradient_neon, geluGradient_neon,
	}[f]
	n := len(dy)
	to, from, gradient := pointers(n, dx, x, dy)
	run(to, from, gradient, n, &constants[0][0])
}

// ReLU writes y = max(x, 0).
func (s *Set) ReLU(y, x []float32) {
	relu_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x))
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (s *Set) ReLUGradient(dx, x, dy []float32) {
	to, from, gradient := pointers(len(dy), dx, x, dy)
	reluGradient_neon(to, from, gradient, len(dy))
}

// AddDifference adds factor·(x − y) to dx.
func (s *Set) AddDifference(dx, x, y []float32, factor float32) {
	to, from, other := pointers(len(x), dx, x, y)
	addDifference_neon(to, from, other, len(x), factor)
}

// Dot returns the sum of products.
func (s *Set) Dot(x, y []float32) float32 {
	return dot_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// DotRows writes the dot products with the rows of a matrix.
func (s *Set) DotRows(y, x, rows []float32) {
	for i := range y {
		y[i] = s.Dot(x, rows[i*len(x):][:len(x)])
	}
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (s *Set) SquaredDistance(x, y []float32) float64 {
	return squaredDistance_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (s *Set) AbsoluteDistance(x, y []float32) float64 {
	return absoluteDistance_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (s *Set) WeightedDistance(x, y, weight []float32) float64 {
	from, other, w := pointers(len(x), x, y, weight)
	return weightedDistance_neon(from, other, w, len(x))
}

// The loops of batch normalization follow. Each takes rows of n channels.

// Normalize writes y = (x − mean)·scale + shift.
func (s *Set) Normalize(y, x, mean, scale, shift []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	m, factor, offset := pointers(n, mean, scale, shift)
	normalize_neon(unsafe.SliceData(y[:len(x)]), &x[0], m, factor, offset, n, len(x)/n)
}

// Center writes dx = scale·(dy − dyMean − (x − mean)·along).
func (s *Set) Center(dx, x, dy, mean, scale, along, dyMean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	m, factor, slope := pointers(n, mean, scale, along)
	to, shift := unsafe.SliceData(dx[:len(x)]), unsafe.SliceData(dyMean[:n])
	if dy == nil {
		centerZero_neon(to, &x[0], m, factor, slope, shift, n, len(x)/n)
		return
	}
	center_neon(to, &x[0], unsafe.SliceData(dy[:len(x)]), m, factor, slope, shift, n, len(x)/n)
}

// clippedElements is the number of elements that the loops below process at a time, so that
// they stay in the level 1 cache.
const clippedElements = 2048

// inParts calls work for ranges of elements that are whole rows of channels.
func inParts(elements, channels int, work func(first, last int)) {
	step := max(1, clippedElements/channels) * channels
	for first := 0; first < elements; first += step {
		work(first, min(first+step, elements))
	}
}

// clipGradient writes to g the gradient dy where x·scale + shift is not clipped, and 0 elsewhere.
func (s *Set) clipGradient(clip Clip, g, x, dy, scale, shift []float32) {
	if clip == NoClip {
		copy(g, dy)
		return
	}
	s.NormalizeClipped(NoClip, g, x, scale, shift)
	if clip == ClipZero {
		s.ReLUGradient(g, g, dy)
	} else {
		s.ActivateGradient(ReLU6, g, g, dy)
	}
}

// NormalizeClipped writes y = clip(x·scale + shift).
func (s *Set) NormalizeClipped(clip Clip, y, x, scale, shift []float32) {
	zeros := make([]float32, len(scale))
	inParts(len(x), len(scale), func(first, last int) {
		to := y[first:last]
		s.Normalize(to, x[first:last], zeros, scale, shift)
		switch clip {
		case ClipZero:
			s.ReLU(to, to)
		case ClipSix:
			s.Activate(ReLU6, to, to)
		}
	})
}

// SumClipped adds g·(x − mean) and g to the halves of sum, for g = clip′(x·scale + shift)·dy.
func (s *Set) SumClipped(clip Clip, sum []float64, x, dy, mean, scale, shift []float32) {
	space := make([]float32, max(clippedElements, len(mean)))
	inParts(len(x), len(mean), func(first, last int) {
		g := space[:last-first]
		s.clipGradient(clip, g, x[first:last], dy[first:last], scale, shift)
		s.SumProducts(sum, x[first:last], g, mean)
	})
}

// CenterClipped writes dx = scale·(g − dyMean − (x − mean)·along), for the same g.
func (s *Set) CenterClipped(clip Clip, dx, x, dy, mean, scale, shift, along, dyMean []float32) {
	space := make([]float32, max(clippedElements, len(mean)))
	inParts(len(x), len(mean), func(first, last int) {
		g := space[:last-first]
		s.clipGradient(clip, g, x[first:last], dy[first:last], scale, shift)
		s.ScaleChannels(g, g, scale)
		s.Center(dx[first:last], x[first:last], nil, mean, scale, along, dyMean)
		s.Add(dx[first:last], g)
	})
}

// ScaleChannels writes dx = dy·scale.
func (s *Set) ScaleChannels(dx, dy, scale []float32) {
	if len(dy) == 0 {
		return
	}
	scaleChannels_neon(unsafe.SliceData(dx[:len(dy)]), &dy[0], &scale[0], len(scale), len(dy)/len(scale))
}

// SumRows adds the rows of x to sum.
func (s *Set) SumRows(sum []float64, x []float32) {
	if len(x) == 0 {
		return
	}
	sumRows_neon(&sum[0], &x[0], len(sum), len(x)/len(sum))
}

// SumSquares adds (x − mean)² to sum.
func (s *Set) SumSquares(sum []float64, x, mean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(sum)
	sumSquares_neon(&sum[0], &x[0], unsafe.SliceData(mean[:n]), n, len(x)/n)
}

// SumMoments adds the rows of x and (x − mean)² to the halves of sum.
func (s *Set) SumMoments(sum []float64, x, mean []float32) {
	s.SumRows(sum[:len(mean)], x)
	s.SumSquares(sum[len(mean):], x, mean)
}

// SumProducts adds dy·(x − mean) and dy to the halves of sum.
func (s *Set) SumProducts(sum []float64, x, dy, mean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	sumProducts_neon(unsafe.SliceData(sum[:2*n]), &x[0], unsafe.SliceData(dy[:len(x)]), &mean[0], n, len(x)/n)
}

// MaxWindows computes the maximum of each window for each channel.
func (s *Set) MaxWindows(w *Windows[float32]) {
	if w.Count == 0 || w.Channels == 0 {
		return
	}
	x, y, position := windowPointers(w)
	kept := unsafe.SliceData(w.Kept)
	if w.Kept != nil {
		_ = w.Kept[w.Count*w.Channels-1]
	}
	rectify := 0
	if w.Rectify {
		rectify = 1
	}
	offsets := unsafe.SliceData(w.Offsets)
	if w.Scale == nil {
		maxWindows_neon(y, x, kept, position, rectify, offsets, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
		return
	}
	_, scale, shift := pointers(w.Channels, w.Scale, w.Scale, w.Shift)
	maxScaledWindows_neon(y, x, kept, position, rectify, offsets, scale, shift, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
}

// ScatterWindows writes or adds Y at the positions of the maxima.
func (s *Set) ScatterWindows(w *Windows[float32]) {
	if w.Count == 0 || w.Channels == 0 {
		return
	}
	x, y, position := windowPointers(w)
	scale := unsafe.SliceData(w.Scale)
	if w.Scale != nil {
		_ = w.Scale[w.Channels-1]
	}
	offsets := unsafe.SliceData(w.Offsets)
	if w.Add {
		addWindows_neon(y, x, position, offsets, scale, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
	} else {
		scatterWindows_neon(y, x, position, offsets, scale, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
	}
}

// windowPointers returns the addresses of X, Y and Position; it panics if one of them is too
// short for the windows.
func windowPointers(w *Windows[float32]) (x, y *float32, position *uint8) {
	n := w.Count * w.Channels
	last := (w.Count-1)*w.Step + int(slices.Max(w.Offsets)) + w.Channels
	return unsafe.SliceData(w.X[:last]), unsafe.SliceData(w.Y[:n]), unsafe.SliceData(w.Position[:n])
}
