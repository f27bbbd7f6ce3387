package vector_test

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/vector"
)

// Two overlapping rows of A times a panel with one column.
func ExampleEngine() {
	e := vector.Portable[float32]{}
	columns := make([]float32, 2*e.Lanes()) // two rows of a panel one vector wide
	columns[0], columns[e.Lanes()] = 10, 1
	c := make([]float32, 2)
	e.Rows(&vector.Rows[float32]{
		A: []float32{1, 2, 3}, AOffsets: []int32{0, 1},
		B: columns, Width: 1, Columns: 1, Segments: 1, Length: 2,
		C: c, COffsets: []int32{0, 1},
	})
	fmt.Println(c)
	// Output: [12 23]
}
