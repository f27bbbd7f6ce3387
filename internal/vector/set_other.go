//go:build !amd64 && !arm64

package vector

func sets() []*Set { return nil }

// clipsInAssembly is set if products clip their results in assembly.
const clipsInAssembly = false

func (s *Set) rowsTiles(*Rows[float32], func(*rowsCall), int, int, int) {}

func (s *Set) innerProducts(*float64, int, *float64, *float64, int) {}

func (s *Set) productTiles() []scanTile { return nil }
