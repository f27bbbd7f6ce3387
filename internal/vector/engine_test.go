package vector

import (
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	for _, e := range Engines() {
		if got, err := choose(e.Name()); err != nil || got.Name() != e.Name() {
			t.Errorf("%s: found %s, error %v", e.Name(), got.Name(), err)
		}
	}
	best := Engines()[0].Name()
	if got, err := choose(""); err != nil || got.Name() != best {
		t.Errorf("without a name: found %s, error %v, expected %s", got.Name(), err, best)
	}
	for name, words := range map[string][]string{
		"altivec": {"environment variable " + Variable, `found "altivec"`, "expected one of avx512, avx2, neon, portable"},
		"AVX2":    {"environment variable " + Variable, `found "AVX2"`},
		missing(): {Variable, missing(), "this processor has", "portable", best + " is used"},
	} {
		got, err := choose(name)
		if err == nil || got.Name() != best {
			t.Fatalf("%s: found %s, error %v, expected %s and an error", name, got.Name(), err, best)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("found the error %q, expected it to contain %q", err, word)
			}
		}
	}
}

// missing returns a known instruction set that this processor lacks; there is one, because
// no processor has both AVX2 and NEON.
func missing() string {
	for _, name := range known {
		if !slices.ContainsFunc(Engines(), func(e Engine[float32]) bool { return e.Name() == name }) {
			return name
		}
	}
	return ""
}

// Every engine can be selected by its name.
func TestKnown(t *testing.T) {
	for _, e := range Engines() {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("the engine %s cannot be selected by its name", e.Name())
		}
	}
}

func TestEngines(t *testing.T) {
	all := Engines()
	if last := all[len(all)-1].Name(); last != "portable" {
		t.Errorf("the last engine is %s, expected portable", last)
	}
	if name := For[float64]().Name(); name != "portable" {
		t.Errorf("the engine of float64 is %s, expected portable", name)
	}
	for _, e := range all {
		if e.Lanes() < 1 || e.MaxWidth() < 1 {
			t.Errorf("%s has %d lanes and panels of at most %d vectors", e.Name(), e.Lanes(), e.MaxWidth())
		}
		if got := e.MultiplyAdds(3); got < 3 || e.MultiplyAdds(6) != 2*got || e.MultiplyAdds(0) != 0 {
			t.Errorf("%s: three iterations are %d operations, six are %d, none is %d", e.Name(), got, e.MultiplyAdds(6), e.MultiplyAdds(0))
		}
	}
}
