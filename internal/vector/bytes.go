package vector

import (
	"math"
	"slices"
	"sync/atomic"
)

// ByteEngine has the inner loops of networks of bytes, of package integer. Every engine gives the
// same bits.
type ByteEngine interface {
	// Name is that of an Engine.
	Name() string
	// Lanes is the number of columns of a vector of a panel, and MaxWidth the largest width of
	// a panel, in vectors.
	Lanes() int
	MaxWidth() int
	// PackRows packs a panel of the columns of ByteRows: weights (columns, depth), with the depth
	// a multiple of 4, and columns at most width·Lanes. Panel has PanelSize bytes.
	PackRows(panel []uint8, weights []int8, depth, columns, width int)
	PanelSize(depth, width int) int
	Rows(*ByteRows)
	// Depthwise is a depthwise convolution, see the type. HasDepthwise reports whether there is
	// a loop for windows of some columns that are step pixels apart. Channels are divided into
	// blocks of lanes, of which the last one may overlap, or into one of at least least.
	Depthwise(*ByteDepthwise)
	HasDepthwise(columns, step int) bool
	DepthwiseLanes() (lanes, least int)
	// DepthwiseRows is the number of rows of windows that are processed together.
	DepthwiseRows() int
	// PackDepthwise packs the weights (channels, height, width) of a block. Packed has DepthwiseSize
	// bytes. DepthwiseChannel is the channel of a position in the parameters of a block.
	PackDepthwise(packed []uint8, weights []int8, height, width, channels int)
	DepthwiseSize(height, width int) int
	DepthwiseChannel(position int) int
	// Maxima computes maxima, see the type.
	Maxima(*ByteWindows)
	// Sums adds to sum[c], for each c, the elements c of rows of x that are step bytes apart.
	Sums(sum []int32, x []uint8, rows, step int)
	// Add writes the bytes of the sums (a[i] − firstZero) with the addends b[i], and Multiply those of
	// the products (x[i] − firstZero)·factors[i mod len(factors)], where factors have at most 9
	// bits. q has one multiplier for all. y may be a, b or x.
	Add(y, a, b []uint8, firstZero uint8, q *WideByteResult)
	Multiply(y, x []uint8, factors []int32, firstZero uint8, q *WideByteResult)
	// Lookup writes y[i] = table[x[i]]. y may be x. The table has 256 bytes.
	Lookup(y, x, table []uint8)
	// Lookups writes y[i] = tables[256·(i mod channels) + x[i]], with the 256 bytes of each channel in tables.
	// y may be x.
	Lookups(y, x, tables []uint8, channels int)
	// MultiplyAdds is that of Engine, for bytes.
	MultiplyAdds(iterations int) int
}

// ByteDepthwise is a row of results of a depthwise convolution, for a block of channels:
//
//	s[i, c] = Initial[c] + Σ X[Rows[k] + (i·Step+l)·XPixel + c] · Weights[c, k, l]
//
// summed over the rows k and l < Columns, for each i < Count and c < Channels. As a byte it is
// written to Y[i·YPixel+c], which must not be in X. There is no addend.
type ByteDepthwise struct {
	X             []uint8
	Rows          []int32 // the offsets of the rows, a multiple of DepthwiseRows; those with weights of zero may be any
	XPixel        int     // bytes from a pixel to the next
	Step, Columns int
	Y             []uint8
	YPixel        int
	Count         int
	Channels      int
	Weights       []uint8 // packed
	Initial       []int32 // of all lanes of a block, in the order of DepthwiseChannel, as the scales
	Result        ByteResult

	call byteDepthwiseCall // part of the struct so that it is not allocated at each call
}

// check panics if an array is too short.
func (d *ByteDepthwise) check(rows, size, lanes int) {
	if len(d.Rows)%rows != 0 {
		panic("vector: the number of rows is not a multiple of those of a group")
	}
	last := ((d.Count-1)*d.Step+d.Columns-1)*d.XPixel + d.Channels - 1
	for _, row := range d.Rows {
		_ = d.X[row:][last]
	}
	_, _ = d.Y[(d.Count-1)*d.YPixel+d.Channels-1], d.Weights[size-1]
	_ = d.Initial[lanes-1]
}

// ByteWindows is a row of windows, of which the maximum of each channel is computed. Window i
// begins at X[i·Step], position k is Offsets[k] bytes further, and the result is at Y[i·YStep].
type ByteWindows struct {
	X, Y        []uint8
	Offsets     []int32 // at least 0
	Count       int
	Step, YStep int
	Channels    int
}

// check panics if an array is too short.
func (w *ByteWindows) check() {
	_ = w.Y[(w.Count-1)*w.YStep+w.Channels-1]
	_ = w.X[(w.Count-1)*w.Step+int(slices.Max(w.Offsets))+w.Channels-1]
	_ = w.X[slices.Min(w.Offsets)]
}

// ByteResult maps an exact sum s of a column to a byte, in integers of 16 bits:
//
//	t = round(saturate(⌊s/2^Shift⌋)·Multiplier/2^15)
//	y = clamp(Zero + round(t/2^Digits), Low, High)
//
// where round is to the nearest integer, halves up. With an addend a, t has also
// ⌊a·AddendMultiplier/2^8⌋ − ⌊AddendZero·AddendMultiplier/2^8⌋. Sums of numbers of 16 bits saturate:
// first t and the product of the addend are added, and to that the zero points. NegativeShift and
// NegativeMultiplier, if they are not nil, replace Shift and Multiplier where s is negative.
//
// Shifts are from 0 to 31, multipliers at most 2^15 − 1 in magnitude, and Digits from 1 to 6. The slices
// have an element for each lane of a panel or a block.
type ByteResult struct {
	Shift, Multiplier                 []int32
	NegativeShift, NegativeMultiplier []int32
	Digits                            uint8
	Zero, Low, High                   uint8
	AddendZero                        uint8
	AddendMultiplier                  uint16 // less than 2^15
}

// offset is what is added to the sum of a scaled sum and the product of the addend.
func (r *ByteResult) offset() int16 {
	return int16(int32(r.Zero)<<r.Digits - int32(r.AddendZero)*int32(r.AddendMultiplier)>>8)
}

// WideByteResult maps an exact number s to a byte:
//
//	clamp(Zero + ⌊s·Multiplier/2^Shift + 1/2⌋, Low, High)
//
// in integers of 64 bits. Negative, if it is not nil, replaces Multiplier where s is negative. With an
// addend a, (a − AddendZero)·AddendMultiplier is added to the product. Shift is from 1 to 32.
type WideByteResult struct {
	Multiplier, Negative []int32
	Shift                uint8
	Zero, Low, High      uint8
	AddendZero           uint8
	AddendMultiplier     int32
}

// ByteRows is a product of rows of bytes anywhere in memory with a panel of packed columns:
//
//	s[i, j] = Initial[j] + Σ X[XOffsets[i]+s·Stride+k] · B[s·Length+k, j]
//
// summed over s < Segments and k < Length, for each row i in order and each j < Columns. It is
// written to Sums[YOffsets[i]+j], or, if that is nil, as a byte to Y[YOffsets[i]+j].
type ByteRows struct {
	X                  []uint8
	B                  []uint8 // a panel, see PackRows
	Initial            []int32 // (Width·Lanes)
	Width              int     // of the panel, in vectors
	Columns            int     // more than (Width−1)·Lanes and at most Width·Lanes
	Segments           int     // at least 1
	Length, Stride     int     // of a segment in bytes, a multiple of 4, and from one to the next
	YOffsets, XOffsets []int32 // of the rows
	Y                  []uint8
	Sums               []int32
	Addend             []uint8 // with the offsets of Y, or nil; it may be Y
	Result             ByteResult
	Next               []uint8 // memory that is loaded into the cache, such as the next panel; nil for none

	call byteRowsCall // part of the struct so that it is not allocated at each call
}

// byteRowsCall is the argument of the assembly; the generator has the same offsets.
type byteRowsCall struct {
	x             *uint8
	xOffsets      *int32
	b             *uint8
	initial       *int32
	length        int // bytes
	skip          int // bytes from the end of a segment to the next
	segments      int
	_             int // segments that are left, for the assembly
	tiles         int // with as many rows, one after the other; counted down
	at            int // bytes of offsets that are done, for the assembly; begins at 0
	y             *uint8
	yOffsets      *int32
	sums          *int32
	addend        *uint8
	mask          uint64
	columns       int
	order         [16]uint8
	_             [32]uint8 // a row of bytes, for the assembly
	next, nextEnd uintptr   // that is prefetched, and its last line; numbers, because the assembly changes one
	ahead         int       // bytes from a result to one that is loaded into the cache; 0 for none
	result        byteResultCall
}

// byteResultCall is the part of the arguments of the assembly that is a ByteResult.
type byteResultCall struct {
	shift, multiplier                 *int32
	negativeShift, negativeMultiplier *int32
	offset, rounding, addend          [2]int16 // rounding is 2^(15 − Digits)
	low, high                         [4]uint8
	limited                           uint32       // 0 if all bytes are in the range from low to high
	_                                 [4][64]uint8 // multipliers of 16 bits in the order of packed sums, for the assembly
}

// set sets the argument for a number of lanes.
func (r *ByteResult) set(c *byteResultCall, lanes int) {
	twice := func(x int16) [2]int16 { return [2]int16{x, x} }
	c.offset, c.rounding, c.addend = twice(r.offset()), twice(1<<(15-r.Digits)), twice(int16(r.AddendMultiplier))
	c.low, c.high = [4]uint8{r.Low, r.Low, r.Low, r.Low}, [4]uint8{r.High, r.High, r.High, r.High}
	c.limited = uint32(r.Low) | uint32(^r.High)
	c.shift, c.multiplier = &r.Shift[:lanes][0], &r.Multiplier[:lanes][0]
	c.negativeShift, c.negativeMultiplier = nil, nil
	if r.NegativeShift != nil {
		c.negativeShift, c.negativeMultiplier = &r.NegativeShift[:lanes][0], &r.NegativeMultiplier[:lanes][0]
	}
}

// byteScaling has what the assembly needs of a WideByteResult to scale numbers.
type byteScaling struct {
	half             int64     // 2^(Shift−1)
	shift, left      [2]uint64 // Shift and 32 − Shift, in the first of two
	addendMultiplier int64
}

func (r *WideByteResult) scaling() byteScaling {
	return byteScaling{
		half: 1 << (r.Shift - 1), shift: [2]uint64{uint64(r.Shift)}, left: [2]uint64{32 - uint64(r.Shift)},
		addendMultiplier: int64(r.AddendMultiplier),
	}
}

// byteOrder is the transpose of a 4×4 matrix.
var byteOrder = [16]uint8{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}

// PortableBytes is the engine in plain Go.
type PortableBytes struct{}

// portableByteLanes is the number of columns of a vector of PortableBytes.
const portableByteLanes = 4

// Name returns "portable".
func (PortableBytes) Name() string { return "portable" }

// Lanes returns the number of columns of a vector.
func (PortableBytes) Lanes() int { return portableByteLanes }

// MaxWidth returns the largest width of a panel.
func (PortableBytes) MaxWidth() int { return 1 }

// PanelSize returns the number of bytes of a panel.
func (PortableBytes) PanelSize(depth, width int) int { return depth * width * portableByteLanes }

// PackRows packs a panel: four bytes of each column are side by side.
func (PortableBytes) PackRows(panel []uint8, weights []int8, depth, columns, width int) {
	packBytes(panel, weights, depth, columns, width*portableByteLanes)
}

// packBytes writes the panel (depth/4, lanes, 4).
func packBytes(panel []uint8, weights []int8, depth, columns, lanes int) {
	clear(panel[:depth*lanes])
	for j := range columns {
		for k, w := range weights[j*depth:][:depth] {
			panel[(k/4*lanes+j)*4+k%4] = uint8(w)
		}
	}
}

// Rows computes a product.
func (PortableBytes) Rows(r *ByteRows) {
	for i, at := range r.XOffsets {
		sums := [portableByteLanes]int32(r.Initial)
		b := r.B
		for s := range r.Segments {
			x := r.X[int(at)+s*r.Stride:][:r.Length]
			for len(x) >= 4 {
				w := (*[4 * portableByteLanes]uint8)(b)
				x0, x1, x2, x3 := int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])
				for j := range sums {
					sums[j] += x0*int32(int8(w[4*j])) + x1*int32(int8(w[4*j+1])) + x2*int32(int8(w[4*j+2])) + x3*int32(int8(w[4*j+3]))
				}
				x, b = x[4:], b[4*portableByteLanes:]
			}
		}
		to := int(r.YOffsets[i])
		if r.Sums != nil {
			copy(r.Sums[to:][:r.Columns], sums[:])
			continue
		}
		for j, sum := range sums[:r.Columns] {
			var a uint8
			if r.Addend != nil {
				a = r.Addend[to+j]
			}
			r.Y[to+j] = r.Result.Byte(sum, j, a, r.Addend != nil)
		}
	}
}

// Byte returns the byte of a sum, with the byte of an addend if add is set.
func (r *ByteResult) Byte(sum int32, column int, addend uint8, add bool) uint8 {
	shift, multiplier := r.Shift[column], r.Multiplier[column]
	if sum < 0 && r.NegativeShift != nil {
		shift, multiplier = r.NegativeShift[column], r.NegativeMultiplier[column]
	}
	t := (saturated(sum>>shift)*multiplier + 1<<14) >> 15
	if add {
		t = saturated(t + int32(addend)*int32(r.AddendMultiplier)>>8)
	}
	t = saturated(t + int32(r.offset()))
	y := (t + 1<<(r.Digits-1)) >> r.Digits
	return uint8(min(max(y, int32(r.Low)), int32(r.High)))
}

// saturated returns the nearest number of 16 bits.
func saturated(x int32) int32 { return min(max(x, math.MinInt16), math.MaxInt16) }

// Byte returns the byte of a number, with the byte of an addend if add is set.
func (r *WideByteResult) Byte(s int32, column int, addend uint8, add bool) uint8 {
	multiplier := r.Multiplier[column]
	if s < 0 && r.Negative != nil {
		multiplier = r.Negative[column]
	}
	product := int64(s) * int64(multiplier)
	if add {
		product += (int64(addend) - int64(r.AddendZero)) * int64(r.AddendMultiplier)
	}
	y := int64(r.Zero) + (product+1<<(r.Shift-1))>>r.Shift
	return uint8(min(max(y, int64(r.Low)), int64(r.High)))
}

// Maxima computes the maximum of each window for each channel.
func (PortableBytes) Maxima(w *ByteWindows) {
	for i := range w.Count {
		y := w.Y[i*w.YStep:][:w.Channels]
		clear(y)
		for _, offset := range w.Offsets {
			for c, a := range w.X[i*w.Step+int(offset):][:w.Channels] {
				y[c] = max(y[c], a)
			}
		}
	}
}

// Sums adds rows to sums.
func (PortableBytes) Sums(sum []int32, x []uint8, rows, step int) {
	for i := range rows {
		for c, a := range x[i*step:][:len(sum)] {
			sum[c] += int32(a)
		}
	}
}

// Lookup writes the bytes of a table.
func (PortableBytes) Lookup(y, x, table []uint8) {
	t := (*[256]uint8)(table)
	for i, a := range x {
		y[i] = t[a]
	}
}

// Lookups writes the bytes of the tables of channels.
func (PortableBytes) Lookups(y, x, tables []uint8, channels int) {
	if channels == 3 {
		red, green, blue := (*[256]uint8)(tables), (*[256]uint8)(tables[256:]), (*[256]uint8)(tables[512:])
		for len(x) >= 3 && len(y) >= 3 {
			y[0], y[1], y[2] = red[x[0]], green[x[1]], blue[x[2]]
			x, y = x[3:], y[3:]
		}
	}
	for i, a := range x {
		y[i] = tables[i%channels<<8|int(a)]
	}
}

// portableByteBlock is the number of channels of a block of PortableBytes.
const portableByteBlock = 16

// DepthwiseLanes returns the number of channels of a block, and the least number of them.
func (PortableBytes) DepthwiseLanes() (lanes, least int) { return portableByteBlock, 1 }

// DepthwiseRows returns the number of rows of a group.
func (PortableBytes) DepthwiseRows() int { return 1 }

// HasDepthwise returns true.
func (PortableBytes) HasDepthwise(int, int) bool { return true }

// DepthwiseChannel returns the channel of a position.
func (PortableBytes) DepthwiseChannel(position int) int { return position }

// DepthwiseSize returns the number of bytes of packed weights.
func (PortableBytes) DepthwiseSize(height, width int) int { return height * width * portableByteBlock }

// PackDepthwise packs weights as (height, width, channels).
func (PortableBytes) PackDepthwise(packed []uint8, weights []int8, height, width, channels int) {
	for c := range channels {
		for tap := range height * width {
			packed[tap*portableByteBlock+c] = uint8(weights[c*height*width+tap])
		}
	}
}

// Depthwise computes a row of results.
func (PortableBytes) Depthwise(d *ByteDepthwise) {
	for i := range d.Count {
		sums := [portableByteBlock]int32(d.Initial)
		for k, row := range d.Rows {
			for l := range d.Columns {
				w := (*[portableByteBlock]uint8)(d.Weights[(k*d.Columns+l)*portableByteBlock:])
				for c, a := range d.X[int(row)+(i*d.Step+l)*d.XPixel:][:d.Channels] {
					sums[c] += int32(a) * int32(int8(w[c]))
				}
			}
		}
		for c := range d.Channels {
			d.Y[i*d.YPixel+c] = d.Result.Byte(sums[c], c, 0, false)
		}
	}
}

// Add adds two arrays.
func (PortableBytes) Add(y, a, b []uint8, firstZero uint8, q *WideByteResult) {
	for i, v := range a {
		y[i] = q.Byte(int32(v)-int32(firstZero), 0, b[i], true)
	}
}

// Multiply multiplies by factors.
func (PortableBytes) Multiply(y, x []uint8, factors []int32, firstZero uint8, q *WideByteResult) {
	for at := 0; at < len(x); at += len(factors) {
		for c, factor := range factors {
			y[at+c] = q.Byte((int32(x[at+c])-int32(firstZero))*factor, 0, 0, false)
		}
	}
}

// MultiplyAdds multiplies and adds in registers.
func (PortableBytes) MultiplyAdds(iterations int) int {
	var sums [portableByteLanes]int32
	for i := range iterations {
		for j := range sums {
			sums[j] += int32(uint8(i)) * int32(int8(j))
		}
	}
	byteSink.Store(sums[0] + sums[1] + sums[2] + sums[3])
	return 2 * len(sums) * max(0, iterations)
}

// byteSink keeps sums that are needed for nothing else.
var byteSink atomic.Int32
