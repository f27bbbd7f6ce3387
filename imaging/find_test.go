package imaging_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// put writes a file into a folder, which is made if need be, and returns its path.
func put(t *testing.T, content []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// An extension of an image says yes, a name of a text or of a copy no; otherwise the
// content decides.
func TestIsImage(t *testing.T) {
	dir := t.TempDir()
	png := testutil.PNG(testutil.Steps(2, 2))
	for name, test := range map[string]struct {
		content []byte
		want    bool
	}{
		"a.jfif": {nil, true}, "a.JPE": {[]byte("broken"), true}, "a.tif": {nil, true}, "a.webp": {nil, true}, "a.pnm": {nil, true},
		"IMG_0001": {png, true}, "subject01.happy": {png, true}, "image.0001": {testutil.Pictures(testutil.Steps(2, 2))["GIF"], true},
		"README": {[]byte("P5 is a format"), false}, "scan": {[]byte("P5\n# by a scanner\n"), true}, "raw": {[]byte("P5 2 1 255 ab"), true},
		"LICENSE": {[]byte("Permission is"), false}, "Thumbs.db": {[]byte("\xd0\xcf\x11\xe0"), false}, "empty": {nil, false},
		"GT-00000.csv": {[]byte("Filename;Width"), false}, "notes.txt": {[]byte("P2 3 4"), false}, "labels.mat": {[]byte("MATLAB 5.0"), false}, "x.npy": {[]byte("\x93NUMPY"), false},
		"a.png~": {png, false}, "a.jpg_original": {png, false}, "a.png.bak": {png, false}, "a.png.part": {png[:8], false},
		"photo.heic": {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), false}, "drawing.svg": {[]byte("<svg>"), false},
	} {
		path := put(t, test.content, dir, name)
		if found, err := imaging.IsImage(path); err != nil || found != test.want {
			t.Errorf("%s: found %v, %v, expected %v", name, found, err, test.want)
		}
	}
	if found, err := imaging.IsImage(dir); err != nil || found {
		t.Errorf("a folder: found %v, %v", found, err)
	}
	if _, err := imaging.IsImage(filepath.Join(dir, "missing.png")); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("a missing image: %v", err)
	}
}

// unwrapped is the innermost error.
func unwrapped(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if _, path := err.(*os.PathError); path {
			return err
		}
		err = inner.Unwrap()
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	png := testutil.PNG(testutil.Steps(2, 2))
	b, a := put(t, png, dir, "b.png"), put(t, png, dir, "a", "00000")
	put(t, nil, dir, ".DS_Store")
	put(t, png, dir, ".hidden", "c.png")
	for i := range 12 {
		put(t, []byte("x"), dir, "a", fmt.Sprintf("%02d.csv", i))
	}
	put(t, []byte("x"), dir, "README")
	single := put(t, []byte("whatever"), t.TempDir(), "single.dat")
	found, err := imaging.Find(single, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{single, a, b}, found.Files); diff != "" {
		t.Errorf("files (-want +found):\n%s", diff)
	}
	passed := found.Skipped
	if diff := cmp.Diff(map[string]int{".csv": 12, "hidden": 1, "without an extension": 1}, passed.Kinds); diff != "" || passed.Count != 14 {
		t.Errorf("passed over %d files (-want +found):\n%s", passed.Count, diff)
	}
	if len(passed.First) != imaging.MaxSkipped || passed.First[0] != filepath.Join(dir, ".DS_Store") || passed.First[9] != filepath.Join(dir, "a", "07.csv") && passed.First[9] != filepath.Join(dir, "a", "08.csv") {
		t.Errorf("it names %q", passed.First)
	}
	if want := "14 files that are not images (12 .csv, 1 hidden, 1 without an extension)"; passed.String() != want {
		t.Errorf("found %q, expected %q", passed, want)
	}
	var one imaging.Skipped
	if one.Add("x\x1b[31m.e\x1b"); one.String() != "1 file that is not an image (1 of another kind)" {
		t.Errorf("found %q", one)
	}
	put(t, []byte("x"), dir, "texts", "a.md")
	if _, err := imaging.Find(filepath.Join(dir, "texts")); err == nil || !strings.Contains(err.Error(), "texts contains no images (PNG, JPEG") || !strings.Contains(err.Error(), "1 .md") {
		t.Errorf("a folder without images: %v", err)
	}
	if _, err := imaging.Find(filepath.Join(dir, "missing")); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("a missing folder: %v", err)
	}
}
