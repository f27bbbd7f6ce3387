package vector

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// ByteSet is the ByteEngine of one instruction set.
type ByteSet struct {
	name      string
	lanes     int
	rows      [][]func(*byteRowsCall) // by width in vectors and number of rows
	depthwise map[byteDepthwiseTile]func(*byteDepthwiseCall)

	byteRoutines
}

// byteRoutines are the loops other than products. Counts must be at least 1. Those of AVX2 need
// whole vectors: 32 channels for maxima, a multiple of 8 for sums.
type byteRoutines struct {
	maxima func(y, x *uint8, offsets *int32, positions, count, step, yStep, channels int)
	sums   func(sum *int32, x *uint8, rows, step, channels int)
	lookup func(y, x, table *uint8, n int) // nil if there is none

	byteCeiling func(iterations int)

	combine  func(y, a, b *uint8, n int, p *byteCombination) // nil if there is none
	multiply func(y, a *uint8, b *int32, n int, p *byteCombination)
}

// byteCombination has the parameters of combine and multiply; the generator has the same offsets.
type byteCombination struct {
	zero       [2]int16
	low, high  [4]uint8
	addendZero int32
	multiplier int32
	firstZero  int32
	_          int32
	order      [16]uint8
	scaling    byteScaling
}

func newByteCombination(firstZero uint8, q *WideByteResult) *byteCombination {
	return &byteCombination{
		zero: [2]int16{int16(q.Zero), int16(q.Zero)},
		low:  [4]uint8{q.Low, q.Low, q.Low, q.Low}, high: [4]uint8{q.High, q.High, q.High, q.High},
		addendZero: int32(q.AddendZero), multiplier: q.Multiplier[0], firstZero: int32(firstZero), order: byteOrder, scaling: q.scaling(),
	}
}

// Add adds two arrays.
func (s *ByteSet) Add(y, a, b []uint8, firstZero uint8, q *WideByteResult) {
	if s.combine == nil || q.Negative != nil {
		PortableBytes{}.Add(y, a, b, firstZero, q)
		return
	}
	if n := len(a); n > 0 {
		s.combine(&y[:n][0], &a[0], &b[:n][0], n, newByteCombination(firstZero, q))
	}
}

// Multiply multiplies by factors.
func (s *ByteSet) Multiply(y, x []uint8, factors []int32, firstZero uint8, q *WideByteResult) {
	if s.multiply == nil || q.Negative != nil {
		PortableBytes{}.Multiply(y, x, factors, firstZero, q)
		return
	}
	if n := len(factors); n > 0 && len(x) >= n {
		p := newByteCombination(firstZero, q)
		for at := 0; at < len(x); at += n {
			s.multiply(&y[at:][:n][0], &x[at:][:n][0], &factors[0], n, p)
		}
	}
}

// ByteEngineOf returns the engine for bytes with the instructions of an engine. That of AVX-512
// needs VNNI, and is that of AVX2 on processors without.
func ByteEngineOf(e Engine[float32]) ByteEngine {
	switch s, _ := e.(*Set); {
	case s == avx512 && cpu.X86.HasAVX512VNNI:
		return avx512Bytes
	case s == avx512 || s == avx2:
		return avx2Bytes
	}
	return PortableBytes{}
}

// Name returns the name of the instruction set.
func (s *ByteSet) Name() string { return s.name }

// Lanes returns the number of columns of a vector.
func (s *ByteSet) Lanes() int { return s.lanes }

// MaxWidth returns the largest width of a panel.
func (s *ByteSet) MaxWidth() int { return len(s.rows) - 1 }

// PanelSize returns the number of bytes of a panel: AVX2 has weights of 16 bits.
func (s *ByteSet) PanelSize(depth, width int) int { return depth / 4 * width * 64 }

// PackRows packs a panel.
func (s *ByteSet) PackRows(panel []uint8, weights []int8, depth, columns, width int) {
	if s == avx512Bytes {
		packBytes(panel, weights, depth, columns, width*s.lanes)
		return
	}
	// Of four weights first those of the even and then those of the odd bytes, each for all columns
	// of a vector.
	clear(panel[:s.PanelSize(depth, width)])
	for j := range columns {
		for k, w := range weights[j*depth:][:depth] {
			at := (k/4*width+j/s.lanes)*64 + k%2*32 + j%s.lanes*4 + k%4/2*2
			panel[at], panel[at+1] = uint8(w), uint8(int16(w)>>8)
		}
	}
}

// Rows computes a product.
func (s *ByteSet) Rows(r *ByteRows) {
	count := len(r.XOffsets)
	if count == 0 {
		return
	}
	_, _ = r.YOffsets[count-1], r.B[s.PanelSize(r.Segments*r.Length, r.Width)-1]
	_ = r.Initial[r.Width*s.lanes-1]
	call := &r.call
	*call = byteRowsCall{
		x: &r.X[0], b: &r.B[0], initial: &r.Initial[0],
		length: r.Length, skip: r.Stride - r.Length, segments: r.Segments,
		y: unsafe.SliceData(r.Y), sums: unsafe.SliceData(r.Sums), addend: unsafe.SliceData(r.Addend),
		mask: 1<<r.Columns - 1, columns: r.Columns, order: byteOrder,
	}
	if r.Sums == nil {
		call.result = r.Result.call(r.Width * s.lanes)
	}
	call.next, call.nextEnd = call.b, call.b
	if last := len(r.Next) - 128; last > 0 {
		call.next, call.nextEnd = &r.Next[0], &r.Next[last]
	}
	tiles := s.rows[r.Width]
	most := len(tiles) - 1
	n := (count + most - 1) / most
	least, larger := count/n, count%n // larger tiles have a row more
	first := 0
	for _, part := range [2][2]int{{larger, least + 1}, {n - larger, least}} {
		if part[0] > 0 {
			call.xOffsets, call.yOffsets, call.tiles, call.at = &r.XOffsets[first], &r.YOffsets[first], part[0], 0
			tiles[part[1]](call)
			first += part[0] * part[1]
		}
	}
}

// byteDepthwiseTile is the key of a function for results next to each other, whose windows have some
// columns and are step pixels apart.
type byteDepthwiseTile struct {
	step, columns, results int
	masked                 bool
}

// byteDepthwiseCall is the argument of the assembly; the generator has the same offsets.
type byteDepthwiseCall struct {
	x       *uint8
	rows    *int32
	groups  int
	pixel   int
	y       *uint8
	yPixel  int
	w       *uint8
	initial *int32
	tiles   int // counted down
	mask    uint64
	result  byteResultCall
}

// DepthwiseRows returns the number of rows of a group.
func (s *ByteSet) DepthwiseRows() int {
	if s == avx2Bytes {
		return 2
	}
	return 4
}

// DepthwiseLanes returns the number of channels of a block, and the least number of them.
func (s *ByteSet) DepthwiseLanes() (lanes, least int) {
	if s == avx2Bytes {
		return 2 * s.lanes, 2 * s.lanes
	}
	return 4 * s.lanes, 1
}

// DepthwiseChannel returns the channel of a position in the parameters. The instructions that
// interleave bytes work on each 128 bits of a vector.
func (s *ByteSet) DepthwiseChannel(position int) int {
	vectors := s.DepthwiseRows()
	vector, lane := position/s.lanes, position%s.lanes
	return lane/4*4*vectors + 4*vector + lane%4
}

// PackDepthwise packs weights.
func (s *ByteSet) PackDepthwise(packed []uint8, weights []int8, height, width, channels int) {
	lanes, _ := s.DepthwiseLanes()
	rows := s.DepthwiseRows()
	clear(packed[:s.DepthwiseSize(height, width)])
	for position := range lanes {
		c := s.DepthwiseChannel(position)
		if c >= channels {
			continue
		}
		for k := range height {
			for l := range width {
				value := weights[(c*height+k)*width+l]
				at := (k/rows*width+l)*lanes + position
				if s == avx2Bytes {
					at = 4*at + 2*(k%rows)
					packed[at], packed[at+1] = uint8(value), uint8(int16(value)>>8)
				} else {
					packed[4*at+k%rows] = uint8(value)
				}
			}
		}
	}
}

// DepthwiseSize returns the number of bytes of packed weights of a block.
func (s *ByteSet) DepthwiseSize(height, width int) int {
	lanes, _ := s.DepthwiseLanes()
	rows := s.DepthwiseRows()
	return (height + rows - 1) / rows * width * lanes * 4
}

// HasDepthwise reports whether there is a loop for windows of some columns that are step pixels
// apart.
func (s *ByteSet) HasDepthwise(columns, step int) bool {
	return s.depthwise[byteDepthwiseTile{step, columns, 1, false}] != nil
}

// Depthwise computes a row of results.
func (s *ByteSet) Depthwise(d *ByteDepthwise) {
	if d.Count == 0 {
		return
	}
	lanes, _ := s.DepthwiseLanes()
	d.check(s.DepthwiseRows(), s.DepthwiseSize(len(d.Rows), d.Columns), lanes)
	call := &d.call
	*call = byteDepthwiseCall{
		x: &d.X[0], rows: &d.Rows[0], groups: len(d.Rows) / s.DepthwiseRows(), pixel: d.XPixel,
		y: &d.Y[0], yPixel: d.YPixel, w: &d.Weights[0], initial: &d.Initial[0], mask: 1<<d.Channels - 1, result: d.Result.call(lanes),
	}
	const several = 4
	tile := byteDepthwiseTile{d.Step, d.Columns, several, d.Channels < lanes}
	if d.Count < several {
		tile.results = 1
	}
	run := s.depthwise[tile]
	call.tiles = d.Count / tile.results
	run(call)
	if d.Count%tile.results > 0 {
		// The last tile overlaps the one before: it computes some results again.
		first := d.Count - tile.results
		call.x, call.y, call.tiles = &d.X[first*d.Step*d.XPixel], &d.Y[first*d.YPixel], 1
		run(call)
	}
}

// Maxima computes the maximum of each window for each channel.
func (s *ByteSet) Maxima(w *ByteWindows) {
	if w.Count == 0 || w.Channels == 0 || len(w.Offsets) == 0 {
		return
	}
	if s == avx2Bytes && w.Channels < 4*s.lanes {
		PortableBytes{}.Maxima(w)
		return
	}
	w.check()
	s.maxima(&w.Y[0], &w.X[0], &w.Offsets[0], len(w.Offsets), w.Count, w.Step, w.YStep, w.Channels)
}

// Sums adds rows to sums.
func (s *ByteSet) Sums(sum []int32, x []uint8, rows, step int) {
	whole := len(sum) / s.lanes * s.lanes
	if rows == 0 {
		return
	}
	_ = x[(rows-1)*step+len(sum)-1]
	if whole > 0 {
		s.sums(&sum[0], &x[0], rows, step, whole)
	}
	if whole < len(sum) {
		PortableBytes{}.Sums(sum[whole:], x[whole:], rows, step)
	}
}

// Lookup writes the bytes of a table.
func (s *ByteSet) Lookup(y, x, table []uint8) {
	const few = 64 // bytes, that the loads of the table are worth
	if s.lookup == nil || !cpu.X86.HasAVX512VBMI || len(x) < few {
		PortableBytes{}.Lookup(y, x, table)
		return
	}
	_ = table[255]
	s.lookup(&y[:len(x)][0], &x[0], &table[0], len(x))
}

// MultiplyAdds multiplies and adds in registers.
func (s *ByteSet) MultiplyAdds(iterations int) int {
	const perIteration = 24
	if iterations < 1 {
		return 0
	}
	s.byteCeiling(iterations)
	return 2 * 4 * s.lanes * perIteration * iterations
}
