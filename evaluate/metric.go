package evaluate

import "github.com/pkg/errors"

// Metric measures how far apart embeddings are: the smaller a distance, the
// more alike. A Metric may be used by several goroutines at once.
//
// Both methods demand embeddings of equally many columns and room of exactly
// the stated length, and return an error otherwise.
type Metric interface {
	// Distances fills distances, of shape (queries.Rows, references.Rows) and
	// row-major, with the distance from each query to each reference. What it
	// finds for two rows does not depend on the other rows.
	Distances(distances []float64, queries, references Embeddings) error

	// Pairs fills distances, of length x.Rows = y.Rows, with the distance from
	// row i of x to row i of y.
	Pairs(distances []float64, x, y Embeddings) error
}

// MetricFunc makes a Metric of a function of two rows of equal length. A function
// that panics is an error of the Metric, as is nil.
type MetricFunc func(x, y []float32) float64

// Distances calls the function for each query and each reference.
func (between MetricFunc) Distances(distances []float64, queries, references Embeddings) (err error) {
	defer recovered(between, &err)
	if err := checkDistances(distances, queries, references); err != nil {
		return err
	}
	for q := range queries.Rows {
		row := distances[q*references.Rows : (q+1)*references.Rows]
		for r := range row {
			row[r] = between(queries.Row(q), references.Row(r))
		}
	}
	return nil
}

// Pairs calls the function for each pair of rows.
func (between MetricFunc) Pairs(distances []float64, x, y Embeddings) (err error) {
	defer recovered(between, &err)
	if err := checkPairs(distances, x, y); err != nil {
		return err
	}
	for i := range distances {
		distances[i] = between(x.Row(i), y.Row(i))
	}
	return nil
}

func checkDistances(distances []float64, queries, references Embeddings) error {
	if err := checkColumns(queries, references); err != nil {
		return err
	}
	if len(distances) != queries.Rows*references.Rows {
		return errors.Errorf("room for %d distances, but there are %d queries × %d references",
			len(distances), queries.Rows, references.Rows)
	}
	return nil
}

func checkPairs(distances []float64, x, y Embeddings) error {
	if err := checkColumns(x, y); err != nil {
		return err
	}
	if x.Rows != y.Rows || len(distances) != x.Rows {
		return errors.Errorf("room for %d distances, but the pairs are %d and %d rows", len(distances), x.Rows, y.Rows)
	}
	return nil
}

func checkColumns(x, y Embeddings) error {
	if err := x.checkShape(); err != nil {
		return err
	}
	if err := y.checkShape(); err != nil {
		return err
	}
	if x.Columns != y.Columns {
		return errors.Errorf("embeddings of %d columns cannot be compared with embeddings of %d", x.Columns, y.Columns)
	}
	return nil
}
