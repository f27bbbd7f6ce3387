package strict_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/strict"
)

type layer struct {
	Rate float64 `toml:"rate"`
}

type settings struct {
	BatchNorm bool    `toml:"batch_norm"`
	Layers    []layer `toml:"layers"`
	Hidden    int     `toml:"-"`
}

func TestDecode(t *testing.T) {
	var found settings
	if err := strict.Decode("batch_norm = true\n[[layers]]\nrate = 0.5\n", "run.toml", &found); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings{BatchNorm: true, Layers: []layer{{0.5}}}, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A key that no field has is refused, with the file and the nearest key, also
// within a table; so is text that is no TOML, with its line.
func TestDecodeErrors(t *testing.T) {
	tests := map[string]string{
		"batchnorm = true\n":           `run.toml: batchnorm: unknown key "batchnorm": did you mean "batch_norm"?`,
		"[[layers]]\nrates = 1.0\n":    `run.toml: layers.rates: unknown key "rates": did you mean "rate"?`,
		"hidden = 3\n":                 `run.toml: hidden: unknown key "hidden". There are batch_norm, layers`,
		"rate = 1.0\n":                 `run.toml: rate: unknown key "rate". There are batch_norm, layers`,
		"[layer.first]\nrate = 1.0\n":  `run.toml: layer.first: unknown key "layer": did you mean "layers"?`,
		"batch_norm = true\nrate = \n": "run.toml: line 2: ",
		"batch_norm = 3\n":             "run.toml: ",
	}
	for text, want := range tests {
		var found settings
		err := strict.Decode(text, "run.toml", &found)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found error %v, want one that says %s", text, err, want)
		}
	}
}
