//go:build !amd64

package vector

// AsPeakAdder returns the engine as one that has Peaks, if it has.
func AsPeakAdder[T Float](Engine[T]) (PeakAdder, bool) { return nil, false }
