package trainer

import "testing"

// A field that only one version knows must be off; null and 0 of a field that both
// know are two settings.
func TestSameSettings(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{`{"a":1}`, `{"a":1}`, true}, {`{"a":1}`, `{"a":2}`, false}, {`{"a":1}`, `{"a":1,"b":0,"c":null,"d":[],"e":"","f":false,"g":{"h":0}}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false}, {`{"a":1,"b":[1]}`, `{"a":1}`, false}, {`{"a":null}`, `{"a":0}`, false}, {`{"a":0}`, `{"a":null}`, false},
		{`[{"a":1}]`, `[{"a":1,"b":0}]`, true}, {`[1,2]`, `[1]`, false}, {`18446744073709551615`, `18446744073709551614`, false},
		{"listed pairs", "listed pairs", true}, {"listed pairs", "random pairs", false}, {"1 2", "1 3", false}, {"", "0", false}, {`{"a":1}`, `[1]`, false},
	} {
		if sameSettings(test.a, test.b) != test.same || sameSettings(test.b, test.a) != test.same {
			t.Errorf("%s and %s: expected %v", test.a, test.b, test.same)
		}
	}
}
