package vector

// sets returns NEON, which every arm64 processor has.
func sets() []*Set { return []*Set{neon} }
