package datasets_test

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
)

// Views are of different images, which are equally likely whatever their classes, and of all images
// if a step wants more than there are.
func TestRandomViews(t *testing.T) {
	images := toy(1, 9)
	sampler, err := datasets.DefaultSampler(datasets.Views, images, 4, 0)
	if err != nil {
		t.Fatal(err)
	}
	if sampler.Kind() != datasets.Views || sampler.Identity() != "random views" {
		t.Errorf("found %v, %q", sampler.Kind(), sampler.Identity())
	}
	r, counts := rand.New(rand.NewPCG(1, 2)), map[int]int{}
	for range 1000 {
		tuples := sampler.Sample(r, 4)
		if len(tuples.Indices) != 2 || !cmp.Equal(tuples.Indices[0], tuples.Indices[1]) || tuples.Different != nil || tuples.Len() != 4 {
			t.Fatalf("found %+v, expected two equal lists of 4 images", tuples)
		}
		for _, i := range tuples.Indices[0] {
			counts[i]++
		}
		if sorted := slices.Sorted(slices.Values(tuples.Indices[0])); len(slices.Compact(sorted)) != 4 {
			t.Fatalf("found %v, expected different images", tuples.Indices[0])
		}
	}
	for i := range 10 {
		if counts[i] < 330 || counts[i] > 470 { // 400 expected, standard deviation 15.5
			t.Errorf("image %d was drawn %d times of 1000, expected 400", i, counts[i])
		}
	}
	if all := sampler.Sample(r, 99); !cmp.Equal(slices.Sorted(slices.Values(all.Indices[0])), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("found %v, expected all images", all.Indices[0])
	}
	if none := sampler.Sample(nil, 4); none.Len() != 0 {
		t.Errorf("found %v without random numbers", none)
	}
	_, err = datasets.RandomViews(toy(1))
	expectError(t, "one image", err, datasets.ErrTooFew, "1 image, at least two are needed")
}

// With Unlabeled a folder of images has no classes, whatever its depth, and other data are read as
// without it.
func TestOpenUnlabeled(t *testing.T) {
	png := func(v uint8) []byte { return grayPNG(t, []uint8{v, v}) }
	classes := map[string][]byte{"a/1.png": png(1), "a/2.png": png(2), "b/3.png": png(3), "b/4.png": png(4)}
	for name, test := range map[string]struct {
		files map[string][]byte
		names []string // of the images, in order; nil for classes
	}{
		"a flat folder":           {map[string][]byte{"2.png": png(2), "1.png": png(1), "notes.txt": []byte("x")}, []string{"1.png", "2.png"}},
		"images beside folders":   {merge(classes, map[string][]byte{"c.png": png(5)}), []string{"a/1.png", "a/2.png", "b/3.png", "b/4.png", "c.png"}},
		"deep folders":            {map[string][]byte{"y/m/d/1.png": png(1), "z/m/d/2.png": png(2)}, []string{"y/m/d/1.png", "z/m/d/2.png"}},
		"one folder":              {map[string][]byte{"a/1.png": png(1), "a/2.png": png(2)}, []string{"a/1.png", "a/2.png"}},
		"an empty class":          {merge(classes, map[string][]byte{"c/notes.txt": []byte("x")}), []string{"a/1.png", "a/2.png", "b/3.png", "b/4.png"}},
		"train and test, flat":    {map[string][]byte{"train/1.png": png(1), "train/2.png": png(2), "test/3.png": png(3)}, []string{"train/1.png", "train/2.png"}},
		"folders of classes":      {classes, nil},
		"train and test, classes": {map[string][]byte{"train/a/1.png": png(1), "train/b/2.png": png(2), "test/a/3.png": png(3)}, nil},
	} {
		dir := folder(t, test.files)
		for _, stream := range []bool{false, true} {
			splits, err := datasets.Open(dir, datasets.Options{Unlabeled: true, Stream: stream})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if test.names == nil {
				if len(splits.Train.Classes) != 2 || splits.Train.Labels == nil {
					t.Errorf("%s: found %v, expected two classes", name, splits.Train.Classes)
				}
				continue
			}
			var found []string
			for _, source := range splits.Train.Sources {
				relative, err := filepath.Rel(dir, source)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, filepath.ToSlash(relative))
			}
			if !cmp.Equal(found, test.names) || splits.Train.Labels != nil || splits.Train.Classes != nil || splits.Test != nil || splits.Validation != nil {
				t.Errorf("%s: found %v with labels %v, expected %v without", name, found, splits.Train.Labels, test.names)
			}
			if _, skips := test.files["notes.txt"]; skips && splits.PassedOver.Count != 1 {
				t.Errorf("%s: found %d files passed over, expected 1", name, splits.PassedOver.Count)
			}
		}
		if _, err := datasets.Open(dir, datasets.Options{}); (err == nil) != (test.names == nil) {
			t.Errorf("%s without Unlabeled: found error %v", name, err)
		}
	}
	broken := maps.Clone(classes)
	broken["b/5.png"] = []byte("\x89PNG\r\n\x1a\nno image")
	_, err := datasets.Open(folder(t, broken), datasets.Options{Unlabeled: true})
	expectError(t, "a broken file", err, datasets.ErrBroken, "5.png")
	_, err = datasets.Open(folder(t, map[string][]byte{"notes.txt": []byte("x")}), datasets.Options{Unlabeled: true})
	if err == nil {
		t.Error("a folder without images was opened")
	}
}
