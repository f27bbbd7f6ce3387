package doctor

import (
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/pkg/errors"
)

// modelFile looks at a model file. One whose backbone is a Go type of the user's
// own cannot be looked at beyond its checksum.
func modelFile(path string) (string, error) {
	loaded, err := likeness.Load(path)
	if errors.Is(err, likeness.ErrOwnBackbone) {
		return "", notChecked(err.Error())
	}
	return model(loaded, err)
}

// model looks at a model that was loaded, which has verified its checksum where
// there is one: does it embed the probe picture as where it was saved?
func model(m *likeness.Model, err error) (string, error) {
	if err != nil {
		return "", err
	}
	off, tolerance, err := m.ProbeDeviation()
	if errors.Is(err, likeness.ErrNoProbe) {
		return "", notChecked("no probe is stored: the file is of an earlier format, or its backbone has no form in float64")
	}
	if err != nil {
		return "", err
	}
	if !(off <= tolerance) {
		return "", errors.Errorf("the checksum holds, but the embedding of the probe picture is off by %.2g of its largest value, expected at most %.0e: it behaves otherwise here than where it was saved", off, tolerance)
	}
	identity, err := m.Identity()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v; the file's checksum holds, the embedding of the probe picture is off by %.1e of its largest value (%.0e allowed)", identity, off, tolerance), nil
}
