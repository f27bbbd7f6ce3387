package vector

import (
	"fmt"
	"os"
	"slices"
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
	if single, ok := any(chosen().engine).(Engine[T]); ok {
		return single
	}
	return Portable[T]{}
}

// known are the values that Variable may have, on any processor; the empty one
// chooses the best.
var known = []string{"avx512", "avx2", "neon", "portable"}

type choice struct {
	engine Engine[float32]
	err    error // where the variable's value is none of known
}

var chosen = sync.OnceValue(func() choice {
	name := os.Getenv(Variable)
	engine, err := choose(name)
	if err != nil && slices.Contains(known, name) {
		fmt.Fprintf(os.Stderr, "likeness: %v\n", err)
		err = nil
	}
	return choice{engine, err}
})

// EnvironmentError says that Variable has a value that names no instruction set
// of any processor. Then the best one is used, and it is for the caller to refuse
// to work. An instruction set that this processor lacks is no error: a line on
// standard error says which one is used in its place.
func EnvironmentError() error { return chosen().err }

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
	if !slices.Contains(known, name) {
		return best, fmt.Errorf("environment variable %s: found %q, expected one of %s, or none for the best of this processor: correct or unset it",
			Variable, name, strings.Join(known, ", "))
	}
	return best, fmt.Errorf("%s is %q, this processor has %s; %s is used",
		Variable, name, strings.Join(names, ", "), best.Name())
}
