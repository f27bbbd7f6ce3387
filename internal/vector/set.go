package vector

// Set is the engine of one instruction set. What it has no assembly for, it
// does as Portable.
type Set struct {
	Portable[float32]

	name  string
	lanes int
	rows  [][]func(*rowsCall)  // by width in vectors and number of rows
	outer [][]func(*outerCall) // the same
	routines
}

// Name is the instruction set's.
func (s *Set) Name() string { return s.name }

// Lanes is the number of float32s in a vector.
func (s *Set) Lanes() int { return s.lanes }

// MaxWidth is the most vectors that a panel may be wide.
func (s *Set) MaxWidth() int { return len(s.rows) - 1 }

// mask says which lanes of the last vector of a row count.
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
