package retrieval

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// ErrTooMany says that more than MostPairs pairs are within a threshold.
var ErrTooMany = errors.New("too many pairs: choose a smaller threshold")

// MostPairs is how many pairs Near returns at most.
const MostPairs = 1 << 20

// Pair is two images of a collection, by their indices.
type Pair struct {
	A, B     int // A < B
	Distance float64
}

// A tile of distances is as large as this in each direction, so that those in
// memory are those of one tile for each processor and never all.
const (
	tileRows    = 128
	tileColumns = 2048
)

// Near returns the pairs whose distance is at most the threshold, the nearest
// first; of equal distances the one with the lower indices. onProgress is told how
// many parts of the work are done; nil asks for nothing. The errors are ErrTooMany,
// a distance that is not a finite number, and the context's, when it ends.
func (c *Collection) Near(ctx context.Context, threshold float64, onProgress func(done, total int)) ([]Pair, error) {
	if math.IsNaN(threshold) || math.IsInf(threshold, 0) {
		return nil, errors.Errorf("near images: the threshold is %v, expected a finite number", threshold)
	}
	if err := c.check(); err != nil {
		return nil, errors.WithMessage(err, "near images")
	}
	rows := c.Embeddings.Rows
	found := make([][]Pair, (rows+tileRows-1)/tileRows)
	var count atomic.Int64
	err := parallel.EachProgress(ctx, 0, len(found), onProgress, func(strip int) error {
		begin := strip * tileRows
		end := min(begin+tileRows, rows)
		for from := begin; from < rows; from += tileColumns {
			to := min(from+tileColumns, rows)
			distances, err := c.distances(c.part(begin, end), c.part(from, to))
			if err != nil {
				return err
			}
			for a := begin; a < end; a++ {
				for b := max(a+1, from); b < to; b++ {
					if d := distances[(a-begin)*(to-from)+b-from]; d <= threshold {
						found[strip] = append(found[strip], Pair{a, b, d})
					}
				}
			}
			if len(found[strip]) > MostPairs {
				return errTooMany(threshold)
			}
		}
		if count.Add(int64(len(found[strip]))) > MostPairs {
			return errTooMany(threshold)
		}
		return nil
	})
	if err != nil {
		return nil, errors.WithMessage(err, "near images")
	}
	pairs := slices.Concat(found...)
	slices.SortStableFunc(pairs, func(x, y Pair) int { return cmp.Compare(x.Distance, y.Distance) })
	return pairs, nil
}

func errTooMany(threshold float64) error {
	return errors.Wrapf(ErrTooMany, "found more than %d pairs within %g", MostPairs, threshold)
}

// check says what a collection lacks that Embed gives it.
func (c *Collection) check() error {
	switch {
	case c == nil:
		return errors.New("the collection is nil, expected one of Embed")
	case c.Metric == nil:
		return errors.New("the collection has no Metric, expected that of likeness.Model.Metric")
	}
	_, err := evaluate.NewEmbeddings(c.Embeddings.Rows, c.Embeddings.Columns, c.Embeddings.Data)
	return err
}

// part is the embeddings from begin to end, not copies of them.
func (c *Collection) part(begin, end int) evaluate.Embeddings {
	all := c.Embeddings
	return evaluate.Embeddings{Rows: end - begin, Columns: all.Columns, Data: all.Data[begin*all.Columns : end*all.Columns]}
}

// distances are those from each query to each reference, in rows of the queries.
func (c *Collection) distances(queries, references evaluate.Embeddings) ([]float64, error) {
	distances := make([]float64, queries.Rows*references.Rows)
	if err := c.Metric.Distances(distances, queries, references); err != nil {
		return nil, err
	}
	for _, d := range distances {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return nil, errors.Errorf("found the distance %v, expected a finite number", d)
		}
	}
	return distances, nil
}
