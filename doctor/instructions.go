package doctor

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/vector"
)

// instructionTolerance allows for rounding errors of float32 in sums of a hundred terms.
const instructionTolerance = 1e-5

// instructionLengths are multiples of the vector widths, other lengths, and lengths less
// than one vector.
var instructionLengths = []int{1, 3, 7, 8, 16, 17, 31, 64, 100}

// instructions compares the loops of an engine on arrays of many lengths with the portable
// ones in float64.
func instructions(engine vector.Engine[float32]) (string, error) {
	var off worst
	calls := 0
	for _, n := range instructionLengths {
		for _, l := range loops {
			r := random.New(1, "doctor", l.name, n)
			narrow := numbers{r, n}.arrays()
			wide := make([][]float64, len(narrow))
			for i, array := range narrow {
				wide[i] = widen(array)
			}
			off.add(fmt.Sprintf("%s of %d elements", l.name, n), deviation(l.narrow(engine, narrow), l.wide(vector.Portable[float64]{}, wide)))
			calls++
		}
		off.add(fmt.Sprintf("Rows of %d columns", n), rows(engine, n))
		off.add(fmt.Sprintf("Outer of %d columns", n), outer(engine, n))
		calls += 2
	}
	return fmt.Sprintf("%d calls, maximum difference %.1e of the largest value (tolerance %.0e)", calls, off.off, instructionTolerance), off.within(instructionTolerance)
}

// pairs compares the products of pairs of bfloat16 numbers with those of the rounded numbers in
// float64.
func pairs(engine vector.PairEngine) (string, error) {
	var off worst
	for _, n := range instructionLengths {
		columns := min(n, engine.Lanes())
		a := numbers{random.New(1, "doctor", "pairs", n), 2 * n}.arrays()
		b := numbers{random.New(2, "doctor", "pairs", n), columns}.arrays()
		r := &vector.Rows[float32]{
			A: make([]float32, n), B: make([]float32, n*engine.Lanes()), C: make([]float32, columns),
			Width: 1, Columns: columns, Segments: 1, Length: n, Stride: n, AOffsets: []int32{0}, COffsets: []int32{0},
		}
		engine.PairNeighbors(r.A, a[3])
		o := &vector.Outer[float32]{
			A: make([]float32, n), B: make([]float32, columns), C: make([]float32, n*columns),
			Run: n, Columns: columns, CStride: columns, AOffsets: []int32{0}, BOffsets: []int32{0},
		}
		engine.PairLists(o.A, a[0][:n], a[1][:n])
		engine.PairLists(o.B, b[3], b[4])
		rowSums, products := make([]float64, columns), make([]float64, n*columns)
		round := func(x float32) float64 { return float64(vector.ToBFloat16(x)) }
		for k := range n {
			engine.PairLists(r.B[k*engine.Lanes():], b[3], b[4])
			for j := range columns {
				rowSums[j] += round(a[3][2*k])*round(b[3][j]) + round(a[3][2*k+1])*round(b[4][j])
				products[k*columns+j] = round(a[0][k])*round(b[3][j]) + round(a[1][k])*round(b[4][j])
			}
		}
		engine.Rows(r)
		engine.Outer(o)
		off.add(fmt.Sprintf("Rows of %d pairs", n), deviation(r.C, rowSums))
		off.add(fmt.Sprintf("Outer of %d pairs", n), deviation(o.C, products))
	}
	return fmt.Sprintf("%d products, maximum difference %.1e of the largest value (tolerance %.0e)", 2*len(instructionLengths), off.off, instructionTolerance), off.within(instructionTolerance)
}

// numbers draws arrays of n random elements: three from -1 to 1 and two from 0.5 to 1.5.
type numbers struct {
	*rand.Rand
	n int
}

func (r numbers) arrays() [][]float32 {
	arrays := make([][]float32, 5)
	for i := range arrays {
		arrays[i] = make([]float32, r.n)
		for j := range arrays[i] {
			if arrays[i][j] = 2*r.Float32() - 1; i >= 3 {
				arrays[i][j] = 0.5 + r.Float32()
			}
		}
	}
	return arrays
}

func widen(narrow []float32) []float64 {
	wide := make([]float64, len(narrow))
	for i, v := range narrow {
		wide[i] = float64(v)
	}
	return wide
}

// loop is a method of an engine in both arithmetics, as a function of the arrays that
// numbers draws.
type loop struct {
	name   string
	narrow func(e vector.Engine[float32], a [][]float32) []float32
	wide   func(e vector.Engine[float64], a [][]float64) []float64
}

var loops = []loop{
	{"Dot", dot[float32], dot[float64]},
	{"Transpose", transpose[float32], transpose[float64]},
	{"Add, Scale and AddDifference", add[float32], add[float64]},
	{"ReLU and its gradient", relu[float32], relu[float64]},
	{"the loops of batch norm", norm[float32], norm[float64]},
	{"the sums of batch norm", sums[float32], sums[float64]},
	{"distances", distances[float32], distances[float64]},
	{"Adam", adam[float32], adam[float64]},
	{"Momentum", momentum[float32], momentum[float64]},
}

func dot[T graph.Float](e vector.Engine[T], a [][]T) []T {
	// The second product sets the scale, because the terms of the first may cancel.
	return []T{e.Dot(a[0], a[1]), e.Dot(a[3], a[4])}
}

func transpose[T graph.Float](e vector.Engine[T], a [][]T) []T {
	columns := len(a[0])
	x := slices.Concat(a...)
	y := make([]T, len(x))
	e.Transpose(y, len(a), x, columns, len(a), columns)
	return y
}

func add[T graph.Float](e vector.Engine[T], a [][]T) []T {
	e.Add(a[0], a[1])
	e.Scale(a[1], a[0], 0.75)
	e.AddDifference(a[2], a[0], a[3], 1.5)
	return slices.Concat(a[0], a[1], a[2])
}

func relu[T graph.Float](e vector.Engine[T], a [][]T) []T {
	y, dx := make([]T, len(a[0])), make([]T, len(a[0]))
	e.ReLU(y, a[0])
	e.ReLUGradient(dx, a[0], a[1])
	return slices.Concat(y, dx)
}

// norm uses the array length as the number of channels.
func norm[T graph.Float](e vector.Engine[T], a [][]T) []T {
	x := slices.Concat(a[0], a[1])
	normal, centered, scaled := make([]T, len(x)), make([]T, len(x)), make([]T, len(x))
	e.Normalize(normal, x, a[2], a[3], a[4])
	e.Center(centered, x, slices.Concat(a[1], a[0]), a[2], a[3], a[4], a[0])
	e.ScaleChannels(scaled, x, a[3])
	return slices.Concat(normal, centered, scaled)
}

func sums[T graph.Float](e vector.Engine[T], a [][]T) []T {
	x, mean := slices.Concat(a[3], a[4], a[0]), a[2]
	rows, squares, products := make([]float64, len(mean)), make([]float64, len(mean)), make([]float64, 2*len(mean))
	e.SumRows(rows, x)
	e.SumSquares(squares, x, mean)
	e.SumProducts(products, x, slices.Concat(a[4], a[1], a[3]), mean)
	var all []T
	for _, sum := range slices.Concat(rows, squares, products) {
		all = append(all, T(sum))
	}
	return all
}

func distances[T graph.Float](e vector.Engine[T], a [][]T) []T {
	return []T{
		T(e.SquaredNorm(a[0])), T(e.SquaredDistance(a[0], a[1])),
		T(e.AbsoluteDistance(a[0], a[1])), T(e.WeightedDistance(a[0], a[1], a[3])),
	}
}

func adam[T graph.Float](e vector.Engine[T], a [][]T) []T {
	e.Adam(a[0], a[1], a[2], a[3], vector.AdamFactors[T]{
		Scale: 0.5, Penalty: 0.25, Keep: 0.75, Beta1: 0.875, Rest1: 0.125, Beta2: 0.75, Rest2: 0.25, Rate: 0.5, Root: 2, Epsilon: 0.125,
	})
	return slices.Concat(a[0], a[2], a[3])
}

func momentum[T graph.Float](e vector.Engine[T], a [][]T) []T {
	e.Momentum(a[0], a[1], a[2], vector.MomentumFactors[T]{Scale: 0.5, Rate: 0.25, Momentum: 0.875, Penalty: 0.125})
	e.Momentum(a[3], a[1], a[4], vector.MomentumFactors[T]{Scale: 0.5, Rate: 0.25, Momentum: 0.875, Nesterov: true})
	return slices.Concat(a[0], a[2], a[3], a[4])
}
