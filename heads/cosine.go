package heads

import (
	"slices"

	"github.com/likeness-go/likeness/graph"
)

// Cosine is the cosine distance 1 − x·y/(‖x‖‖y‖), in [0, 2]. The cosine with the zero
// vector is taken to be 0: it is at distance 1 from every vector, including itself, with
// gradient zero. The cosine distance is not a metric: multiples of x are at distance 0
// from x, and the triangle inequality does not hold.
//
// It is computed as ½‖x̂ − ŷ‖² of the unit vectors, which is equal and remains accurate
// where x and y have nearly the same direction; there 1 − x̂·ŷ is subject to cancellation
// and may be negative.
type Cosine struct{}

// Name is "cosine".
func (Cosine) Name() string { return "cosine" }

// Paired implements Head.
func (Cosine) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	x, y = b.Normalize(x), b.Normalize(y)
	return fromChords(b, b.PairedDistances(graph.SquaredEuclidean, x, y, nil), x, y)
}

// Pairwise implements Head.
func (Cosine) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	same := x == y
	if x = b.Normalize(x); same {
		y = x
	} else {
		y = b.Normalize(y)
	}
	return fromChords(b, b.PairwiseDistances(graph.SquaredEuclidean, x, y, nil), x, y)
}

// fromChords makes cosine distances of the squared distances between unit
// vectors, (rows) or (rows, references).
func fromChords(b *graph.Builder, chords, x, y *graph.Node) *graph.Node {
	rows, references, pairwise := x.Shape()[0], y.Shape()[0], chords.Dims() == 2
	return b.Apply("cosine", chords.Shape().Clone(),
		&cosine[float32]{rows: rows, references: references, pairwise: pairwise},
		&cosine[float64]{rows: rows, references: references, pairwise: pairwise}, chords, x, y)
}

// cosine halves the squared distance of two unit vectors, and puts 1 where one of
// them is the zero vector instead. Its inputs are the squared distances and the
// vectors x (rows, features) and y (references, features), by which it need not
// be differentiated: they only say where 1 is put.
type cosine[T graph.Float] struct {
	rows, references int
	pairwise         bool
	absent           []bool // by distance: one of its two vectors is zero
}

func (f *cosine[T]) Forward(d []T, inputs ...[]T) {
	chords, x, y := inputs[0], zeroRows(inputs[1], f.rows), zeroRows(inputs[2], f.references)
	f.absent = append(f.absent[:0], make([]bool, len(d))...)
	for i := range d {
		row, reference := i, i
		if f.pairwise {
			row, reference = i/f.references, i%f.references
		}
		f.absent[i] = x[row] || y[reference]
		if d[i] = chords[i] / 2; f.absent[i] {
			d[i] = 1
		}
	}
}

func (f *cosine[T]) Backward(dinputs, _ [][]T, _, dd []T) {
	for i, absent := range f.absent {
		if dinputs[0][i] = dd[i] / 2; absent {
			dinputs[0][i] = 0
		}
	}
	clear(dinputs[1])
	clear(dinputs[2])
}

func zeroRows[T graph.Float](x []T, rows int) []bool {
	zero, features := make([]bool, rows), len(x)/rows
	for i := range zero {
		zero[i] = !slices.ContainsFunc(x[i*features:(i+1)*features], func(v T) bool { return v != 0 })
	}
	return zero
}

// Properties implements Head.
func (Cosine) Properties() Properties {
	return Properties{Means: true, Max: 2}
}

// Distance implements Head.
func (h Cosine) Distance(*graph.Weights) (Distance, error) {
	return FromForm(h.Name(), Form{Normalize: true, Power: 2, Scale: 0.5})
}
