package page

import "testing"

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
