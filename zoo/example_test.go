package zoo_test

import (
	"fmt"
	"log"

	"github.com/likeness-go/likeness/zoo"
)

// Two drawings are compared by an embedded model.
func Example() {
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		log.Fatal(err)
	}
	comparison, err := model.Compare(cross(105, 50, 50, 30), cross(105, 60, 45, 25))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same character:", comparison.Same)
	// Output: the same character: true
}
