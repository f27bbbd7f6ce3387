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

// environmentErrors are those of the switches, read when the program starts.
var environmentErrors = [2]error{
	readSwitch(winogradVariable, SetWinograd),
	readSwitch(fourierVariable, SetFourier),
}

// readSwitch sets what a variable says: "on", which is as without it, or "off".
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

// EnvironmentError says which environment variable that this package or package
// vector reads has an unknown value.
func EnvironmentError() error {
	return errors.Join(vector.EnvironmentError(), environmentErrors[0], environmentErrors[1])
}
