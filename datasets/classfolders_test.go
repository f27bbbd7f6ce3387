package datasets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

func smallFolders(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"cat/2.png": grayPNG(t, []uint8{3, 4}), "cat/1.png": grayPNG(t, []uint8{1, 2}),
		"dog/only.pgm": []byte("P2 2 1 255 5 6"),
		"README.md":    []byte("about the images"), ".git/config": {}, "cat/.DS_Store": {}, "cat/Thumbs.db": {},
	}
}

func TestOpenClassFolders(t *testing.T) {
	dir := folder(t, smallFolders(t))
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(dir)
	want := datasets.Splits{Name: name, Train: &datasets.Dataset{
		Name: name + " train", Size: imaging.Size{Height: 1, Width: 2, Channels: 1},
		Classes: []string{"cat", "dog"}, Labels: []int{0, 0, 1}, Images: [][]uint8{{1, 2}, {3, 4}, {5, 6}},
		Sources: []string{filepath.Join(dir, "cat", "1.png"), filepath.Join(dir, "cat", "2.png"), filepath.Join(dir, "dog", "only.pgm")},
	}}
	want.PassedOver = imaging.Skipped{
		Count: 3, Kinds: map[string]int{".md": 1, ".db": 1, "hidden": 1},
		First: []string{filepath.Join(dir, "README.md"), filepath.Join(dir, "cat", ".DS_Store"), filepath.Join(dir, "cat", "Thumbs.db")},
	}
	if diff := cmp.Diff(want, splits); diff != "" {
		t.Error(diff)
	}
}

func TestOpenClassFoldersOfMixedSizesAndColors(t *testing.T) {
	files := merge(smallFolders(t), map[string][]byte{"dog/red.png": redPNG(t, 4, 4)})
	dir := folder(t, files)
	_, err := datasets.Open(dir, datasets.Options{})
	expectError(t, "no size chosen", err, datasets.ErrSizes, filepath.Join("cat", "1.png"), "1 x 2", filepath.Join("dog", "red.png"), "4 x 4", "choose a size")

	for _, test := range []struct {
		asked imaging.Size
		want  string
	}{
		{imaging.Size{Height: 3, Width: 3}, "3x3x3"}, // some are colored
		{imaging.Size{Height: 3, Width: 3, Channels: 1}, "3x3x1"},
		{imaging.Size{Height: 3, Width: 3, Channels: 3}, "3x3x3"},
	} {
		splits, err := datasets.Open(dir, datasets.Options{Size: test.asked})
		if err != nil {
			t.Errorf("%v: %v", test.asked, err)
			continue
		}
		if err := splits.Train.Validate(); err != nil || splits.Train.Size.String() != test.want {
			t.Errorf("%v: found %v, %v", test.asked, splits.Train.Size, err)
		}
	}
	_, err = datasets.Open(dir, datasets.Options{Size: imaging.Size{Height: 3, Channels: 1}})
	expectError(t, "a height alone", err, nil, "size 3x0x1")
}

func TestOpenClassFoldersKeepsGraysInASetOfColors(t *testing.T) {
	dir := folder(t, map[string][]byte{"a/gray.png": grayPNG(t, []uint8{1, 2}), "b/red.png": redPNG(t, 2, 1)})
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]uint8{{1, 1, 1, 2, 2, 2}, {200, 0, 0, 200, 0, 0}}, splits.Train.Images); diff != "" {
		t.Error(diff)
	}
}

// Folders of class folders are groups.
func TestOpenGroupFolders(t *testing.T) {
	gray := grayPNG(t, []uint8{9})
	dir := folder(t, map[string][]byte{
		"Greek/alpha/1.png": gray, "Greek/beta/1.png": gray, "Greek/beta/2.png": gray, "Greek/about.txt": {}, "Latin/alpha/1.png": gray, "blot/1.png": gray,
	})
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Greek/alpha", "Greek/beta", "Latin/alpha", "blot"}, splits.Train.Classes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 1, 2, 3}, splits.Train.Labels); diff != "" {
		t.Error(diff)
	}
	if group := datasets.GroupOf(splits.Train.Classes[1]); group != "Greek" {
		t.Errorf("found the group %q", group)
	}
}

func TestOpenParts(t *testing.T) {
	gray := grayPNG(t, []uint8{9})
	for _, names := range [][3]string{{"train", "val", "test"}, {"Training", "Validation", "Testing"}, {"train", "valid", ""}, {"train", "", "test"}, {"", "val", "test"}, {"", "", "test"}} {
		files := map[string][]byte{}
		for i, classes := range [][]string{{"a", "b"}, {"a"}, {"b", "c"}} {
			for _, class := range classes {
				if names[i] != "" {
					files[names[i]+"/"+class+"/1.png"] = gray
				}
			}
		}
		splits, err := datasets.Open(folder(t, files), datasets.Options{})
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		for i, part := range []struct {
			d       *datasets.Dataset
			title   string
			classes []string
		}{{splits.Train, "train", []string{"a", "b"}}, {splits.Validation, "validation", []string{"a"}}, {splits.Test, "test", []string{"b", "c"}}} {
			if names[i] == "" {
				if part.d != nil {
					t.Errorf("%v: found a part %s", names, part.title)
				}
				continue
			}
			if diff := cmp.Diff(part.classes, part.d.Classes); diff != "" || part.d.Name != splits.Name+" "+part.title {
				t.Errorf("%v: %s:\n%s", names, part.d.Name, diff)
			}
		}
	}
}

func TestAClassMayBeCalledTest(t *testing.T) {
	gray := grayPNG(t, []uint8{9})
	splits, err := datasets.Open(folder(t, map[string][]byte{"exam/1.png": gray, "test/1.png": gray}), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"exam", "test"}, splits.Train.Classes); diff != "" {
		t.Error(diff)
	}
}

func TestOpenClassFoldersRefuses(t *testing.T) {
	gray, wide := grayPNG(t, []uint8{9}), grayPNG(t, []uint8{9, 9})
	truncated := gray[:len(gray)-16]
	for _, test := range []struct {
		name     string
		files    map[string][]byte
		sentinel error
		mentions []string
	}{
		{"a text named as an image", map[string][]byte{"a/1.png": gray, "a/2.png": []byte("hello"), "b/1.png": gray}, imaging.ErrFormat, []string{filepath.Join("a", "2.png"), "not a readable image"}},
		{"a class of other files", map[string][]byte{"a/1.png": gray, "b/1.csv": []byte("x"), "b/2.heic": []byte("x")}, datasets.ErrTooFew, []string{"class folders without images: b", "passed over 2 files that are not images (1 .csv, 1 .heic)"}},
		{"a broken image", map[string][]byte{"a/1.png": gray, "b/1.png": truncated}, datasets.ErrBroken, []string{filepath.Join("b", "1.png"), "unexpected EOF"}},
		{"a folder in a class of a group", map[string][]byte{"a/1.png": gray, "b/c/d/1.png": gray}, nil, []string{filepath.Join("b", "c"), "holds the folder d"}},
		{"a folder beside images", map[string][]byte{"a/1.png": gray, "b/1.png": gray, "b/c/1.png": gray}, nil, []string{"holds the folder c beside the image 1.png"}},
		{"an image outside", map[string][]byte{"a/1.png": gray, "b/1.png": gray, "stray.PNG": gray}, nil, []string{"stray.PNG", "outside"}},
		{"a class of hidden files", map[string][]byte{"a/1.png": gray, "b/.hidden": {}}, datasets.ErrTooFew, []string{"class folders without images: b"}},
		{"two training folders", map[string][]byte{"train/a/1.png": gray, "training/a/1.png": gray}, nil, []string{"both train and training"}},
		{"something beside training", map[string][]byte{"train/a/1.png": gray, "more/a/1.png": gray}, nil, []string{"found more beside train"}},
		{"a part without classes", map[string][]byte{"train/a/1.png": gray, "test/.keep": {}}, datasets.ErrTooFew, []string{"test has no class folders"}},
		{"parts of two sizes", map[string][]byte{"train/a/1.png": gray, "test/a/1.png": wide}, datasets.ErrSizes, []string{"1x1x1", "1x2x1", "choose a size"}},
		{"parts of which one is broken", map[string][]byte{"train/a/1.png": gray, "val/a/1.png": {}}, imaging.ErrFormat, []string{filepath.Join("val", "a", "1.png")}},
	} {
		_, err := datasets.Open(folder(t, test.files), datasets.Options{})
		expectError(t, test.name, err, test.sentinel, test.mentions...)
	}
}

// What lies beside the images of published data sets stops nothing and is counted; a
// picture is recognized by its content if its name has no extension.
func TestOpenClassFoldersBesideOtherFiles(t *testing.T) {
	gray := grayPNG(t, []uint8{9})
	beside := map[string][]byte{"00000/GT-00000.csv": []byte("Filename;Width;Height"), "00001/GT-00001.csv": []byte("Filename"), "Readme.txt": []byte("hello")}
	for _, name := range []string{"README", "LICENSE", "a.json", "a.xml", "a.md", "a.html", "a.mat", "a.npy", "Thumbs.db", ".DS_Store"} {
		beside["00000/"+name] = []byte("no image")
	}
	images := map[string][]byte{"00000/00000.png": gray, "00000/IMG": gray, "00001/00001.jfif": gray}
	for name, prefix := range map[string]string{"classes": "", "a group": "signs/", "parts": "train/"} {
		files := map[string][]byte{}
		for path, content := range merge(beside, images) {
			files[prefix+path] = content
		}
		if name == "a group" {
			files["other/00000.png"] = gray
		}
		splits, err := datasets.Open(folder(t, files), datasets.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := 0
		for _, source := range splits.Train.Sources {
			if strings.Contains(filepath.ToSlash(source), prefix+"0000") {
				found++
			}
		}
		if found != len(images) || splits.PassedOver.Count != len(beside) || splits.PassedOver.Kinds[".csv"] != 2 {
			t.Errorf("%s: found %q, passed over %v, expected %d files", name, splits.Train.Sources, splits.PassedOver, len(beside))
		}
	}
}

func TestSkipBroken(t *testing.T) {
	files := merge(smallFolders(t), map[string][]byte{"cat/0.png": []byte("broken"), "dog/z.png": []byte("\x89PNG\r\n\x1a\n")})
	dir := folder(t, files)
	for _, size := range []imaging.Size{{}, {Height: 1, Width: 2, Channels: 1}} {
		splits, err := datasets.Open(dir, datasets.Options{SkipBroken: true, Size: size})
		if err != nil {
			t.Fatal(err)
		}
		if err := splits.Train.Validate(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]int{0, 0, 1}, splits.Train.Labels); diff != "" {
			t.Error(diff)
		}
		if len(splits.Skipped) != 2 || !strings.Contains(splits.Skipped[0], filepath.Join("cat", "0.png")) || !strings.Contains(splits.Skipped[1], filepath.Join("dog", "z.png")) {
			t.Errorf("skipped %q", splits.Skipped)
		}
	}
	if err := os.Remove(filepath.Join(dir, "dog", "only.pgm")); err != nil {
		t.Fatal(err)
	}
	_, err := datasets.Open(dir, datasets.Options{SkipBroken: true})
	expectError(t, "a class of broken images", err, datasets.ErrTooFew, "without images: dog")
	for _, size := range []imaging.Size{{}, onePixel} {
		_, err = datasets.Open(folder(t, map[string][]byte{"a/1.png": {}, "b/1.png": {}}), datasets.Options{SkipBroken: true, Size: size})
		expectError(t, "broken images only", err, datasets.ErrTooFew, "none of 2 files could be read")
	}
}

func TestOpenFollowsLinks(t *testing.T) {
	elsewhere := folder(t, smallFolders(t))
	dir := t.TempDir()
	for _, class := range []string{"cat", "dog"} {
		if err := os.Symlink(filepath.Join(elsewhere, class), filepath.Join(dir, class)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil || splits.Train.Len() != 3 {
		t.Fatalf("found %+v, %v", splits, err)
	}
	if err := os.RemoveAll(filepath.Join(elsewhere, "dog")); err != nil {
		t.Fatal(err)
	}
	_, err = datasets.Open(dir, datasets.Options{})
	expectError(t, "a link to nothing", err, os.ErrNotExist, "dog")
}

func TestOpenWarnsOfCopiesInOtherClassesAndParts(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"train/cat/1.png": grayPNG(t, []uint8{1, 2}), "train/cat/2.png": grayPNG(t, []uint8{3, 4}), "train/cat/3.png": grayPNG(t, []uint8{3, 4}), // of one class: no mistake
		"train/dog/1.png": grayPNG(t, []uint8{1, 2}), "train/dog/2.png": grayPNG(t, []uint8{5, 6}),
		"test/cat/1.png": grayPNG(t, []uint8{7, 8}), "test/dog/1.png": grayPNG(t, []uint8{5, 6}),
	})
	splits, err := datasets.Open(dir, datasets.Options{Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	want := []string{
		"files of one class with the content of a file of another: found 1, such as " + file("train/cat/1.png") + " (class cat) and " + file("train/dog/1.png") + " (class dog): remove one of each",
		"files for validation or testing with the content of a file of another part: found 1, such as " + file("train/dog/2.png") + " (class dog) and " + file("test/dog/1.png") + " (class dog): remove one of each, or the figures are too good",
	}
	if diff := cmp.Diff(want, splits.Warnings); diff != "" {
		t.Error(diff)
	}
}
