package page

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTicks(t *testing.T) {
	for _, test := range []struct {
		ticks           roundTicks
		least, greatest float64
		want            []string
	}{
		{roundTicks{about: 5}, 0, 100, []string{"0", "20", "40", "60", "80", "100"}},
		{roundTicks{about: 4}, -0.02, 0.41, []string{"0", "0.2", "0.4"}},
		{roundTicks{about: 4}, 0.81, 0.92, []string{"0.85", "0.90"}},
		{roundTicks{about: 4}, -1e-10, 9e-10, []string{"0", "5e-10"}},
		{roundTicks{about: 4}, 0, 3e-3, []string{"0", "0.001", "0.002", "0.003"}},
		{roundTicks{about: 2}, 0, 400_000, []string{"0", "2e+05", "4e+05"}},
		{roundTicks{about: 8, whole: true}, 0.8, 2.2, []string{"1", "2"}},
		{roundTicks{about: 8, whole: true}, 0.8, 7.2, []string{"1", "2", "3", "4", "5", "6", "7"}},
		{roundTicks{about: 8, whole: true}, 0.8, 100.2, []string{"20", "40", "60", "80", "100"}},
	} {
		var found []string
		for _, tick := range test.ticks.Ticks(test.least, test.greatest) {
			found = append(found, tick.Label)
			if tick.Value < test.least || tick.Value > test.greatest {
				t.Errorf("%v to %v: there is a tick at %v", test.least, test.greatest, tick.Value)
			}
		}
		if diff := cmp.Diff(test.want, found); diff != "" {
			t.Errorf("%v to %v (-want +found):\n%s", test.least, test.greatest, diff)
		}
	}
}
