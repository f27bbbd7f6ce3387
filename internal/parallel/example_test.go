package parallel_test

import (
	"context"
	"fmt"
	"os"

	"github.com/likeness-go/likeness/internal/parallel"
)

// The squares are written to different elements, and added up in order.
func ExampleFor() {
	squares := make([]int, 10)
	parallel.For(len(squares), func(i int) { squares[i] = i * i })
	sum := 0
	for _, square := range squares {
		sum += square
	}
	fmt.Println(sum)
	// Output: 285
}

func ExampleEach() {
	files := []string{"missing.png", "missing.jpg"}
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, len(files), func(i int) error {
		_, err := os.ReadFile(files[i])
		return err
	})
	fmt.Println(os.IsNotExist(err))
	// Output: true
}
