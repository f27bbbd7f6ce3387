package datasets_test

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// archive packs files into a zip file, in the order of their names.
func archive(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// smallOmniglot is drawings of black ink on white, 1 × 2 pixels, whose ink is on
// the left for odd drawers and on the right for even ones.
func smallOmniglot(t testing.TB, root string, characters ...string) map[string][]byte {
	files := map[string][]byte{}
	for i, character := range characters {
		number := string(rune('1' + i))
		files[root+"/"+character+"/000"+number+"_01.png"] = grayPNG(t, []uint8{0, 255})
		files[root+"/"+character+"/000"+number+"_02.png"] = grayPNG(t, []uint8{255, 0})
	}
	return files
}

func checkSmallOmniglot(t *testing.T, splits datasets.Splits) {
	t.Helper()
	train := splits.Train
	if err := train.Validate(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"Greek/character01", "Greek/character02", "Latin/character01"}, train.Classes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 0, 1, 1, 2, 2}, train.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 1, 2, 1, 2}, train.Drawers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]uint8{{255, 0}, {0, 255}}, train.Images[:2]); diff != "" {
		t.Errorf("ink is 255:\n%s", diff)
	}
	if !train.Inverted {
		t.Error("nothing says that the images were inverted")
	}
	if diff := cmp.Diff([]string{"Tengwar/character01"}, splits.Test.Classes); diff != "" {
		t.Error(diff)
	}
}

func TestOpenOmniglot(t *testing.T) {
	background := smallOmniglot(t, "images_background", "Greek/character01", "Greek/character02", "Latin/character01")
	evaluation := smallOmniglot(t, "images_evaluation", "Tengwar/character01")
	for name, files := range map[string]map[string][]byte{
		"folders":       merge(background, evaluation),
		"zip files":     {"images_background.zip": archive(t, background), "images_evaluation.zip": archive(t, evaluation)},
		"one of each":   merge(background, map[string][]byte{"images_evaluation.zip": archive(t, evaluation)}),
		"both":          merge(background, map[string][]byte{"images_background.zip": {}, "images_evaluation.zip": archive(t, evaluation)}),
		"with rubbish":  merge(background, evaluation, map[string][]byte{"images_background/.DS_Store": {1}, "images_background/__MACOSX/Greek/character01/._0001_01.png": {1}}),
		"with a readme": merge(background, evaluation, map[string][]byte{"images_background/README.md": {1}}),
		"with strokes":  merge(background, evaluation, map[string][]byte{"strokes_background.zip": {1}, "all_runs.zip": {1}}),
		"minimal split": merge(background, evaluation, map[string][]byte{"images_background_small1.zip": {1}}),
	} {
		// Invert counts for nothing here.
		splits, err := datasets.Open(folder(t, files), datasets.Options{Invert: name == "both"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSmallOmniglot(t, splits)
	}
}

func TestOpenOmniglotSources(t *testing.T) {
	dir := folder(t, map[string][]byte{"images_background.zip": archive(t, smallOmniglot(t, "images_background", "Greek/character01"))})
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.FromSlash("images_background.zip/images_background/Greek/character01/0001_02.png"); splits.Train.Sources[1] != want {
		t.Errorf("found %s, expected %s", splits.Train.Sources[1], want)
	}
	if splits.Test != nil {
		t.Error("found evaluation alphabets that are not there")
	}
}

// panicking is a file system whose methods panic.
type panicking struct{}

func (panicking) Open(string) (fs.File, error) { panic("not written yet") }

// zipReader reads an archive from memory.
func zipReader(t testing.TB, files map[string][]byte) *zip.Reader {
	t.Helper()
	data := archive(t, files)
	reader, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// The images are those that Open reads, whether the file system is an archive in
// memory or a folder.
func TestReadAlphabets(t *testing.T) {
	files := smallOmniglot(t, "images_background", "Greek/character01", "Greek/character02", "Latin/character01")
	want, err := datasets.Open(folder(t, map[string][]byte{"images_background.zip": archive(t, files)}), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tree := range map[string]fs.FS{"an archive": zipReader(t, files), "a folder": os.DirFS(folder(t, files))} {
		found, err := datasets.ReadAlphabets(tree, "small", datasets.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if source := filepath.FromSlash("small/images_background/Greek/character01/0001_01.png"); found.Train.Sources[0] != source {
			t.Errorf("%s: found the source %s, expected %s", name, found.Train.Sources[0], source)
		}
		if found.Name != "small" || found.Train.Name != "small train" {
			t.Errorf("%s: found the names %q and %q, expected small and small train", name, found.Name, found.Train.Name)
		}
		found.Train.Name, found.Train.Sources = want.Train.Name, want.Train.Sources
		if diff := cmp.Diff(want.Train, found.Train); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestReadAlphabetsRefuses(t *testing.T) {
	files := smallOmniglot(t, "images_background", "Greek/character01")
	var none *zip.Reader
	for name, test := range map[string]struct {
		files   fs.FS
		options datasets.Options
		mention string
	}{
		"no file system":        {nil, datasets.Options{}, "nil file system"},
		"a nil archive":         {none, datasets.Options{}, "nil *zip.Reader"},
		"a panic":               {panicking{}, datasets.Options{}, "not written yet"},
		"a name that leads out": {zipReader(t, merge(files, map[string][]byte{"../Greek/character01/0001_01.png": {}})), datasets.Options{}, "leads out of it"},
		"a choice of alphabets": {zipReader(t, files), datasets.Options{Background: "small1"}, "Options.Background"},
		"another image":         {zipReader(t, map[string][]byte{"chart.png": {}}), datasets.Options{}, "ALPHABET/characterNN/NNNN_DD.png"},
	} {
		_, err := datasets.ReadAlphabets(test.files, "small", test.options)
		expectError(t, name, err, nil, "small", test.mention)
	}
}

func TestOpenOmniglotMinimalSplits(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"images_background_small1.zip": archive(t, smallOmniglot(t, "images_background_small1", "Greek/character01")),
		"images_background_small2.zip": archive(t, smallOmniglot(t, "images_background_small2", "Latin/character01")),
	})
	for choice, class := range map[string]string{"small1": "Greek/character01", "small2": "Latin/character01"} {
		splits, err := datasets.Open(dir, datasets.Options{Background: choice})
		if err != nil {
			t.Errorf("%s: %v", choice, err)
			continue
		}
		if diff := cmp.Diff([]string{class}, splits.Train.Classes); diff != "" {
			t.Errorf("%s:\n%s", choice, diff)
		}
	}
	_, err := datasets.Open(dir, datasets.Options{})
	expectError(t, "the large background set, which is not there", err, nil, "expected images_background.zip", "Options.Background")
	_, err = datasets.Open(dir, datasets.Options{Background: "small3"})
	expectError(t, "a set that there is not", err, nil, `"small3"`, "background, small1 or small2")

	// What is not Omniglot has no such choice; the default may be named all the same.
	for name, files := range map[string]map[string][]byte{
		"classes": smallFolders(t), "a list": faces(t, "a,b,different\nann/1.png,ann/2.png,0\n"), "idx": smallMNIST(t),
		"idx beside Omniglot": merge(smallMNIST(t), map[string][]byte{"images_background_small1.zip": {1}}),
	} {
		dir := folder(t, files)
		_, err = datasets.Open(dir, datasets.Options{Background: "small1"})
		expectError(t, name, err, datasets.ErrBackground, `"small1"`, "not Omniglot", "leave it out")
		_, err = datasets.Open(dir, datasets.Options{Background: "foo"})
		expectError(t, name, err, datasets.ErrBackground, `"foo"`, "background, small1 or small2")
		if _, err = datasets.Open(dir, datasets.Options{Background: "background"}); err != nil {
			t.Errorf("%s: the default: %v", name, err)
		}
	}
}

func TestOpenOmniglotRefuses(t *testing.T) {
	good := smallOmniglot(t, "images_background", "Greek/character01")
	for _, test := range []struct {
		name     string
		files    map[string][]byte
		mentions []string
	}{
		{"a name that leads out", map[string][]byte{"../images_background/Greek/character01/0001_01.png": good["images_background/Greek/character01/0001_01.png"]}, []string{"leads out of it"}},
		{"an absolute name", map[string][]byte{"/Greek/character01/0001_01.png": {}}, []string{"leads out of it"}},
		{"a name with a drive", map[string][]byte{`C:\Greek\character01\0001_01.png`: {}}, []string{"leads out of it"}},
		{"another image", merge(good, map[string][]byte{"images_background/Greek/chart.png": {}}), []string{"images_background/Greek/chart.png", "ALPHABET/characterNN/NNNN_DD.png"}},
		{"a broken image", merge(good, map[string][]byte{"images_background/Greek/character01/0001_03.png": []byte("\x89PNG")}), []string{"0001_03.png", "not a readable image"}},
		{"no images", map[string][]byte{"images_background/": nil}, []string{"no images"}},
	} {
		dir := folder(t, map[string][]byte{"images_background.zip": archive(t, test.files)})
		_, err := datasets.Open(dir, datasets.Options{})
		expectError(t, test.name, err, nil, test.mentions...)
	}
	_, err := datasets.Open(folder(t, map[string][]byte{"images_background.zip": []byte("PK")}), datasets.Options{})
	expectError(t, "no zip file", err, nil, "images_background.zip", "not a valid zip file")
}

// omniglot returns the folder of the official files.
func omniglot(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LIKENESS_OMNIGLOT")
	if dir == "" {
		t.Skip("LIKENESS_OMNIGLOT does not name a folder with images_background.zip, images_evaluation.zip and all_runs.zip")
	}
	return dir
}

// The counts are those of Lake, Salakhutdinov & Tenenbaum 2015: 1623 characters
// by twenty drawers.
func TestOmniglotItself(t *testing.T) {
	splits, err := datasets.Open(omniglot(t), datasets.Options{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		d                     *datasets.Dataset
		alphabets, characters int
	}{{splits.Train, 30, 964}, {splits.Test, 20, 659}} {
		if err := part.d.Validate(); err != nil {
			t.Error(err)
		}
		if alphabets := len(part.d.Groups()); alphabets != part.alphabets || len(part.d.Classes) != part.characters {
			t.Errorf("%s: found %d alphabets and %d characters, expected %d and %d", part.d.Name, alphabets, len(part.d.Classes), part.alphabets, part.characters)
		}
		for class, images := range part.d.ByClass() {
			drawers := []int{}
			for _, i := range images {
				drawers = append(drawers, part.d.Drawers[i])
			}
			if len(drawers) != 20 || !distinct(drawers) {
				t.Fatalf("%s was drawn by %v, expected each of twenty once", part.d.Classes[class], drawers)
			}
		}
		// Ink is bright and scarce.
		if mean, _ := part.d.Moments(); math.Abs(mean[0]-0.08) > 0.02 {
			t.Errorf("%s: mean %v", part.d.Name, mean)
		}
	}
	experiment, err := splits.Experiment(datasets.ExperimentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if held := len(experiment.ValidationClasses.Groups()); held != 3 {
		t.Errorf("%d alphabets are held out, expected 3 of 30", held)
	}
	t.Log(experiment.Protocol)
}
