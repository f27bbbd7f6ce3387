package index_test

import (
	"fmt"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
)

// Of three vectors the two nearest to (1, 1) are found.
func Example() {
	distance, err := heads.L2{}.Distance(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	vectors, err := index.NewVectors(distance, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, vector := range [][]float32{{0, 0}, {1, 2}, {9, 9}} {
		if err := vectors.Append(vector); err != nil {
			fmt.Println(err)
			return
		}
	}
	query := [][]float32{{1, 1}}
	nearest, err := vectors.Nearest(query, 2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, neighbor := range nearest[0] {
		fmt.Printf("row %d at %.3f\n", neighbor.Row, neighbor.Distance)
	}
	// Output:
	// row 1 at 1.000
	// row 0 at 1.414
}
