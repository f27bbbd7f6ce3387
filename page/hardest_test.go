package page

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShortened(t *testing.T) {
	for _, test := range []struct{ source, class, want string }{
		{"/home/me/photos/cats/1.png", "cats", "1.png"},
		{"/home/me/photos/cats/1.png", "", "cats/1.png"},
		{"/home/me/photos/cats/1.png", "tabby", "cats/1.png"},
		{"train-images-idx3-ubyte.gz[17]", "7", "train-images-idx3-ubyte.gz[17]"},
		{"/1.png", "", "1.png"},
		{"", "", ""},
	} {
		if found := shortened(test.source, test.class); found != test.want {
			t.Errorf("%q of class %q: found %q, expected %q", test.source, test.class, found, test.want)
		}
	}
}

// A source comes apart where it may be broken, and into nothing else.
func TestSourceParts(t *testing.T) {
	for source, want := range map[string][]string{
		"t10k-images-idx3-ubyte.gz[60]": {"t10k-images-idx3-ubyte.gz", "[60]"},
		"cats/IMG_1 (copy).png":         {"cats/", "IMG_", "1 ", "(copy).png"},
		"猫/一_二.png":                     {"猫/", "一_", "二.png"},
		"[1]":                           {"[1]"},
		"":                              {""},
	} {
		if diff := cmp.Diff(want, imageView{Source: source}.SourceParts()); diff != "" {
			t.Errorf("%q (-want +found):\n%s", source, diff)
		}
	}
}

// The hardest pair is the first one shown, with its decision.
func TestHardestPairIsShown(t *testing.T) {
	r := labelledRun(t, "ant", "bee", "cat")
	v := r.Evidence.Verified
	same, different := v.Hardest(hardestPairs)
	view := viewVerified(v)
	for _, kind := range []struct {
		pairs []int
		views []pairView
	}{{same, view.Same}, {different, view.Different}} {
		for i, pair := range kind.pairs {
			shown := kind.views[i]
			wrong := (v.Distances[pair] <= *v.Threshold) == v.Pairs[pair].Different
			if shown.Distance != distance(v.Distances[pair]) || shown.Wrong != wrong || shown.Left.Class != v.Images.Classes[v.Images.Labels[v.Pairs[pair].Left]] {
				t.Errorf("pair %d is shown as %+v", pair, shown)
			}
		}
	}
}
