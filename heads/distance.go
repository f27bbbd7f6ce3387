package heads

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// Distance is a head outside graphs, on plain slices, with a copy of its trained weights,
// for evaluation, search, galleries, the ONNX export and explanations. It may be used by
// several goroutines at once and implements evaluate.Metric.
//
// FromForm and FromFunc return one, for example for a user-defined head.
type Distance interface {
	// Name is the head's name.
	Name() string

	// Between returns the distance between two embeddings, summed in float64 in the order
	// of the features. It is NaN if their lengths differ from each other or from that of
	// the form's weights.
	Between(x, y []float32) float64

	// Paired fills distances (rows) with the distance of each row of x (rows, columns)
	// from the same row of y (rows, columns). The result equals that of Between up to
	// rounding, since the order of summation may differ. Shapes that do not match are an
	// error.
	Paired(distances []float64, x, y []float32, columns int) error

	// Pairwise fills distances (rows, references) with the distance of each row of x
	// (rows, columns) from each row of y (references, columns). The result for two rows
	// does not depend on the other rows. It equals that of Between up to rounding and is
	// much faster for many rows. Shapes that do not match are an error.
	Pairwise(distances []float64, x, y []float32, columns int) error

	// Form returns the distance as a formula, which fast exact search, the ONNX export
	// and explanations use. ok is false if there is none.
	Form() (form Form, ok bool)
}

// DistanceOf returns head.Distance(weights). It is an error if the head is nil, panics,
// or returns no distance.
func DistanceOf(head Head, weights *graph.Weights) (distance Distance, err error) {
	defer func() {
		if r := recover(); r != nil {
			distance, err = nil, errors.Errorf("head of type %T: its method Distance panics: %v", head, r)
		}
	}()
	if head == nil {
		return nil, errors.New("found no head, expected one of package heads or of your own")
	}
	if distance, err = head.Distance(weights); err != nil {
		return nil, err
	}
	if distance == nil {
		return nil, errors.Errorf("head of type %T: its method Distance gives no distance: make one by FromForm or FromFunc", head)
	}
	return distance, nil
}

// FromFunc returns a distance that is defined by a function. Search by it compares all
// vectors, and it cannot be exported to ONNX. The function is called with two embeddings
// of equal length, by several goroutines at once; if it panics, Paired and Pairwise
// return an error.
func FromFunc(name string, between func(x, y []float32) float64) (Distance, error) {
	if between == nil {
		return nil, errors.Errorf("distance %q: found no function, expected one of two embeddings", name)
	}
	return function{name, between}, nil
}

type function struct {
	name    string
	between func(x, y []float32) float64
}

func (f function) Name() string       { return f.name }
func (f function) Form() (Form, bool) { return Form{}, false }
func (f function) recovered(err *error) {
	if r := recover(); r != nil {
		*err = errors.Errorf("the distance %q panics: %v", f.name, r)
	}
}

func (f function) Between(x, y []float32) float64 {
	if len(x) != len(y) {
		return math.NaN()
	}
	return f.between(x, y)
}

func (f function) Paired(distances []float64, x, y []float32, columns int) (err error) {
	defer f.recovered(&err)
	return paired(distances, x, y, columns, f.between)
}

func (f function) Pairwise(distances []float64, x, y []float32, columns int) (err error) {
	defer f.recovered(&err)
	return pairwise(distances, x, y, columns, f.between)
}

// paired calls a function for each pair of aligned rows.
func paired(distances []float64, x, y []float32, columns int, between func(x, y []float32) float64) error {
	if err := checkPaired(distances, x, y, columns); err != nil {
		return err
	}
	for i := range distances {
		distances[i] = between(row(x, columns, i), row(y, columns, i))
	}
	return nil
}

// pairwise calls a function for each row of x and each row of y.
func pairwise(distances []float64, x, y []float32, columns int, between func(x, y []float32) float64) error {
	rows, references, err := checkPairwise(distances, x, y, columns)
	if err != nil {
		return err
	}
	for i := range rows {
		for j := range references {
			distances[i*references+j] = between(row(x, columns, i), row(y, columns, j))
		}
	}
	return nil
}

func row(data []float32, columns, i int) []float32 {
	return data[i*columns : (i+1)*columns : (i+1)*columns]
}

func checkPaired(distances []float64, x, y []float32, columns int) error {
	if err := checkColumns(x, y, columns); err != nil {
		return err
	}
	if len(x) != len(y) || len(distances) != len(x)/columns {
		return errors.Errorf("found %d distances for %d and %d rows, expected three equal numbers", len(distances), len(x)/columns, len(y)/columns)
	}
	return nil
}

func checkPairwise(distances []float64, x, y []float32, columns int) (rows, references int, err error) {
	if err := checkColumns(x, y, columns); err != nil {
		return 0, 0, err
	}
	rows, references = len(x)/columns, len(y)/columns
	if len(distances) != rows*references {
		return 0, 0, errors.Errorf("found %d distances for %d × %d rows, expected their product", len(distances), rows, references)
	}
	return rows, references, nil
}

func checkColumns(x, y []float32, columns int) error {
	if columns < 1 {
		return errors.Errorf("found embeddings of %d columns, expected at least one", columns)
	}
	for _, data := range [][]float32{x, y} {
		if len(data)%columns != 0 {
			return errors.Errorf("found embeddings of %d elements, expected a multiple of their %d columns", len(data), columns)
		}
	}
	return nil
}
