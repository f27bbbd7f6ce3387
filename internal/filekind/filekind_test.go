package filekind

import "testing"

// Every entry of the table is found at its offset, and no other entry hides it.
func TestOf(t *testing.T) {
	for _, kind := range kinds {
		start := append(make([]byte, kind.at), kind.bytes...)
		if found := Of(start); found != kind.name {
			t.Errorf("%q at %d: found %q, expected %q", kind.bytes, kind.at, found, kind.name)
		}
		if found := Of(start[:len(start)-1]); found == kind.name {
			t.Errorf("a part of %q: found %q", kind.bytes, found)
		}
	}
	for _, other := range []string{"", "text", "P1x", "{\"a\": 1}"} {
		if found := Of([]byte(other)); found != "" {
			t.Errorf("%q: found %q, expected none", other, found)
		}
	}
}
