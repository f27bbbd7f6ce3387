package index

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pkg/errors"
)

// blockBytes is how much of the matrix is searched at a time, by all queries in
// turn, so that it is read from memory once.
const blockBytes = 128 << 10

// Nearest finds, for each query, the k nearest rows, of each group one, in the
// order of their distances, and by row among equals; fewer where there are not k.
// It is an error if a query does not pass Check, if k is below one, or if groups
// has not one for each row.
//
// The result is exactly that of sorting all distances of the head, whatever the
// number of processors. The time is proportional to the number of rows; many
// queries at once take less than one after the other.
func (v *Vectors) Nearest(queries [][]float32, k int, groups Groups) ([][]Neighbour, error) {
	if err := v.checkSearch(queries, k, groups); err != nil {
		return nil, err
	}
	return v.nearest(queries, k, groups, 0), nil
}

func (v *Vectors) checkSearch(queries [][]float32, k int, groups Groups) error {
	if !v.made() {
		return errNoVectors
	}
	if k < 1 {
		return errors.Errorf("%d nearest: expected at least one", k)
	}
	if groups != nil && len(groups) != v.rows {
		return errors.Errorf("%d rows have %d groups", v.rows, len(groups))
	}
	for i, query := range queries {
		if err := v.Check(query); err != nil {
			return errors.Wrapf(err, "query %d", i)
		}
	}
	return nil
}

// nearest searches the rows from the given one on.
func (v *Vectors) nearest(queries [][]float32, k int, groups Groups, from int) [][]Neighbour {
	prepared := make([]question, len(queries))
	for i, query := range queries {
		prepared[i] = question{query: query, compared: v.prepared(query)}
	}
	each := max(64, blockBytes/(4*v.columns))
	blocks := (v.rows - from + each - 1) / each
	var next atomic.Int64
	var workers sync.WaitGroup
	answers := make([][]selection, min(blocks, runtime.GOMAXPROCS(0)))
	for w := range answers {
		answers[w] = make([]selection, len(queries))
		for i := range answers[w] {
			answers[w][i] = selection{k: k, groups: groups}
		}
		workers.Go(func() {
			s := newScan(v, prepared, each)
			for block := next.Add(1) - 1; block < int64(blocks); block = next.Add(1) - 1 {
				begin := from + int(block)*each
				s.block(answers[w], begin, min(begin+each, v.rows))
			}
		})
	}
	workers.Wait()
	merged := make([][]Neighbour, len(queries))
	for i := range merged {
		all := selection{k: k, groups: groups}
		for _, answer := range answers {
			for _, neighbour := range answer[i].found {
				all.offer(neighbour)
			}
		}
		merged[i] = all.found
	}
	return merged
}

// question is a query, as it is and as the filter compares it.
type question struct{ query, compared []float32 }

// scan is one worker's search. Each worker has its own selections; that a row is
// left out where a better k are known holds in all of them, so what remains of
// all together does not depend on who searched what.
type scan struct {
	vectors   *Vectors
	questions []question
	products  *products // nil where the filter measures row by row
}

func newScan(v *Vectors, questions []question, most int) *scan {
	s := &scan{vectors: v, questions: questions}
	if v.filter.products && len(questions) >= fewestProducts {
		s.products = newProducts(v, questions, most)
	}
	return s
}

// block searches the rows [begin, end) for all queries.
func (s *scan) block(answers []selection, begin, end int) {
	if s.products != nil {
		s.products.block(s, answers, begin, end)
		return
	}
	filter := s.vectors.filter
	for i, question := range s.questions {
		limit := filter.limit(answers[i].worst())
		for row := begin; row < end; row++ {
			if filter.measure(question.compared, s.vectors.compared(row)) <= limit && s.measure(&answers[i], i, row) {
				limit = filter.limit(answers[i].worst())
			}
		}
	}
}

// measure offers a row at its true distance.
func (s *scan) measure(answer *selection, question, row int) bool {
	return answer.offer(Neighbour{row, s.vectors.distance.Between(s.questions[question].query, s.vectors.Row(row))})
}
