package kernel

import (
	"errors"
	"fmt"
	"os"

	"github.com/likeness-go/likeness/internal/vector"
)

// The environment variables that switch algorithms off, or, with pairs, also on.
const (
	winogradVariable = "LIKENESS_WINOGRAD"
	fourierVariable  = "LIKENESS_FOURIER"
	pairsVariable    = "LIKENESS_PAIRS"
)

// environmentErrors are the errors of the variables, which are read when the program starts.
var environmentErrors = [3]error{
	readSwitch(winogradVariable, SetWinograd),
	readSwitch(fourierVariable, SetFourier),
	readSwitch(pairsVariable, SetPairs),
}

// readSwitch applies the value of a variable, "on" or "off"; without one, the default stays.
func readSwitch(variable string, set func(on bool)) error {
	switch value := os.Getenv(variable); value {
	case "":
	case "on", "off":
		set(value == "on")
	default:
		return fmt.Errorf("environment variable %s: found %q, expected on or off: correct or unset it", variable, value)
	}
	return nil
}

// EnvironmentError returns an error that names each environment variable of this package
// or of package vector that has an unknown value; nil if there is none.
func EnvironmentError() error {
	return errors.Join(vector.EnvironmentError(), environmentErrors[0], environmentErrors[1], environmentErrors[2])
}
