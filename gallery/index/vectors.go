package index

import (
	"math"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// MaxValue is the largest magnitude of an element of a vector, so that no
// float32 kernel overflows.
const MaxValue = 1e15

// Vectors is a matrix of vectors, one a row, and the distance between them. It
// may be searched by many goroutines at once, but not while it is changed.
type Vectors struct {
	distance heads.Distance
	columns  int
	rows     int
	data     []float32 // (rows, columns), as they were given
	units    []float32 // the same, brought to length 1; nil unless the filter wants them
	squares  []float64 // ‖·‖² of each row that the filter compares; nil unless it can use them
	filter   filter
}

// errNoDistance is the error of a nil distance.
var errNoDistance = errors.New("found no distance, expected that of a head")

// errNoVectors is the error of all that nil Vectors, or zero ones, are asked for.
var errNoVectors = errors.New("found no vectors that NewVectors made, or nothing to read")

func (v *Vectors) made() bool { return v != nil && v.filter.measure != nil }

// NewVectors is an empty matrix of vectors of so many elements.
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
	return &Vectors{distance: distance, columns: columns, filter: filterFor(distance)}, nil
}

// Len is the number of vectors.
func (v *Vectors) Len() int {
	if v == nil {
		return 0
	}
	return v.rows
}

// Columns is the number of elements of each vector.
func (v *Vectors) Columns() int {
	if v == nil {
		return 0
	}
	return v.columns
}

// Row is vector i as it was given, not a copy of it; nil where i is not in [0, Len).
func (v *Vectors) Row(i int) []float32 {
	if i < 0 || i >= v.Len() {
		return nil
	}
	return row(v.data, v.columns, i)
}

func row(data []float32, columns, i int) []float32 {
	return data[i*columns : (i+1)*columns : (i+1)*columns]
}

// Check says what is wrong with a vector: its length, or an element that is not
// a number of at most MaxValue.
func (v *Vectors) Check(vector []float32) error {
	if !v.made() {
		return errNoVectors
	}
	if len(vector) != v.columns {
		return errors.Errorf("the vector has %d elements, expected %d", len(vector), v.columns)
	}
	for j, x := range vector {
		if !(math.Abs(float64(x)) <= MaxValue) {
			return errors.Errorf("element %d of the vector is %v, expected a number of magnitude up to %g", j, x, float64(MaxValue))
		}
	}
	return nil
}

// Append adds a vector, a copy of it, as the last row.
func (v *Vectors) Append(vector []float32) error {
	if err := v.Check(vector); err != nil {
		return err
	}
	v.data = append(v.data, vector...)
	if v.filter.units {
		v.units = append(v.units, vector...)
	}
	if v.filter.products {
		v.squares = append(v.squares, 0)
	}
	v.rows++
	v.derive(v.rows - 1)
	return nil
}

// Set puts a vector, a copy of it, in place of row i, in [0, Len).
func (v *Vectors) Set(i int, vector []float32) error {
	if err := v.Check(vector); err != nil {
		return err
	}
	if i < 0 || i >= v.rows {
		return errors.Errorf("row %d, expected one of %d", i, v.rows)
	}
	copy(v.Row(i), vector)
	v.derive(i)
	return nil
}

// derive calculates what is kept beside row i.
func (v *Vectors) derive(i int) {
	if v.filter.units {
		toUnit(row(v.units, v.columns, i), v.Row(i))
	}
	if v.filter.products {
		v.squares[i] = vector.For[float32]().SquaredNorm(v.compared(i))
	}
}

// compared is row i as the filter compares it.
func (v *Vectors) compared(i int) []float32 {
	if v.filter.units {
		return row(v.units, v.columns, i)
	}
	return row(v.data, v.columns, i)
}

// prepared is a query as the filter compares it.
func (v *Vectors) prepared(query []float32) []float32 {
	if !v.filter.units {
		return query
	}
	unit := make([]float32, len(query))
	toUnit(unit, query)
	return unit
}

// toUnit writes x brought to length 1; the zero vector stays what it is.
func toUnit(unit, x []float32) {
	length := math.Sqrt(vector.For[float32]().SquaredNorm(x))
	for j, value := range x {
		if unit[j] = value; length > 0 {
			unit[j] = float32(float64(value) / length)
		}
	}
}

// Renumber says where each row is after those are removed for which removed says
// so: -1 for these. Where removed is nil, none is.
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

// Remove moves the rows to where Renumber said that they would be. Other numbers are an
// error.
func (v *Vectors) Remove(numbers []int32) error {
	if !v.made() {
		return errNoVectors
	}
	if len(numbers) != v.rows {
		return errors.Errorf("remove: found numbers for %d rows, expected them for %d", len(numbers), v.rows)
	}
	if err := checkNumbers(numbers, v.rows); err != nil {
		return errors.Wrap(err, "remove")
	}
	kept := 0
	for from, to := range numbers {
		if to < 0 {
			continue
		}
		kept++
		if int(to) == from {
			continue
		}
		copy(v.Row(int(to)), v.Row(from))
		if v.filter.units {
			copy(row(v.units, v.columns, int(to)), row(v.units, v.columns, from))
		}
		if v.filter.products {
			v.squares[to] = v.squares[from]
		}
	}
	clear(v.data[kept*v.columns:]) // what is removed is not kept in memory
	v.rows, v.data = kept, v.data[:kept*v.columns]
	if v.filter.units {
		clear(v.units[kept*v.columns:])
		v.units = v.units[:kept*v.columns]
	}
	if v.filter.products {
		v.squares = v.squares[:kept]
	}
	return nil
}
