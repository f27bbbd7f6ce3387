package retrieval

import (
	"cmp"
	"context"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Match is an image of a collection, by its index, and how far it is from a query.
type Match struct {
	Image    int
	Distance float64
}

// Nearest returns the k images of the collection that are nearest to an embedding,
// the nearest first, or all where there are fewer; of equal distances the one with
// the lower index. The embedding has as many features as those of the collection.
func (c *Collection) Nearest(query []float32, k int) ([]Match, error) {
	if k < 1 {
		return nil, errors.Errorf("nearest images: found k = %d, expected at least 1", k)
	}
	if err := c.check(); err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	question, err := evaluate.NewEmbeddings(1, len(query), query)
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	matches := make([]Match, c.Embeddings.Rows)
	err = parallel.Each(context.Background(), 0, (len(matches)+tileColumns-1)/tileColumns, func(tile int) error {
		begin := tile * tileColumns
		distances, err := c.distances(question, c.part(begin, min(begin+tileColumns, len(matches))))
		for i, d := range distances {
			matches[begin+i] = Match{begin + i, d}
		}
		return err
	})
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	slices.SortStableFunc(matches, func(x, y Match) int { return cmp.Compare(x.Distance, y.Distance) })
	return matches[:min(k, len(matches))], nil
}
