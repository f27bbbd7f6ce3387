package evaluate

import (
	"math"

	"github.com/pkg/errors"
)

// Embeddings is a matrix of embeddings, one a row.
type Embeddings struct {
	Rows, Columns int
	Data          []float32 // row-major, Rows·Columns elements
}

// NewEmbeddings returns data as a matrix, without copying it. Its length must
// be rows·columns.
func NewEmbeddings(rows, columns int, data []float32) (Embeddings, error) {
	e := Embeddings{Rows: rows, Columns: columns, Data: data}
	return e, e.checkShape()
}

// FromRows copies rows, all of one length, into a matrix.
func FromRows(rows [][]float32) (Embeddings, error) {
	if len(rows) == 0 {
		return Embeddings{}, errors.New("no rows to make embeddings of")
	}
	e := Embeddings{Rows: len(rows), Columns: len(rows[0])}
	e.Data = make([]float32, 0, e.Rows*e.Columns)
	for i, row := range rows {
		if len(row) != e.Columns {
			return Embeddings{}, errors.Errorf("row %d has %d columns, but row 0 has %d", i, len(row), e.Columns)
		}
		e.Data = append(e.Data, row...)
	}
	return e, e.checkShape()
}

// Row returns row i, not a copy of it. Like an index into a slice, i must be
// in [0, Rows).
func (e Embeddings) Row(i int) []float32 {
	begin, end := i*e.Columns, (i+1)*e.Columns
	return e.Data[begin:end:end]
}

// Select copies the rows of those indices, in their order, into a new matrix.
// Each must be in [0, Rows); one may come more than once.
func (e Embeddings) Select(indices []int) Embeddings {
	selected := Embeddings{Rows: len(indices), Columns: e.Columns}
	selected.Data = make([]float32, 0, selected.Rows*selected.Columns)
	for _, i := range indices {
		selected.Data = append(selected.Data, e.Row(i)...)
	}
	return selected
}

// slice returns the rows [begin, end), not a copy of them.
func (e Embeddings) slice(begin, end int) Embeddings {
	return Embeddings{Rows: end - begin, Columns: e.Columns, Data: e.Data[begin*e.Columns : end*e.Columns]}
}

func (e Embeddings) checkShape() error {
	// Divided, because a product might overflow.
	if e.Rows < 0 || e.Columns < 1 || len(e.Data)%e.Columns != 0 || len(e.Data)/e.Columns != e.Rows {
		return errors.Errorf("embeddings of %d rows and %d columns have %d elements", e.Rows, e.Columns, len(e.Data))
	}
	return nil
}

// check also demands that all elements are finite numbers.
func (e Embeddings) check() error {
	if err := e.checkShape(); err != nil {
		return err
	}
	for i, x := range e.Data {
		if !finite(float64(x)) {
			return errors.Errorf("embedding %d is %v in column %d", i/e.Columns, x, i%e.Columns)
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Labelled is embeddings whose classes are known. A class is any integer.
type Labelled struct {
	Embeddings
	Labels []int // one a row
}

func (l Labelled) check() error {
	if err := l.Embeddings.check(); err != nil {
		return err
	}
	if l.Rows == 0 {
		return errors.New("there are no embeddings")
	}
	if len(l.Labels) != l.Rows {
		return errors.Errorf("%d embeddings have %d labels", l.Rows, len(l.Labels))
	}
	return nil
}
