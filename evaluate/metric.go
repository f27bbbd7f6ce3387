package evaluate

// Metric is a distance between embeddings, of which smaller means more similar. It
// is all that this package needs of a distance: heads.Distance satisfies it, and
// heads.FromFunc makes one of any function. A Metric may be used by several
// goroutines at once; a method that panics is an error of the measure that calls it.
//
// x and y are row-major matrices of embeddings of so many columns. Shapes that do
// not fit must be an error.
type Metric interface {
	// Paired fills distances (rows) with the distance of each row of x (rows,
	// columns) from the same row of y (rows, columns).
	Paired(distances []float64, x, y []float32, columns int) error

	// Pairwise fills distances (rows, references) with the distance of each row of
	// x (rows, columns) from each row of y (references, columns). What it finds for
	// two rows must not depend on the other rows.
	Pairwise(distances []float64, x, y []float32, columns int) error
}
