package collective_test

import (
	"fmt"

	"github.com/likeness-go/likeness/collective"
)

// Two ranks add up what each of them has.
func ExampleLocal() {
	errs := collective.Local(2, func(c *collective.Communicator) error {
		values := []float32{1, float32(10 * c.Rank())}
		if err := c.Sum("values", values); err != nil {
			return err
		}
		if c.Root() {
			fmt.Println(values)
		}
		return nil
	})
	fmt.Println(errs)
	// Output:
	// [2 10]
	// [<nil> <nil>]
}
