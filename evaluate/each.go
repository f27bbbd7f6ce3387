package evaluate

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// queryBlock is how many queries are measured at a time, so that the distances
// in memory are those of one block for each processor and never all.
const queryBlock = 128

// eachQuery measures the distances from each query to all references and calls
// visit with them, from several goroutines at once; visit may overwrite the
// distances. A distance that is no finite number is an error.
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

// firstError is the error of the lowest index, so that it too does not depend
// on the goroutines.
func firstError(failures []error) error {
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}
