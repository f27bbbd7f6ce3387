package objectives

import (
	"github.com/likeness-go/likeness/graph"
)

// largest is the largest marked value of each row: values and mask (batch,
// batch) to (batch), 0 for a row without a mark. The gradient goes to that one
// element, the first among equals, where Gorgonia's Max would give all of it
// to each of them.
func (e expression) largest(values, mask *graph.Node) *graph.Node { return e.extreme(values, mask, 1) }

// smallest is like largest.
func (e expression) smallest(values, mask *graph.Node) *graph.Node {
	return e.extreme(values, mask, -1)
}

func (e expression) extreme(values, mask *graph.Node, sign float64) *graph.Node {
	return e.Apply("extreme", values.Shape()[:1].Clone(),
		&extreme[float32]{sign: float32(sign)}, &extreme[float64]{sign: sign}, values, mask)
}

// extreme finds the largest of sign·value.
type extreme[T graph.Float] struct {
	sign T
	at   []int // by row: the index of the value in the last forward pass, or −1
}

func (f *extreme[T]) Forward(y []T, x ...[]T) {
	values, mask := x[0], x[1]
	columns := len(values) / len(y)
	f.at = make([]int, len(y))
	for row := range y {
		f.at[row], y[row] = -1, 0
		for i := row * columns; i < (row+1)*columns; i++ {
			v := values[i]
			// A NaN is taken, to show in the cost, and stays.
			if mask[i] != 0 && (f.at[row] < 0 || f.sign*v > f.sign*y[row] || v != v) {
				f.at[row], y[row] = i, v
			}
		}
	}
}

func (f *extreme[T]) Backward(dx, _ [][]T, _, dy []T) {
	clear(dx[0])
	clear(dx[1])
	for row, i := range f.at {
		if i >= 0 {
			dx[0][i] = dy[row]
		}
	}
}
