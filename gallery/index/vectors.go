package index

import (
	"cmp"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// MaxValue is the largest magnitude of an element of a vector, so that no
// float32 kernel overflows.
const MaxValue = 1e15

// Vectors is a matrix with one vector a row, and the distance between vectors. It may be
// searched by many goroutines at once, but not while it is changed.
type Vectors struct {
	distance heads.Distance
	columns  int
	rows     int
	data     []float32 // (rows, columns), as given
	units    []float32 // the same, normalized to length 1; nil unless the filter needs them
	filter   filter
	engine   vector.Engine[float32]

	compressed *compressed // the first rows as the filter compares them; nil if it does not need them
}

// errNoDistance is the error of a nil distance.
var errNoDistance = errors.New("found no distance, expected that of a head")

// errNoVectors is the error of all methods of nil or zero Vectors.
var errNoVectors = errors.New("found no vectors that NewVectors made, or nothing to read")

func (v *Vectors) made() bool { return v != nil && v.filter.measure != nil }

// NewVectors returns an empty matrix of vectors with the given number of elements.
func NewVectors(distance heads.Distance, columns int) (*Vectors, error) {
	if distance == nil {
		return nil, errNoDistance
	}
	if columns < 1 {
		return nil, errors.Errorf("vectors of %d elements, expected at least one", columns)
	}
	if form, _ := distance.Form(); form.Weights != nil && len(form.Weights) != columns {
		return nil, errors.Errorf("vectors of %d elements, but the head %s has %d weights", columns, distance.Name(), len(form.Weights))
	}
	f := filterFor(distance)
	return &Vectors{distance: distance, columns: columns, filter: f, engine: vector.For[float32](), compressed: newCompressed(f, columns)}, nil
}

// Len returns the number of vectors.
func (v *Vectors) Len() int {
	if v == nil {
		return 0
	}
	return v.rows
}

// Columns returns the number of elements of each vector.
func (v *Vectors) Columns() int {
	if v == nil {
		return 0
	}
	return v.columns
}

// Row returns vector i as given, not a copy; nil if i is not in [0, Len).
func (v *Vectors) Row(i int) []float32 {
	if i < 0 || i >= v.Len() {
		return nil
	}
	return row(v.data, v.columns, i)
}

func row(data []float32, columns, i int) []float32 {
	return data[i*columns : (i+1)*columns : (i+1)*columns]
}

// Check returns an error for a vector of another length, or with an element that is NaN
// or larger in magnitude than MaxValue.
func (v *Vectors) Check(values []float32) error {
	if !v.made() {
		return errNoVectors
	}
	if len(values) != v.columns {
		return errors.Errorf("the vector has %d elements, expected %d", len(values), v.columns)
	}
	for j, x := range values {
		if !(math.Abs(float64(x)) <= MaxValue) {
			return errors.Errorf("element %d of the vector is %v, expected a number of magnitude up to %g", j, x, float64(MaxValue))
		}
	}
	return nil
}

// Append copies a vector to a new last row.
func (v *Vectors) Append(values []float32) error {
	_, err := v.AppendAll([][]float32{values})
	return err
}

// AppendAll copies vectors to new last rows, using all threads. If Check returns an error for one of
// them, it returns the number of the first such vector, and appends none. No vectors are an error.
func (v *Vectors) AppendAll(vectors [][]float32) (wrong int, err error) {
	if !v.made() || len(vectors) == 0 {
		return 0, errNoVectors
	}
	failures := make([]error, len(vectors))
	each(len(vectors), func(i int) { failures[i] = v.Check(vectors[i]) })
	for i, err := range failures {
		if err != nil {
			return i, err
		}
	}
	first := v.rows
	v.rows += len(vectors)
	v.data = slices.Grow(v.data, len(vectors)*v.columns)[:v.rows*v.columns]
	if v.filter.units {
		v.units = slices.Grow(v.units, len(vectors)*v.columns)[:v.rows*v.columns]
	}
	each(len(vectors), func(i int) {
		copy(v.Row(first+i), vectors[i])
		v.derive(first + i)
	})
	v.compressed.update(first, v.rows, v.compared)
	return 0, nil
}

// each calls work(0) … work(n−1) on all threads, in portions that are worth it.
func each(n int, work func(i int)) {
	const portion = 256
	parallel.For((n+portion-1)/portion, func(p int) {
		for i := p * portion; i < min(n, (p+1)*portion); i++ {
			work(i)
		}
	})
}

// Reserve makes room for so many further rows, so that adding them does not move the earlier ones.
func (v *Vectors) Reserve(rows int) {
	if !v.made() || rows <= 0 {
		return
	}
	v.data = slices.Grow(v.data, rows*v.columns)
	if v.filter.units {
		v.units = slices.Grow(v.units, rows*v.columns)
	}
}

// Set copies a vector to row i, in [0, Len).
func (v *Vectors) Set(i int, values []float32) error {
	if err := v.Check(values); err != nil {
		return err
	}
	if i < 0 || i >= v.rows {
		return errors.Errorf("row %d, expected one of %d", i, v.rows)
	}
	copy(v.Row(i), values)
	v.derive(i)
	v.compressed.set(i, v.compared)
	return nil
}

// derive computes the unit vector of row i.
func (v *Vectors) derive(i int) {
	if v.filter.units {
		toUnit(row(v.units, v.columns, i), v.Row(i))
	}
}

// compared is row i as prepared for the filter.
func (v *Vectors) compared(i int) []float32 {
	if v.filter.units {
		return row(v.units, v.columns, i)
	}
	return row(v.data, v.columns, i)
}

// prepared is a query as prepared for the filter.
func (v *Vectors) prepared(query []float32) []float32 {
	if !v.filter.units {
		return query
	}
	unit := make([]float32, len(query))
	toUnit(unit, query)
	return unit
}

// toUnit writes x normalized to length 1; the zero vector stays zero.
func toUnit(unit, x []float32) {
	length := math.Sqrt(vector.For[float32]().SquaredNorm(x))
	for j, value := range x {
		if unit[j] = value; length > 0 {
			unit[j] = float32(float64(value) / length)
		}
	}
}

// Renumber returns the number of each row after the removal of those for which removed
// returns true: -1 for these. If removed is nil, none is removed.
func (v *Vectors) Renumber(removed func(row int) bool) []int32 {
	numbers := make([]int32, v.Len())
	next := int32(0)
	for i := range numbers {
		if removed != nil && removed(i) {
			numbers[i] = -1
			continue
		}
		numbers[i] = next
		next++
	}
	return numbers
}

// Remove removes and moves rows as Renumber returned their numbers. Other numbers are an
// error.
func (v *Vectors) Remove(numbers []int32) error {
	if !v.made() {
		return errNoVectors
	}
	if len(numbers) != v.rows {
		return errors.Errorf("remove: found numbers for %d rows, expected them for %d", len(numbers), v.rows)
	}
	if err := checkNumbers(numbers); err != nil {
		return errors.Wrap(err, "remove")
	}
	kept, unchanged := 0, 0
	for from, to := range numbers {
		if to < 0 {
			continue
		}
		kept++
		if int(to) == from {
			unchanged = kept
			continue
		}
		copy(v.Row(int(to)), v.Row(from))
		if v.filter.units {
			copy(row(v.units, v.columns, int(to)), row(v.units, v.columns, from))
		}
	}
	clear(v.data[kept*v.columns:]) // what is removed is not kept in memory
	v.rows, v.data = kept, v.data[:kept*v.columns]
	if v.filter.units {
		clear(v.units[kept*v.columns:])
		v.units = v.units[:kept*v.columns]
	}
	v.compressed.update(unchanged, kept, v.compared)
	return nil
}

// checkNumbers checks that numbers are as Renumber returns them: those of rows that are not
// removed count up from 0.
func checkNumbers(numbers []int32) error {
	next := 0
	for row, number := range numbers {
		if number < 0 {
			continue
		}
		if int(number) != next {
			return errors.Errorf("found the new number %d for row %d, expected %d", number, row, next)
		}
		next++
	}
	return nil
}

// blockBytes is the size of a block of rows without compression that is compared with all queries
// before the next one, so that it is read from memory once.
const blockBytes = 128 << 10

// Nearest finds, for each query, the k nearest rows, one of each group, in the order of
// their distances, and of equal ones in the order of the rows; fewer if there are not k.
// It is an error if a query does not pass Check, if k is below one, or if groups does
// not have one element for each row.
//
// The result is exactly that of sorting all distances, whatever the number of threads.
// The time is proportional to the number of rows; many queries in one call take less time
// than one after the other.
func (v *Vectors) Nearest(queries [][]float32, k int, groups Groups) ([][]Neighbor, error) {
	if err := v.checkSearch(queries, k, groups); err != nil {
		return nil, err
	}
	return v.nearest(queries, k, groups), nil
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

func (v *Vectors) nearest(queries [][]float32, k int, groups Groups) [][]Neighbor {
	prepared := make([]question, len(queries))
	for i, query := range queries {
		prepared[i] = question{query: query, compared: v.prepared(query)}
	}
	// The compressed blocks are followed by blocks of the other rows.
	from := v.compressed.rows()
	each := max(64, blockBytes/(4*v.columns))
	first := from / blockRows
	blocks := first + (v.rows-from+each-1)/each
	workers := min(blocks, parallel.Threads())
	scans := make([]*scan, workers)
	answers := make([][]selection, workers)
	parallel.ForWorkers(workers, blocks, func(worker, block int) {
		if scans[worker] == nil {
			scans[worker] = newScan(v, prepared)
			answers[worker] = make([]selection, len(queries))
			for i := range answers[worker] {
				answers[worker][i] = selection{k: k, groups: groups}
			}
		}
		if block < first {
			scans[worker].compressedBlock(answers[worker], block)
			return
		}
		begin := from + (block-first)*each
		scans[worker].block(answers[worker], begin, min(begin+each, v.rows))
	})
	merged := make([][]Neighbor, len(queries))
	for i := range merged {
		all := selection{k: k, groups: groups}
		for _, answer := range answers {
			if answer == nil {
				continue // the others finished before this worker began
			}
			for _, neighbor := range answer[i].found {
				all.offer(neighbor)
			}
		}
		merged[i] = all.found
	}
	return merged
}

// question is a query as given and as prepared for the filter.
type question struct{ query, compared []float32 }

// scan is one worker's search. Each worker has its own selections; a row that is skipped
// because k better ones are known is not among the k nearest of all, so the merged
// result does not depend on which worker searched which rows.
type scan struct {
	vectors   *Vectors
	questions []question
	panels    []panel     // of the questions, for compressed rows
	call      vector.Scan // with space for the limits and the results of a panel
	begun     bool        // a compressed block has been searched
}

func newScan(v *Vectors, questions []question) *scan {
	s := &scan{vectors: v, questions: questions}
	if v.compressed.rows() == 0 {
		return s
	}
	for first := 0; first < len(questions); first += maxPanel {
		n := min(maxPanel, len(questions)-first)
		s.panels = append(s.panels, panel{
			first: first, questions: questions[first : first+n], limits: make([]float64, n), coded: map[step]*codedQueries{},
		})
	}
	widest := min(maxPanel, len(questions))
	s.call.Limits, s.call.Near = make([]int32, widest), make([]uint32, widest*blockRows/vector.ScanRows)
	return s
}

// block searches the rows [begin, end) for all queries, without compression.
func (s *scan) block(answers []selection, begin, end int) {
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

// measure offers a row with its exact distance.
func (s *scan) measure(answer *selection, question, row int) bool {
	return answer.offer(Neighbor{Row: row, Distance: s.vectors.distance.Between(s.questions[question].query, s.vectors.Row(row))})
}

// Neighbor is a row and its distance from the query.
type Neighbor = evaluate.Neighbor

// order is by distance, and by row among equals.
func order(a, b Neighbor) int {
	return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Row, b.Row))
}

// Groups has the group of each row; if it is nil, each row is a separate group.
type Groups []int32

func (g Groups) of(row int) int32 {
	if g == nil {
		return int32(row)
	}
	return g[row]
}

// selection keeps the k nearest of the offered neighbors, and of each group the nearest.
type selection struct {
	k      int
	groups Groups
	found  []Neighbor // in order
}

// worst is the distance above which no neighbor is accepted.
func (s *selection) worst() float64 {
	if len(s.found) < s.k {
		return math.Inf(1)
	}
	return s.found[len(s.found)-1].Distance
}

// offer accepts a row if it is near enough, and returns whether it did. A distance that
// is NaN is never accepted.
func (s *selection) offer(offered Neighbor) bool {
	if math.IsNaN(offered.Distance) {
		return false
	}
	group := s.groups.of(offered.Row)
	same := slices.IndexFunc(s.found, func(n Neighbor) bool { return s.groups.of(n.Row) == group })
	switch {
	case same >= 0:
		if order(offered, s.found[same]) >= 0 {
			return false
		}
		s.found = slices.Delete(s.found, same, same+1)
	case len(s.found) == s.k:
		if order(offered, s.found[s.k-1]) >= 0 {
			return false
		}
		s.found = s.found[:s.k-1]
	}
	at, _ := slices.BinarySearchFunc(s.found, offered, order)
	s.found = slices.Insert(s.found, at, offered)
	return true
}
