//go:build !amd64

package vector

// Pairs returns nil: there are no products of pairs for this architecture.
func Pairs() (engine PairEngine, faster bool) { return nil, false }

// roundsAsEmulated reports whether products of pairs have the bits of EmulatedPairs.
func roundsAsEmulated() bool { return true }

// roundsBFloat16 would round in assembly.
func (s *Set) roundsBFloat16(y, x []float32) bool { return false }
