package vector

// Set is the engine of one instruction set. Loops without assembly are those of Portable.
type Set struct {
	Portable[float32]

	name  string
	lanes int
	rows  [][]func(*rowsCall)  // by width in vectors and number of rows
	outer [][]func(*outerCall) // likewise

	inner                         innerTile
	depthwise, depthwiseGradient  depthwiseTiles
	scanProducts, scanDifferences []scanTile // the largest first; nil without assembly

	routines
}

// Name returns the name of the instruction set.
func (s *Set) Name() string { return s.name }

// Lanes returns the number of float32 elements in a vector.
func (s *Set) Lanes() int { return s.lanes }

// MaxWidth returns the largest width of a panel, in vectors.
func (s *Set) MaxWidth() int { return len(s.rows) - 1 }

// mask selects the lanes of the last vector of a row that are inside the row.
type mask struct {
	bits  uint64
	lanes [8]int32
}

func maskOf(lanes int) (m mask) {
	m.bits = 1<<lanes - 1
	for i := range min(lanes, len(m.lanes)) {
		m.lanes[i] = -1
	}
	return m
}
