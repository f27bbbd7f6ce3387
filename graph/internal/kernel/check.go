package kernel

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Float is the element type of every array.
type Float = vector.Float

// checkLength panics unless an array has the length that its shape asks for.
// Every entry point checks, so that the inner loops need not and a mistake is
// named where it was made.
func checkLength[T Float](name string, array []T, want int) {
	if len(array) != want {
		panic(fmt.Sprintf("kernel: %s has %d elements, its shape asks for %d", name, len(array), want))
	}
}

// checkOptional is checkLength for an array that may be nil.
func checkOptional[T Float](name string, array []T, want int) {
	if array != nil {
		checkLength(name, array, want)
	}
}

// mustBeValid panics on a shape that the caller should have validated.
func mustBeValid(err error) {
	if err != nil {
		panic("kernel: " + err.Error())
	}
}

// positive returns an error unless the named dimension is at least one.
func positive(name string, value int) error {
	return between(name, value, 1)
}

// between bounds a value from above so that no sum and no product of two overflows.
func between(name string, value, least int) error {
	if value < least {
		return errors.Errorf("%s is %d, it must be at least %d", name, value, least)
	}
	if value > math.MaxInt32 {
		return errors.Errorf("%s is %d, it must be at most %d", name, value, math.MaxInt32)
	}
	return nil
}

// dimension is a named number of a shape.
type dimension struct {
	name  string
	value int
}
