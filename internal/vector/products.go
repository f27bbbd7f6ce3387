package vector

import "unsafe"

// Rows is a product of rows anywhere in memory with a panel of packed columns:
//
//	C[COffsets[i]+j] = Initial[j] + Σ A[AOffsets[i]+s·Stride+k] · B[(s·Length+k)·Width·Lanes+j]
//
// summed over s < Segments and k < Length, for each row i in order and each j < Columns.
// With Add, the old C is added; rows of C may then overlap. With Add and an Addend, Addend[COffsets[i]+j] is
// added instead.
//
// This is a convolution if each row is an output pixel and each segment a row of its
// window, read in place.
type Rows[T Float] struct {
	C                  []T
	A                  []T
	B                  []T     // a panel: its rows have Width vectors, zero beyond Columns
	Initial            []T     // (Columns), or nil for zeros
	Width              int     // of the panel, in vectors
	Columns            int     // of C, more than (Width−1)·Lanes and at most Width·Lanes
	Segments           int     // at least 1
	Length, Stride     int     // of a segment, at least 1 element, and from one to the next
	COffsets, AOffsets []int32 // of the rows
	Add                bool
	Addend             []T  // nil for C itself; it must not overlap C
	Clip               Clip // of the result, whose rows then must not overlap

	// Ahead is an array that is needed later, such as the next panel, and is loaded into the level 2
	// cache meanwhile. Rows removes from it what it has loaded, which may be nothing.
	Ahead []T

	call rowsCall // part of the struct so that it is not allocated at each call
}

// rowsCall is the argument of the assembly; the generator has the same offsets.
type rowsCall struct {
	c        *float32
	cOffsets *int32
	a        *float32
	aOffsets *int32
	b        *float32
	initial  *float32
	length   int // bytes
	skip     int // bytes from the end of a segment to the next
	segments int
	add      int
	clip     clipRange
	tiles    int // with as many rows, one after the other; counted down
	_        int // segments that are left, for the assembly
	at       int // bytes of offsets that are done, for the assembly; begins at 0

	ahead     uintptr // the address that is loaded next, and the distance to the one after it, or 0
	aheadStep int
	mask      mask
	addend    *float32
}

// Rows computes a product.
func (s *Set) Rows(r *Rows[float32]) { s.rowsWith(r, s.rows) }

// rowsWith computes a product by the given tiles.
func (s *Set) rowsWith(r *Rows[float32], all [][]func(*rowsCall)) {
	count := len(r.AOffsets)
	if count == 0 {
		return
	}
	_ = r.COffsets[count-1]
	_ = r.B[r.Segments*r.Length*r.Width*s.lanes-1]
	call := &r.call
	*call = rowsCall{
		c: &r.C[0], a: &r.A[0], b: &r.B[0],
		length: 4 * r.Length, skip: 4 * (r.Stride - r.Length),
		clip: r.Clip.around(), mask: maskOf(r.Columns - (r.Width-1)*s.lanes),
	}
	if r.Initial != nil {
		call.initial = &r.Initial[:r.Columns][0]
	}
	if r.Add {
		call.add, call.addend = 1, &r.C[0]
		if r.Addend != nil {
			call.addend = &r.Addend[0]
			_ = r.Addend[:int(r.COffsets[count-1])+r.Columns]
		}
	}
	tiles := all[r.Width]
	most := len(tiles) - 1
	n, least, larger := 1, count, 0 // tiles; larger ones have a row more
	if count > most {
		n = (count + most - 1) / most
		least, larger = count/n, count%n
	}
	first := 0
	for _, part := range [2][2]int{{larger, least + 1}, {n - larger, least}} {
		for left := part[0]; left > 0; {
			count := call.loadAhead(r, left)
			s.rowsTiles(r, tiles[part[1]], first, count, part[1])
			first += count * part[1]
			left -= count
		}
	}
}

// Tiles of at least aheadWidth vectors load two cache lines ahead every aheadElements elements of
// a row; the generator has the same numbers.
const (
	aheadWidth    = 2
	aheadElements = 4
	aheadBytes    = 128
)

// loadAhead sets what is loaded ahead by the next of a number of tiles, and returns the number of
// tiles that load it.
func (c *rowsCall) loadAhead(r *Rows[float32], tiles int) int {
	c.ahead, c.aheadStep = uintptr(unsafe.Pointer(c.b)), 0
	each := r.Segments * (r.Length / aheadElements) * aheadBytes / 4 // elements of a tile
	if len(r.Ahead) == 0 || r.Width < aheadWidth || each == 0 {
		return tiles
	}
	c.ahead, c.aheadStep = uintptr(unsafe.Pointer(&r.Ahead[0])), aheadBytes
	if tiles > 1 {
		tiles = min(tiles, (len(r.Ahead)+each-1)/each)
	}
	r.Ahead = r.Ahead[min(len(r.Ahead), tiles*each):]
	return tiles
}

// Outer is a sum of outer products of short runs of A with parts of rows of B:
//
//	C[i·CStride+j] = Σ A[AOffsets[p]+i] · B[BOffsets[p]+j]
//
// summed over all p, of which there must be at least one, for each i < Run and j <
// Columns. With Add, the old C is added.
//
// This is the gradient of the weights of a convolution if p numbers output pixels, runs are
// rows of a window, and B is the gradient of the output.
type Outer[T Float] struct {
	C                  []T
	A, B               []T
	AOffsets, BOffsets []int32
	Run                int // rows of C
	Columns            int // of C and B
	CStride            int
	Add                bool

	call outerCall // part of the struct so that it is not allocated at each call
}

// outerCall is the argument of the assembly; the generator has the same offsets.
type outerCall struct {
	c        *float32
	cStride  int // bytes
	a        *float32
	aOffsets *int32
	b        *float32
	bOffsets *int32
	count    int
	add      int
	mask     mask
}

// Outer computes a sum of outer products.
func (s *Set) Outer(o *Outer[float32]) { s.outerWith(o, s.outer) }

// outerWith computes a sum of outer products by the given tiles.
func (s *Set) outerWith(o *Outer[float32], all [][]func(*outerCall)) {
	if len(o.AOffsets) == 0 || o.Run == 0 || o.Columns == 0 {
		return
	}
	_ = o.BOffsets[len(o.AOffsets)-1]
	_ = o.C[(o.Run-1)*o.CStride+o.Columns-1]
	vectors := (o.Columns + s.lanes - 1) / s.lanes
	panels := (vectors + s.MaxWidth() - 1) / s.MaxWidth()
	call := &o.call
	*call = outerCall{
		cStride:  4 * o.CStride,
		aOffsets: &o.AOffsets[0], bOffsets: &o.BOffsets[0], count: len(o.AOffsets),
	}
	if o.Add {
		call.add = 1
	}
	for panel := range panels {
		from, to := panel*vectors/panels, (panel+1)*vectors/panels
		left := from * s.lanes
		call.b = &o.B[left]
		call.mask = maskOf(min(s.lanes, o.Columns-(to-1)*s.lanes))
		tiles := all[to-from]
		most := len(tiles) - 1
		n := (o.Run + most - 1) / most
		for i := range n {
			first, last := i*o.Run/n, (i+1)*o.Run/n
			call.a, call.c = &o.A[first], &o.C[first*o.CStride+left]
			tiles[last-first](call)
		}
	}
}

// innerTile is the size of a tile of InnerProducts.
type innerTile struct{ rows, columns int }

// InnerTile returns the size of a tile of InnerProducts.
func (s *Set) InnerTile() (rows, columns int) { return s.inner.rows, s.inner.columns }

// InnerProducts adds a tile of inner products.
func (s *Set) InnerProducts(c []float64, stride int, a, b []float64) {
	n := len(a) / s.inner.rows
	if n == 0 {
		return
	}
	_, _ = c[(s.inner.rows-1)*stride+s.inner.columns-1], b[n*s.inner.columns-1]
	s.innerProducts(&c[0], 8*stride, &a[0], &b[0], n)
}

// Peaks is a sum of outer products over the maxima (peaks) of pooling windows of four
// positions. It equals the sum that Outer would compute if the values were scattered to
// their positions, where three of four elements would be zero.
//
//	C[(r·Taps+t)·CStride+j] += Σ A[i·AStep+Offsets[p]+r·ARow+t] · Y[i·Channels+j]
//
// summed over the windows i < Count, with p = Position[i·Channels+j], for each row of taps
// r < Rows, each t < Taps and each j < Channels. Values whose position is none of the four
// are ignored. The sum of all others is added to Sum, unless that is nil.
//
// This is the gradient of the weights of a first layer, with few channels, where scattering
// would take longer than the products.
type Peaks[T Float] struct {
	C        []T
	CStride  int
	Sum      []T // (Channels)
	A        []T
	AStep    int
	ARow     int
	Offsets  [4]int
	Y        []T
	Position []uint8
	Count    int // windows, at least 1
	Channels int
	Rows     int // of taps
	Taps     int // in a row, at most MaxTaps

	call peaksCall
}

// MaxTaps is the largest number of taps in a row of Peaks.
const MaxTaps = 12

// PeakAdder is implemented by engines that have Peaks in assembly.
type PeakAdder interface{ Peaks(*Peaks[float32]) }

// peaksCall is the argument of the assembly; the generator has the same offsets.
type peaksCall struct {
	c           *float32
	cStride     int // bytes
	sum         *float32
	a           *float32
	aStep, aRow int // bytes
	y           *float32
	position    *uint8
	channels    int
	count       int
	offsets     [4]int // bytes
	mask        uint64
}
