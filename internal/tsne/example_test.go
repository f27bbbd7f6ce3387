package tsne_test

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/tsne"
)

// Three points lie close together and three others far away. On the map the
// nearest of each is still one of its own.
func Example() {
	points := []float64{0, 1, 2, 1000, 1001, 1002}
	var squared []float64
	for _, x := range points {
		for _, y := range points {
			squared = append(squared, (x-y)*(x-y))
		}
	}
	places, err := tsne.Map(len(points), squared, tsne.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, a := range places {
		nearest, least := -1, 0.0
		for j, b := range places {
			dx, dy := a[0]-b[0], a[1]-b[1]
			if d := dx*dx + dy*dy; i != j && (nearest < 0 || d < least) {
				nearest, least = j, d
			}
		}
		fmt.Println(i/3 == nearest/3)
	}
	// Output:
	// true
	// true
	// true
	// true
	// true
	// true
}
