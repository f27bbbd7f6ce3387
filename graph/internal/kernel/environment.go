package kernel

import (
	"errors"
	"fmt"
	"os"

	"github.com/likeness-go/likeness/internal/vector"
)

// The environment variables that switch algorithms off.
const (
	winogradVariable = "LIKENESS_WINOGRAD"
	fourierVariable  = "LIKENESS_FOURIER"
)

// environmentErrors are the errors of the two variables, which are read when the
// program starts.
var environmentErrors = [2]error{
	readSwitch(winogradVariable, SetWinograd),
	readSwitch(fourierVariable, SetFourier),
}

// readSwitch applies the value of a variable: "off", or "on", which is the default.
func readSwitch(variable string, set func(on bool)) error {
	switch value := os.Getenv(variable); value {
	case "", "on":
	case "off":
		set(false)
	default:
		return fmt.Errorf("environment variable %s: found %q, expected on or off: correct or unset it", variable, value)
	}
	return nil
}

// EnvironmentError returns an error that names each environment variable of this package
// or of package vector that has an unknown value; nil if there is none.
func EnvironmentError() error {
	return errors.Join(vector.EnvironmentError(), environmentErrors[0], environmentErrors[1])
}
