package processor_test

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/processor"
)

func ExampleName() {
	fmt.Println(processor.Name() != "")
	// Output: true
}
