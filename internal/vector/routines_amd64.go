package vector

// maxWindows and scatterWindows are functions of the fields of Windows. step is
// in elements; positions is the number of offsets; a limit of zero rectifies
// and one of NaN does not.
type (
	maxWindows     func(x, y *float32, position *uint8, kept, scale, shift *float32, offsets *int32, positions, count, step, channels int, limit float32)
	scatterWindows func(x, y *float32, position *uint8, scale *float32, offsets *int32, positions, count, step, channels int)
)

// routines are what an instruction set has besides the matrix products.
type routines struct {
	maxWindows, maxWindowsKept, maxWindowsScaled, maxWindowsScaledKept               maxWindows
	scatterWindows, scatterWindowsAdd, scatterWindowsScaled, scatterWindowsScaledAdd scatterWindows
}
