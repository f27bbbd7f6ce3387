package heads

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/graph"
)

// Cosine is 1 − x·y/(‖x‖‖y‖), in [0, 2]. The cosine with the zero vector is
// taken to be 0, so that it is at distance 1 from everything, itself included,
// with gradient zero. It is no metric: multiples of x are at distance 0 from
// it, and the triangle inequality fails.
//
// It is computed as ½‖x̂ − ŷ‖² over the unit vectors, which is the same and
// keeps its digits where x and y have nearly one direction: 1 − x̂·ŷ loses
// them there and may fall below zero.
type Cosine struct{}

// Name is "cosine".
func (Cosine) Name() string { return "cosine" }

// Between implements Head.
func (Cosine) Between(b *graph.Builder, x, y *graph.Node) *graph.Node {
	x, y = b.Normalize(x), b.Normalize(y)
	return fromChord(b, b.PairDistances(graph.SquaredEuclidean, x, y, nil), x, y)
}

// Matrix implements Head.
func (Cosine) Matrix(b *graph.Builder, x *graph.Node) *graph.Node {
	x = b.Normalize(x)
	return fromChord(b, b.AllDistances(graph.SquaredEuclidean, x, nil), x, x)
}

// fromChord makes cosine distances of the squared distances between unit
// vectors, aligned or all.
func fromChord(b *graph.Builder, chord, x, y *graph.Node) *graph.Node {
	rows := x.Shape()[0]
	return b.Apply("cosine", chord.Shape().Clone(), &cosine[float32]{rows: rows}, &cosine[float64]{rows: rows}, chord, x, y)
}

// cosine halves the squared distance of two unit vectors, and puts 1 where
// one of them is the zero vector instead. Its inputs are the squared
// distances, (rows) or (rows, rows), and the vectors x and y (rows, features),
// by which it need not be differentiated: they only say where 1 is put.
type cosine[T graph.Float] struct {
	rows   int
	absent []bool // by distance: one of its two vectors is zero
}

func (f *cosine[T]) Forward(d []T, inputs ...[]T) {
	chord, x, y := inputs[0], zeroRows(inputs[1], f.rows), zeroRows(inputs[2], f.rows)
	f.absent = append(f.absent[:0], make([]bool, len(d))...)
	for i := range d {
		row, column := i, i
		if len(d) > f.rows {
			row, column = i/f.rows, i%f.rows
		}
		f.absent[i] = x[row] || y[column]
		if d[i] = chord[i] / 2; f.absent[i] {
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

// Distance implements Head.
func (h Cosine) Distance(*graph.Weights) (Distance, error) {
	return Distance{Head: h.Name(), builtin: h, Between: func(x, y []float32) float64 {
		lengthX, lengthY := length(x), length(y)
		if len(x) == len(y) && (lengthX == 0 || lengthY == 0) {
			return 1
		}
		return sum(x, y, func(_ int, x, y float64) float64 {
			difference := x/lengthX - y/lengthY
			return difference * difference / 2
		})
	}}, nil
}

func length(x []float32) float64 {
	return math.Sqrt(sum(x, x, func(_ int, v, _ float64) float64 { return v * v }))
}
