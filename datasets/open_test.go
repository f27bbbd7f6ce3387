package datasets_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/datasets"
)

func TestOpenSaysWhatItFoundAndWhatItAccepts(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"an empty folder":     {},
		"one class":           {"cats/1.png": grayPNG(t, []uint8{1})},
		"loose images":        {"1.png": grayPNG(t, []uint8{1}), "2.png": grayPNG(t, []uint8{2})},
		"tables of something": {"ages.csv": []byte("name,age\n"), "heights.csv": []byte("name,height\n")},
	} {
		dir := folder(t, files)
		_, err := datasets.Open(dir, datasets.Options{})
		expectError(t, name, err, datasets.ErrUnrecognized, dir, "train-images-idx3-ubyte", "images_background", "data_batch_1.bin",
			"a,b,different", "anchor,positive,negative", "train, val and test", "a folder of images for each class")
	}
	_, err := datasets.Open(folder(t, map[string][]byte{"cats/1.png": {}, "notes.txt": {}}), datasets.Options{})
	expectError(t, "what was found", err, datasets.ErrUnrecognized, "found cats, notes.txt;")
	_, err = datasets.Open(folder(t, map[string][]byte{"cats/1.png": {}}), datasets.Options{})
	expectError(t, "one class", err, datasets.ErrUnrecognized, "found only one folder, cats; expected a folder of images for each class, at least two")
	_, err = datasets.Open(folder(t, map[string][]byte{"1.png": {}, "2.png": {}, "notes.txt": {}}), datasets.Options{})
	expectError(t, "images", err, datasets.ErrUnrecognized, "found 2 images in the folder itself, which are not sorted into folders of classes; expected")
	_, err = datasets.Open(folder(t, nil), datasets.Options{})
	expectError(t, "what was found", err, datasets.ErrUnrecognized, "found nothing;")
	_, err = datasets.Open(filepath.Join(t.TempDir(), "missing"), datasets.Options{})
	expectError(t, "a missing folder", err, os.ErrNotExist, "missing")
}

func TestOpenNamesTheDataSetAfterItsFolder(t *testing.T) {
	dir := filepath.Join(folder(t, map[string][]byte{"flowers.v2/a/1.png": grayPNG(t, []uint8{1}), "flowers.v2/b/1.png": grayPNG(t, []uint8{1})}), "flowers.v2")
	splits, err := datasets.Open(dir+string(filepath.Separator), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if splits.Name != "flowers.v2" || splits.Train.Name != "flowers.v2 train" {
		t.Errorf("found the names %q and %q", splits.Name, splits.Train.Name)
	}
	t.Chdir(dir)
	if splits, err = datasets.Open(".", datasets.Options{}); err != nil || splits.Name != "flowers.v2" {
		t.Errorf("found the name %q, %v", splits.Name, err)
	}
}
