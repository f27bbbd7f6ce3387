package kernel

import "github.com/likeness-go/likeness/internal/vector"

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
	e := vector.For[T]()
	Parallel(batch, func(i int) {
		e.Transpose(y[i*size:(i+1)*size], rows, x[i*size:(i+1)*size], columns, rows, columns)
	})
}
