package load

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, arguments := range map[string][]string{
		"-minutes is 0":                  {"-minutes", "0"},
		"-clients is 65":                 {"-clients", "65"},
		"-crowd is 64, expected more":    {"-crowd", "64"},
		`found the argument "overnight"`: {"overnight"},
	} {
		if o, err := parse(arguments); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("found %+v, %v, want %s", o, err, text)
		}
	}
}
