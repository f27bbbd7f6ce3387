//go:build !amd64

package vector

// routines would hold the loops other than matrix products; here Set calls them by name.
type routines struct{}

// narrower would return an instruction set with shorter vectors.
func (s *Set) narrower() *Set { return nil }

// AsPeakAdder returns the engine as one that has Peaks in assembly; here there is none.
func AsPeakAdder[T Float](Engine[T]) (PeakAdder, bool) { return nil, false }
