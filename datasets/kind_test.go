package datasets_test

import (
	"testing"

	"github.com/likeness-go/likeness/datasets"
)

func TestKind(t *testing.T) {
	for _, test := range []struct {
		kind   datasets.Kind
		name   string
		towers int
	}{{datasets.Pairs, "pairs", 2}, {datasets.Triplets, "triplets", 3}, {datasets.Labeled, "labeled images", 1}, {datasets.Views, "views of images", 2}, {9, "an unknown kind of examples", 0}} {
		if test.kind.String() != test.name || test.kind.Towers() != test.towers {
			t.Errorf("found %q with %d towers, expected %q with %d", test.kind, test.kind.Towers(), test.name, test.towers)
		}
	}
}
