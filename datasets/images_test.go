package datasets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// own are images that are not a Dataset, of 1×1 pixels.
type own struct {
	labels  []int
	classes []string
	side    int
}

func (o own) Len() int                { return len(o.labels) }
func (o own) Label(i int) int         { return o.labels[i] }
func (o own) ClassNames() []string    { return o.classes }
func (o own) ImageSize() imaging.Size { return imaging.Size{Height: o.side, Width: 1, Channels: 1} }
func (o own) Read(i int, pixels []uint8) error {
	pixels[0] = uint8(i)
	return nil
}
func (o own) Source(i int) string { return fmt.Sprintf("frame %d", i) }

// called are the same with a name.
type called struct{ own }

func (called) String() string { return "the film" }

// Images of any type are checked as a Dataset is, and the error names them.
func TestCheckImages(t *testing.T) {
	good := own{[]int{0, 1, -1}, []string{"a", "b"}, 1}
	for _, images := range []datasets.Images{good, called{good}, toy(2, 2)} {
		if err := datasets.CheckImages(images); err != nil {
			t.Errorf("%T: %v", images, err)
		}
	}
	for _, test := range []struct {
		images datasets.Images
		want   []string
	}{
		{nil, []string{"nil"}},
		{(*datasets.Dataset)(nil), []string{"nil"}},
		{&datasets.Dataset{}, []string{"without images"}},
		{own{nil, []string{"a"}, 1}, []string{"datasets_test.own", "no images"}},
		{called{own{nil, []string{"a"}, 1}}, []string{"the film", "no images"}},
		{own{[]int{0}, []string{"a"}, 0}, []string{"size 0x1x1"}},
		{own{[]int{0, 2}, []string{"a", "b"}, 1}, []string{"frame 1", "label 2", "0 to 1"}},
		{own{[]int{0, -2}, []string{"a", "b"}, 1}, []string{"frame 1", "label -2"}},
		{own{[]int{0, 1}, []string{"a", "a"}, 1}, []string{"two classes", `a`}},
	} {
		err := datasets.CheckImages(test.images)
		if err == nil {
			t.Errorf("%T: found no error, expected one with %q", test.images, test.want)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(strings.ToLower(err.Error()), want) && !strings.Contains(err.Error(), want) {
				t.Errorf("%T: found %v, expected %q in it", test.images, err, want)
			}
		}
	}
}

// Samplers draw from images of any type, and refuse those without a label.
func TestSamplersOfOwnImages(t *testing.T) {
	images := own{[]int{0, 0, 1, 1}, []string{"a", "b"}, 1}
	sampler, err := datasets.RandomTriplets(images)
	if err != nil {
		t.Fatal(err)
	}
	if sampler.Kind() != datasets.Triplets || sampler.Identity() != "random triplets" {
		t.Errorf("found %v, %s", sampler.Kind(), sampler.Identity())
	}
	images.labels[3] = -1
	if _, err := datasets.RandomTriplets(images); err == nil || !strings.Contains(err.Error(), "frame 3") {
		t.Errorf("found %v, expected an error that names the image without a label", err)
	}
}

// Lists have an identity of their content, and samplers their kinds.
func TestIdentityOfLists(t *testing.T) {
	pairs := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 1}})
	other := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 1, Different: true}})
	triplets := datasets.ListedTriplets([]datasets.Triplet{{Anchor: 0, Positive: 1, Negative: 2}})
	if pairs.Kind() != datasets.Pairs || triplets.Kind() != datasets.Triplets {
		t.Errorf("found the kinds %v and %v", pairs.Kind(), triplets.Kind())
	}
	identities := []string{pairs.Identity(), other.Identity(), triplets.Identity()}
	for i, identity := range identities {
		if !strings.HasPrefix(identity, "listed ") || slices.Contains(identities[:i], identity) {
			t.Errorf("found the identities %q, expected different ones of lists", identities)
		}
	}
	again := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 1}})
	if again.Identity() != identities[0] {
		t.Error("equal lists have different identities")
	}
}

// Without sources images are named by their position, also where there are none.
func TestSource(t *testing.T) {
	d := &datasets.Dataset{Name: "drawings", Sources: []string{"a.png"}}
	for i, want := range map[int]string{0: "a.png", 1: "image 1 of drawings", -1: "image -1 of drawings"} {
		if found := d.Source(i); found != want {
			t.Errorf("found %q, expected %q", found, want)
		}
	}
	var none *datasets.Dataset
	if none.Source(2) != "image 2 of " || none.Label(0) != -1 || none.ClassNames() != nil || none.ImageSize() != (imaging.Size{}) {
		t.Error("a nil dataset has something")
	}
}
