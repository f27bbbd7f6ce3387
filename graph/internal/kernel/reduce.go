package kernel

// rowsPerChunk is how many rows of so many columns make one unit of a
// reduction: enough to be worth a worker's while, few enough to stay in the
// level 1 cache and to keep a float32 sum accurate.
func rowsPerChunk(columns int) int { return max(1, 8192/columns) }

// reduceRows divides rows into chunks, has each chunk write width partial sums
// and adds these up, in the order of the chunks, into total. The chunks depend
// on the shape alone. partial may be scratch memory of an earlier call; it is
// returned to be used again.
func reduceRows(total, partial []float64, rows, columns int, chunk func(sum []float64, first, last int)) []float64 {
	step, width := rowsPerChunk(columns), len(total)
	chunks := ceilDiv(rows, step)
	partial = grow(partial, chunks*width)
	Parallel(chunks, func(i int) {
		sum := partial[i*width:][:width]
		clear(sum)
		chunk(sum, i*step, min((i+1)*step, rows))
	})
	clear(total)
	for i := range chunks {
		for j, v := range partial[i*width:][:width] {
			total[j] += v
		}
	}
	return partial
}

// sumRows writes the sum of the rows of x (rows, columns).
func sumRows[T Float](sum, x []T, rows, columns int) {
	checkLength("sum", sum, columns)
	checkLength("x", x, rows*columns)
	total := make([]float64, columns)
	reduceRows(total, nil, rows, columns, func(sum []float64, first, last int) {
		addRows(sum, x[first*columns:last*columns])
	})
	round(sum, total)
}

// round writes x in the precision of y.
func round[T Float](y []T, x []float64) {
	for i, v := range x {
		y[i] = T(v)
	}
}
