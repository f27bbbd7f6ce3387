package vector

// routines are what an instruction set has besides the matrix products. n is a
// number of elements; rows and channels are one at least.
type routines struct {
	// Functions of the fields of Windows: step is in elements, positions is the
	// number of offsets, and a limit of zero rectifies and one of NaN does not.
	maxWindows, maxWindowsKept, maxWindowsScaled, maxWindowsScaledKept               func(x, y *float32, position *uint8, kept, scale, shift *float32, offsets *int32, positions, count, step, channels int, limit float32)
	scatterWindows, scatterWindowsAdd, scatterWindowsScaled, scatterWindowsScaledAdd func(x, y *float32, position *uint8, scale *float32, offsets *int32, positions, count, step, channels int)

	add, relu     func(y, x *float32, n int)
	scale         func(y, x *float32, n int, factor float32)
	addDifference func(dx, x, y *float32, n int, factor float32)
	reluGradient  func(dx, x, dy *float32, n int)

	normalize           func(y, x, mean, scale, shift *float32, rows, channels int)
	centre, centreAlone func(dx, x, dy, mean, scale, along, dyMean *float32, rows, channels int) // alone without dy
	scaleChannels       func(dx, dy, scale *float32, rows, channels int)

	sumRows     func(sum *float64, x *float32, rows, channels int)
	sumSquares  func(sum *float64, x, mean *float32, rows, channels int)
	sumProducts func(sum *float64, x, dy, mean *float32, rows, channels int)

	dot                               func(x, y *float32, n int) float32
	squaredNorm                       func(x *float32, n int) float64
	squaredDistance, absoluteDistance func(x, y *float32, n int) float64
	weightedDistance                  func(x, y, weight *float32, n int) float64

	// The transposes of a row of square blocks, whose side is in the name: strides
	// are in bytes, and AVX2 does not have the largest.
	transpose4, transpose8, transpose16 func(y *float32, yStride int, x *float32, xStride, blocks int)

	adam               func(weight, gradient, first, second *float32, n int, scale, penalty, keep, beta1, rest1, beta2, rest2, rate, root, epsilon float32)
	momentum, nesterov func(weight, gradient, velocity *float32, n int, scale, rate, momentum, penalty float32)

	ceiling func(iterations int, half float32) // at least one, of 24 multiply-adds
}
