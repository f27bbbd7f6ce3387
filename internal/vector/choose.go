package vector

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Variable is the environment variable that forces an instruction set, by
// name; it is read once.
const Variable = "LIKENESS_INSTRUCTIONS"

// For returns the engine of an element type: for float32 that of the best
// instruction set of this processor, or the one that the environment variable
// names; for float64 the portable one.
func For[T Float]() Engine[T] {
	if single, ok := any(chosen()).(Engine[T]); ok {
		return single
	}
	return Portable[T]{}
}

var chosen = sync.OnceValue(func() Engine[float32] {
	name := os.Getenv(Variable)
	engine, err := choose(name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "likeness: %v\n", err)
	}
	return engine
})

// Engines returns all engines of float32 that this processor has, the fastest
// first and the portable one last.
func Engines() []Engine[float32] {
	var all []Engine[float32]
	for _, s := range sets() {
		all = append(all, s)
	}
	return append(all, Portable[float32]{})
}

// choose returns the engine of a name, or the best one and, unless the name is
// empty, an error.
func choose(name string) (Engine[float32], error) {
	var names []string
	for _, e := range Engines() {
		if e.Name() == name {
			return e, nil
		}
		names = append(names, e.Name())
	}
	best := Engines()[0]
	if name == "" {
		return best, nil
	}
	return best, fmt.Errorf("%s is %q, this processor has %s; %s is used",
		Variable, name, strings.Join(names, ", "), best.Name())
}
