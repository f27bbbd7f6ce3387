package record

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/vector"
)

// Two processors of one name may have other instructions, and train at other speeds.
func TestMachine(t *testing.T) {
	instructions := vector.For[float32]().Name()
	if got := Machine(); !strings.Contains(got, " ("+instructions+"), ") {
		t.Errorf("found %q, expected it to name %s", got, instructions)
	}
}
