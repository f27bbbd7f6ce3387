package vector

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// ByteSet is the ByteEngine of one instruction set.
type ByteSet struct {
	name  string
	lanes int
	rows  [][]func(*byteRowsCall) // by width in vectors and number of rows

	byteRoutines
}

// byteRoutines are the loops other than products. Counts must be at least 1. Those of AVX2 need
// whole vectors: 32 channels for maxima, a multiple of 8 for sums.
type byteRoutines struct {
	maxima func(y, x *uint8, offsets *int32, positions, count, step, yStep, channels int)
	sums   func(sum *int32, x *uint8, rows, step, channels int)
	lookup func(y, x, table *uint8, n int) // nil if there is none
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
	q := &r.Result
	call := &r.call
	*call = byteRowsCall{
		x: &r.X[0], b: &r.B[0], initial: &r.Initial[0],
		length: r.Length, skip: r.Stride - r.Length, segments: r.Segments,
		y: unsafe.SliceData(r.Y), sums: unsafe.SliceData(r.Sums), addend: unsafe.SliceData(r.Addend),
		mask: 1<<r.Columns - 1, columns: r.Columns,
		zero: [2]int16{int16(q.Zero), int16(q.Zero)}, addendZero: int32(q.AddendZero), addendScale: q.AddendScale,
		low: [4]uint8{q.Low, q.Low, q.Low, q.Low}, high: [4]uint8{q.High, q.High, q.High, q.High},
		order: byteOrder,
	}
	if r.Sums == nil {
		call.scale = &q.Scale[:r.Width*s.lanes][0]
		if q.Negative != nil {
			call.negative = &q.Negative[:r.Width*s.lanes][0]
		}
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
