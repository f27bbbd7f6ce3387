package vector

// Outer is a sum of outer products of short runs of A and parts of rows of B:
//
//	C[i·CStride+j] = Σ A[AOffsets[p]+i] · B[BOffsets[p]+j]
//
// over all p, of which there is at least one, for each i < Run and j < Columns. With Add, the old C is added.
//
// This is the gradient of a convolution's weights where p counts output
// pixels, runs are rows of a window, and B is the gradient of the output.
type Outer[T Float] struct {
	C                  []T
	A, B               []T
	AOffsets, BOffsets []int32
	Run                int // rows of C
	Columns            int // of C and B
	CStride            int
	Add                bool

	call outerCall // here, so that it is not allocated each time
}

// outerCall is what the assembly reads.
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
func (s *Set) Outer(o *Outer[float32]) {
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
		tiles := s.outer[to-from]
		most := len(tiles) - 1
		n := (o.Run + most - 1) / most
		for i := range n {
			first, last := i*o.Run/n, (i+1)*o.Run/n
			call.a, call.c = &o.A[first], &o.C[first*o.CStride+left]
			tiles[last-first](call)
		}
	}
}
