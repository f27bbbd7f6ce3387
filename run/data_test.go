package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/imaging"
)

// Without a chosen size, images keep the size of the data unless they are large.
func TestSizes(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 4)
	write(t, filepath.Join("large", "a", "1.png"), bar(t, 0, 1, 200))
	write(t, filepath.Join("large", "b", "1.png"), bar(t, 1, 1, 200))
	write(t, filepath.Join("parts", "train", "a", "1.png"), bar(t, 0, 1, 20))
	write(t, filepath.Join("parts", "test", "a", "1.png"), red(t, 30))
	for _, test := range []struct{ data, size, want string }{
		{"bars", "", "12x12x1"}, {"bars", "16", "16x16x1"}, {"bars", "16x18x3", "16x18x3"},
		{"large", "", "64x64x1"}, {"large", "200x200", "200x200x1"}, {"parts", "", "64x64x3"},
	} {
		settings := generalDefaults
		settings.Data, settings.Size = test.data, test.size
		found, notes, err := settings.open(imaging.Size{}, nil)
		if err != nil {
			t.Errorf("%s at %q: %v", test.data, test.size, err)
			continue
		}
		if got := found.images().Size.String(); got != test.want {
			t.Errorf("%s at %q: found %s, want %s", test.data, test.size, got, test.want)
		}
		if decided := strings.HasPrefix(test.want, "64"); decided != (len(notes) > 0) {
			t.Errorf("%s at %q: found notes %q", test.data, test.size, notes)
		}
	}
}

// The protocol says what the model is selected by, which depends on how many images
// can be held out.
func TestProtocolOfSelection(t *testing.T) {
	inFolder(t)
	bars(t, "some", 2, 30)
	bars(t, "few", 2, 6)
	bars(t, "pairs", 2, 2)
	bars(t, "many", 24, 4)
	for _, test := range []struct {
		data  string
		limit int // of images to test on
		want  string
	}{
		{"some", 0, "held out for validation; tested on 12 other images of 2 of the training classes; seed 1; model selected by the ROC AUC on 4 held-out images of the training classes; "},
		{"some", 1, "Limited to 1 validation images, 1 seen images; no model selected, because the held-out images are too few of each class; "},
		{"few", 0, "2 other images of 2 of these classes held out for validation; tested on 2 other images of 2 of the training classes; seed 1; no model selected, because the held-out images are too few of each class; "},
		{"pairs", 0, "pairs: trained on 4 images of 2 classes; seed 1; no model selected, because no images are held out"},
		{"many", 0, "images of 2 classes held out for validation; tested on 22 other images of 22 of the training classes; seed 1; model selected by the 2-way one-shot accuracy on 2 held-out classes"},
	} {
		settings := generalDefaults
		settings.Data, settings.TestLimit, settings.Unseen = test.data, test.limit, List{"none"}
		found, _, err := settings.open(imaging.Size{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := found.plan(1)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan.Protocol, test.want) {
			t.Errorf("%s: found the protocol %q, expected %q", test.data, plan.Protocol, test.want)
		}
		validation, _, err := found.validation(1)
		if selected := strings.Contains(plan.Protocol, "; model selected by"); err != nil || selected != (validation != nil) {
			t.Errorf("%s: found the validation %v, error %v, and the protocol %q", test.data, validation, err, plan.Protocol)
		}
	}
}

// The shortlist takes tuples as long as their images fit, and says where each
// image is in it.
func TestShortlist(t *testing.T) {
	few := shortlist{limit: 3, position: map[int]int{}}
	for _, test := range []struct {
		left, right int
		taken       bool
		first, last int // positions
	}{
		{7, 5, true, 0, 1}, {5, 7, true, 1, 0}, {8, 9, false, 8, 9}, {5, 4, true, 1, 2}, {6, 6, false, 6, 6}, {4, 4, true, 2, 2},
	} {
		left, right := test.left, test.right
		if taken := few.take(&left, &right); taken != test.taken || left != test.first || right != test.last {
			t.Errorf("%d, %d: found %v, %d, %d; want %+v", test.left, test.right, taken, left, right, test)
		}
	}
}

// A folder in the working directory takes precedence over a data set of its name.
func TestLocate(t *testing.T) {
	inFolder(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where os.UserCacheDir looks
	t.Setenv("HOME", t.TempDir())
	before := PublishedSet
	t.Cleanup(func() { PublishedSet = before })
	PublishedSet = func(name string) (fetch.Set, error) {
		if name == "fashion-mnist" {
			return fetch.Set{Name: name, Files: []fetch.File{{Name: "train-images-idx3-ubyte.gz", Size: 3}}}, nil
		}
		return before(name)
	}
	for _, want := range []string{"fashion-mnist", "lacks", "train-images-idx3-ubyte.gz", "likeness fetch fashion-mnist"} {
		if _, err := Train(t.Context(), Settings{Data: "fashion-mnist"}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
	folder, err := datasets.CacheFolder("fashion-mnist")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "train-images-idx3-ubyte.gz"), "abc")
	if cached, err := locate("fashion-mnist"); err != nil || cached != folder {
		t.Errorf("found %s, %v, expected the folder %s of the cache", cached, err, folder)
	}
	if err := os.Mkdir("fashion-mnist", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"fashion-mnist", "", "bars"} {
		if found, err := locate(path); err != nil || found != path {
			t.Errorf("found %s, %v, expected %q", found, err, path)
		}
	}
}
