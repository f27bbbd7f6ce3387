package kernel

// ChannelsFirst reorders images x (batch, height, width, channels) to rows y
// in channel-height-width order, (batch, channels, height, width).
func ChannelsFirst[T Float](y, x []T, batch, height, width, channels int) {
	transposeEach(y, x, batch, height*width, channels)
}

// ChannelsLast reorders rows x (batch, channels, height, width) to images y
// (batch, height, width, channels). It undoes ChannelsFirst and is its
// gradient.
func ChannelsLast[T Float](y, x []T, batch, height, width, channels int) {
	transposeEach(y, x, batch, channels, height*width)
}

// transposeEach writes the transposes (columns, rows) of batch matrices
// (rows, columns).
func transposeEach[T Float](y, x []T, batch, rows, columns int) {
	size := rows * columns
	checkLength("x", x, batch*size)
	checkLength("y", y, batch*size)
	Parallel(batch, func(i int) {
		transpose(y[i*size:(i+1)*size], x[i*size:(i+1)*size], rows, columns, columns)
	})
}

// transpose writes to y (columns, rows) the transpose of x, whose rows of
// columns elements start stride elements apart. It goes through a few columns
// at a time: the cache cannot hold many places to write to that lie far apart.
func transpose[T Float](y, x []T, rows, columns, stride int) {
	const few = 8
	for left := 0; left < columns; left += few {
		width := min(few, columns-left)
		for i := range rows {
			to := left*rows + i
			for _, v := range x[i*stride+left:][:width] {
				y[to] = v
				to += rows
			}
		}
	}
}
