package vector

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// ByteSet is the ByteEngine of one instruction set.
type ByteSet struct {
	name      string
	lanes     int
	rows      [][]func(*byteRowsCall) // by width in vectors and number of rows
	words     [][]func(*byteRowsCall) // likewise, of numbers of 16 bits; nil if there are none
	winograd  byteWinograd
	depthwise map[byteDepthwiseTile]func(*byteDepthwiseCall)

	byteRoutines
}

// byteWinograd are the transforms of Winograd's algorithms.
type byteWinograd struct{ input, output3, output4 func(*byteTilesCall) }

// byteRoutines are the loops other than products. Counts must be at least 1. Those of AVX2 need
// whole vectors: 32 channels for maxima, a multiple of 8 for sums.
type byteRoutines struct {
	maxima func(y, x *uint8, offsets *int32, positions, count, step, yStep, channels int)
	sums   func(sum *int32, x *uint8, rows, step, channels int)
	lookup func(y, x, table *uint8, n int) // nil if there is none
	// Bytes of pixels of three channels with a table of each, a multiple of pixelBlock; nil if there is none.
	lookups func(y, x, tables *uint8, n int)

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

// WinogradOf returns the loops of Winograd's algorithms of an engine, or nil if it has none.
func WinogradOf(e ByteEngine) ByteWinograd {
	if s, ok := e.(*ByteSet); ok && s.words != nil {
		return s
	}
	return nil
}

// PackWords packs a panel of numbers of 16 bits.
func (s *ByteSet) PackWords(panel []uint8, weights []int16, depth, columns, width int) {
	lanes := width * s.lanes
	clear(panel[:2*depth*lanes])
	for j := range columns {
		for k, w := range weights[j*depth:][:depth] {
			binary.LittleEndian.PutUint16(panel[4*(k/2*lanes+j)+k%2*2:], uint16(w))
		}
	}
}

// Words computes a product of numbers of 16 bits.
func (s *ByteSet) Words(r *ByteRows) { s.product(r, s.words[r.Width]) }

// Rows computes a product.
func (s *ByteSet) Rows(r *ByteRows) { s.product(r, s.rows[r.Width]) }

// product computes a product with the functions for a width, by the number of rows.
func (s *ByteSet) product(r *ByteRows, tiles []func(*byteRowsCall)) {
	count := len(r.XOffsets)
	if count == 0 {
		return
	}
	_, _ = r.YOffsets[count-1], r.B[s.PanelSize(r.Segments*r.Length, r.Width)-1]
	_ = r.Initial[r.Width*s.lanes-1]
	// Fields are set one by one: to clear all of the call takes as long as a small product.
	call := &r.call
	call.x, call.b, call.initial = &r.X[0], &r.B[0], &r.Initial[0]
	call.length, call.skip, call.segments = r.Length, r.Stride-r.Length, r.Segments
	call.y, call.sums, call.addend = unsafe.SliceData(r.Y), unsafe.SliceData(r.Sums), unsafe.SliceData(r.Addend)
	if r.Sums == nil {
		call.order = byteOrder
		r.Result.set(&call.result, r.Width*s.lanes)
	}
	call.ahead = 0
	if count > 1 && r.Sums == nil {
		const tilesAhead = 2
		call.ahead = tilesAhead * (len(tiles) - 1) * int(r.YOffsets[1]-r.YOffsets[0])
	}
	call.mask, call.columns = 1<<r.Columns-1, r.Columns
	call.next = uintptr(unsafe.Pointer(call.b))
	call.nextEnd = call.next
	if last := len(r.Next) - 128; last > 0 {
		call.next, call.nextEnd = uintptr(unsafe.Pointer(&r.Next[0])), uintptr(unsafe.Pointer(&r.Next[last]))
	}
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
		y: &d.Y[0], yPixel: d.YPixel, w: &d.Weights[0], initial: &d.Initial[0], mask: 1<<d.Channels - 1,
	}
	d.Result.set(&call.result, lanes)
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

// pixelBlock is the number of bytes that lookups replaces together.
const pixelBlock = 192

// Lookups writes the bytes of the tables of channels.
func (s *ByteSet) Lookups(y, x, tables []uint8, channels int) {
	if channels == 1 {
		s.Lookup(y, x, tables)
		return
	}
	whole := 0
	if s.lookups != nil && cpu.X86.HasAVX512VBMI && channels == 3 {
		if whole = len(x) / pixelBlock * pixelBlock; whole > 0 {
			_ = tables[3*256-1]
			s.lookups(&y[:whole][0], &x[0], &tables[0], whole)
		}
	}
	PortableBytes{}.Lookups(y[whole:], x[whole:], tables, channels)
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

// WinogradInput writes the transforms of tiles.
func (s *ByteSet) WinogradInput(t *ByteTiles) {
	const lanes = 32
	tiles := len(t.XOffsets)
	if tiles == 0 || t.InputChannels == 0 {
		return
	}
	_ = t.X[int(slices.Max(t.XOffsets))+5*t.XRow+5*t.XPixel+t.InputChannels-1]
	_ = t.X[slices.Min(t.XOffsets)]
	_ = t.V[(tiles-1)*t.VTile+35*t.VStride+2*t.InputChannels-1]
	t.call = byteTilesCall{
		x: &t.X[0], xOffsets: &t.XOffsets[0], xRow: t.XRow, xPixel: t.XPixel, v: &t.V[0], vStride: t.VStride, vTile: t.VTile,
		tiles: tiles, vectors: t.InputChannels / lanes, scratch: &t.Scratch[:ByteTilesScratch][0],
	}
	s.winograd.input(&t.call)
}

// inverseOf9 is the inverse of 9 modulo 2³².
const inverseOf9 = 0x38e38e39

// WinogradOutput writes the bytes of tiles.
func (s *ByteSet) WinogradOutput(t *ByteTiles) {
	tiles := len(t.YOffsets)
	if tiles == 0 || t.Channels == 0 {
		return
	}
	_ = t.Y[int(slices.Max(t.YOffsets))+(t.Rows-1)*t.YRow+(t.Columns-1)*t.YPixel+t.Channels-1]
	_ = t.Y[slices.Min(t.YOffsets)]
	_ = t.M[(tiles-1)*t.MTile+35*t.MStride+t.Channels-1]
	q := &t.Result
	t.call = byteTilesCall{
		v: (*uint8)(unsafe.Pointer(&t.M[0])), vStride: 4 * t.MStride, vTile: 4 * t.MTile, tiles: tiles, vectors: t.Channels / s.lanes,
		y: &t.Y[0], yOffsets: &t.YOffsets[0], yRow: t.YRow, yPixel: t.YPixel, addend: unsafe.SliceData(t.Addend), rows: t.Rows, columns: t.Columns,
		initial: &t.Initial[:t.Channels][0], shift: &q.Shift[:t.Channels][0], multiplier: &q.Multiplier[:t.Channels][0], inverse: inverseOf9,
	}
	for i := range t.call.offset {
		t.call.offset[i], t.call.rounding[i], t.call.addends[i] = q.offset(), 1<<(15-q.Digits), int16(q.AddendMultiplier)
	}
	for i := range t.call.low {
		t.call.low[i], t.call.high[i] = q.Low, q.High
	}
	for i, place := range byteOrder {
		t.call.order[i] = int32(place)
	}
	if t.Kernel == 3 {
		s.winograd.output3(&t.call)
	} else {
		s.winograd.output4(&t.call)
	}
}
