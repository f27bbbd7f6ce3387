//go:build !amd64

package vector

// routines are what an instruction set has besides the matrix products.
type routines struct{}

// AsPeakAdder returns the engine as one that has Peaks in assembly; here there is none.
func AsPeakAdder[T Float](Engine[T]) (PeakAdder, bool) { return nil, false }
