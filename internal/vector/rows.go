package vector

// Rows is a product of rows that lie anywhere in memory with a panel of packed
// columns:
//
//	C[COffsets[i]+j] = Initial[j] + Σ A[AOffsets[i]+s·Stride+k] · B[(s·Length+k)·Width·Lanes+j]
//
// over the segments s < Segments and k < Length, for each row i in turn and
// each j < Columns. With Add, the old C is added; rows of C may then overlap.
//
// This is a convolution where each row is an output pixel and each segment a
// row of its window, read in place.
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

	call rowsCall // here, so that it is not allocated each time
}

// rowsCall is what the assembly reads.
type rowsCall struct {
	c        *float32
	cOffsets *int32
	a        *float32
	aOffsets *int32
	b        *float32
	initial  *float32
	length   int // bytes
	skip     int // bytes from the end of a segment to the next
	segments int // counted down
	add      int
	mask     mask
}

// Rows computes a product.
func (s *Set) Rows(r *Rows[float32]) {
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
		mask: maskOf(r.Columns - (r.Width-1)*s.lanes),
	}
	if r.Initial != nil {
		call.initial = &r.Initial[:r.Columns][0]
	}
	if r.Add {
		call.add = 1
	}
	tiles := s.rows[r.Width]
	most := len(tiles) - 1
	n := (count + most - 1) / most
	for i := range n {
		first, last := i*count/n, (i+1)*count/n
		call.aOffsets, call.cOffsets = &r.AOffsets[first], &r.COffsets[first]
		call.segments = r.Segments
		tiles[last-first](call)
	}
}
