package omniglot

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

// The checksum of images_background_small1.zip is the one that TensorFlow Datasets
// records for the authors' file (tensorflow_datasets/url_checksums/omniglot.txt); that
// of all_runs.zip was measured on the authors' file. Package fetch has both, too.
func TestFilesAreTheOfficialOnes(t *testing.T) {
	for name, file := range map[string]struct {
		data []byte
		sum  string
	}{
		"images_background_small1.zip": {small1, "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"},
		"all_runs.zip":                 {runs, "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325"},
	} {
		sum := sha256.Sum256(file.data)
		if found := hex.EncodeToString(sum[:]); found != file.sum {
			t.Errorf("%s: found the SHA-256 checksum %s, expected %s", name, found, file.sum)
		}
	}
	if text := License(); !strings.Contains(text, "The MIT License") || !strings.Contains(text, "Copyright (c) 2015 Brenden Lake") {
		t.Errorf("found the license %q", text)
	}
}

func TestSmall1(t *testing.T) {
	splits, err := Small1(datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if splits.Test != nil || splits.Validation != nil || splits.Skipped != nil {
		t.Error("found more than training images")
	}
	train := splits.Train
	if err := train.Validate(); err != nil {
		t.Error(err)
	}
	if want := (imaging.Size{Height: 105, Width: 105, Channels: 1}); train.Size != want || !train.Inverted {
		t.Errorf("found images of size %v, inverted %v, expected %v, inverted", train.Size, train.Inverted, want)
	}
	characters := map[string]int{}
	for _, class := range train.Classes {
		characters[datasets.GroupOf(class)]++
	}
	// The numbers of characters are those of the alphabets.
	want := map[string]int{"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Korean": 40, "Latin": 26}
	if diff := cmp.Diff(want, characters); diff != "" {
		t.Error(diff)
	}
	for class, images := range train.ByClass() {
		var drawers []int
		for _, i := range images {
			drawers = append(drawers, train.Drawers[i])
		}
		slices.Sort(drawers)
		if len(drawers) != 20 || len(slices.Compact(drawers)) != 20 {
			t.Errorf("%s: found drawers %v, expected each of twenty once", train.Classes[class], drawers)
		}
	}
	if _, err := Small1(datasets.Options{Background: "small2"}); err == nil {
		t.Error("no error for another background, of which the package has none")
	}
}

func TestRuns(t *testing.T) {
	size := imaging.Size{Height: 28, Width: 28, Channels: 1}
	found, err := Runs(datasets.Options{Size: size, Crop: &imaging.Crop{Margin: 1.15, MinSide: 40. / 105}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 20 {
		t.Fatalf("found %d runs, expected 20", len(found))
	}
	for _, run := range found {
		if len(run.Training) != 20 || len(run.Test) != 20 || len(run.Answers) != 20 || len(run.Test[0]) != size.Len() {
			t.Errorf("%s: found %d examples, %d images and %d answers, expected 20 of each", run.Name, len(run.Training), len(run.Test), len(run.Answers))
		}
	}
}

// The embedded files give what the official folder gives.
func TestAgreesWithTheFolder(t *testing.T) {
	dir := os.Getenv("LIKENESS_OMNIGLOT")
	if dir == "" {
		t.Skip("LIKENESS_OMNIGLOT does not name the folder of Omniglot's official files")
	}
	o := datasets.Options{Size: imaging.Size{Height: 14, Width: 14, Channels: 1}}
	embedded, err := Small1(o)
	if err != nil {
		t.Fatal(err)
	}
	embeddedRuns, err := Runs(o)
	if err != nil {
		t.Fatal(err)
	}
	folderRuns, err := datasets.OpenRuns(filepath.Join(dir, "all_runs.zip"), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(folderRuns, embeddedRuns); diff != "" {
		t.Error(diff)
	}
	o.Background = "small1"
	folder, err := datasets.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	folder.Train.Name, folder.Train.Sources = embedded.Train.Name, embedded.Train.Sources
	if diff := cmp.Diff(folder.Train, embedded.Train); diff != "" {
		t.Error(diff)
	}
}
