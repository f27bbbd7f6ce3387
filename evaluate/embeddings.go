package evaluate

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Embeddings is a matrix with one embedding per row.
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

// FromRows copies rows, which must have the same length, into a matrix.
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

// Select copies the rows with the given indices, in their order, into a new matrix. Each
// index must be in [0, Rows) and may occur repeatedly.
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

// Labeled has embeddings with the class of each row. A class is any integer.
type Labeled struct {
	Embeddings
	Labels []int // one per row
}

func (l Labeled) check() error {
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

// Metric is a distance between embeddings; a smaller one means more similar. The distances
// of package heads implement it: heads.L2{}.Distance(nil) returns one, Model.Metric that of a
// trained model, and heads.FromFunc one for any function. A Metric is used by several
// goroutines at once. If a method panics, the function that calls it
// returns an error.
//
// x and y are row-major matrices of embeddings with the given number of columns. Shapes
// that do not match must be an error.
type Metric interface {
	// Paired fills distances (rows) with the distance of each row of x (rows,
	// columns) from the same row of y (rows, columns).
	Paired(distances []float64, x, y []float32, columns int) error

	// Pairwise fills distances (rows, references) with the distance of each row of x
	// (rows, columns) from each row of y (references, columns). The result for two rows
	// must not depend on the other rows.
	Pairwise(distances []float64, x, y []float32, columns int) error
}

// queryBlock is how many queries are measured at a time, so that the distances
// in memory are those of one block for each processor and never all.
const queryBlock = 128

// eachQuery computes the distances from each query to all references and calls
// visit with them, from several goroutines at once; visit may overwrite the
// distances. A distance that is not a finite number is an error.
func eachQuery(metric Metric, queries, references Embeddings, visit func(query int, distances []float64)) error {
	blocks := (queries.Rows + queryBlock - 1) / queryBlock
	failures := make([]error, blocks)
	parallel.For(blocks, func(block int) {
		begin := block * queryBlock
		part := queries.slice(begin, min(begin+queryBlock, queries.Rows))
		distances := make([]float64, part.Rows*references.Rows)
		if failures[block] = pairwise(metric, distances, part, references); failures[block] != nil {
			return
		}
		for i := range part.Rows {
			row := distances[i*references.Rows : (i+1)*references.Rows]
			if failures[block] = checkFinite(row); failures[block] != nil {
				failures[block] = errors.Wrapf(failures[block], "query %d", begin+i)
				return
			}
			visit(begin+i, row)
		}
	})
	return firstError(failures)
}

// pairwise measures the distances (queries.Rows, references.Rows) from each query
// to each reference.
func pairwise(metric Metric, distances []float64, queries, references Embeddings) error {
	return measured(metric, queries, references, func() error {
		return metric.Pairwise(distances, queries.Data, references.Data, queries.Columns)
	})
}

// paired measures the distances of aligned rows.
func paired(metric Metric, distances []float64, x, y Embeddings) error {
	return measured(metric, x, y, func() error { return metric.Paired(distances, x.Data, y.Data, x.Columns) })
}

// measured makes an error of a nil metric, of embeddings that do not fit, and of a
// panic, which in another goroutine than the caller's would end the process.
func measured(metric Metric, x, y Embeddings, measure func() error) (err error) {
	if metric == nil {
		return errors.New("found no metric, expected a distance of package heads or that of likeness.Model.Metric")
	}
	for _, embeddings := range []Embeddings{x, y} {
		if err := embeddings.checkShape(); err != nil {
			return err
		}
	}
	if x.Columns != y.Columns {
		return errors.Errorf("embeddings of %d columns cannot be compared with embeddings of %d", x.Columns, y.Columns)
	}
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("the metric %T panics: %v", metric, r)
		}
	}()
	return measure()
}

func checkFinite(distances []float64) error {
	for i, d := range distances {
		if !finite(d) {
			return errors.Errorf("distance %d is %v, want a finite number", i, d)
		}
	}
	return nil
}

// firstError is the error of the lowest index, so that it does not depend on the
// order in which goroutines run.
func firstError(failures []error) error {
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}
