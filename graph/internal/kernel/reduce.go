package kernel

import "github.com/likeness-go/likeness/internal/vector"

// rowsPerChunk is how many rows of so many columns make one unit of an
// elementwise kernel or a reduction: enough to be worth a worker's while, few
// enough to stay in the level 1 cache.
func rowsPerChunk(columns int) int { return max(1, 4096/columns) }

// reduce has each of a number of units write len(total) partial sums and adds
// these up, in the order of the units, into total.
func reduce(total []float64, units int, work func(sum []float64, unit int)) {
	reduceWith(total, units, func(_ *workspace[float64], sum []float64, unit int) { work(sum, unit) })
}

// reduceWith is reduce with a workspace for each worker.
func reduceWith[T Float](total []float64, units int, work func(w *workspace[T], sum []float64, unit int)) {
	width := len(total)
	space := borrow[float64](0)
	defer space.giveBack()
	partial := grow(&space.columns, units*width)
	parallel(units, func(w *workspace[T], unit int) {
		sum := partial[unit*width:][:width]
		clear(sum)
		work(w, sum, unit)
	})
	clear(total)
	for unit := range units {
		for j, v := range partial[unit*width:][:width] {
			total[j] += v
		}
	}
}

// reduceRows is reduce over chunks [first, last) of rows. The chunks depend on
// the shape alone.
func reduceRows(total []float64, rows, columns int, work func(sum []float64, first, last int)) {
	step := rowsPerChunk(columns)
	reduce(total, ceilDiv(rows, step), func(sum []float64, chunk int) {
		work(sum, chunk*step, min((chunk+1)*step, rows))
	})
}

// sumRows writes the sum of the rows of x (rows, columns).
func sumRows[T Float](sum, x []T, rows, columns int) {
	checkLength("sum", sum, columns)
	checkLength("x", x, rows*columns)
	total := make([]float64, columns)
	reduceRows(total, rows, columns, func(sum []float64, first, last int) {
		vector.For[T]().SumRows(sum, x[first*columns:last*columns])
	})
	round(sum, total)
}

// round writes x in the precision of y.
func round[T Float](y []T, x []float64) {
	for i, v := range x {
		y[i] = T(v)
	}
}
