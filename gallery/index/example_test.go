package index_test

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
)

// Of three vectors the two nearest to (1, 1) are found, first exactly and then by
// a graph.
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
	exact, err := vectors.Nearest(query, 2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	graph, err := index.Build(context.Background(), vectors, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	approximate, err := graph.Nearest(query, 2, nil, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, neighbor := range exact[0] {
		fmt.Printf("row %d at %.3f, by the graph row %d\n", neighbor.Row, neighbor.Distance, approximate[0][i].Row)
	}
	// Output:
	// row 1 at 1.000, by the graph row 1
	// row 0 at 1.414, by the graph row 0
}
