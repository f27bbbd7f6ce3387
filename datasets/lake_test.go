package datasets_test

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
)

func smallRuns(t testing.TB) map[string][]byte {
	left, right := grayPNG(t, []uint8{0, 255}), grayPNG(t, []uint8{255, 0})
	return map[string][]byte{
		"run01/training/class01.png": left, "run01/training/class02.png": right,
		"run01/test/item01.png": right, "run01/test/item02.png": left,
		"run01/class_labels.txt":     []byte("run01/test/item01.png run01/training/class02.png\nrun01/test/item02.png run01/training/class01.png\n"),
		"run02/training/class01.png": right, "run02/test/item01.png": right,
		"run02/class_labels.txt": []byte("run02/test/item01.png run02/training/class01.png"),
	}
}

func runsFile(t testing.TB, files map[string][]byte) string {
	return filepath.Join(folder(t, map[string][]byte{"all_runs.zip": archive(t, files)}), "all_runs.zip")
}

func TestOpenRuns(t *testing.T) {
	size := imaging.Size{Height: 1, Width: 2, Channels: 1}
	runs, err := datasets.OpenRuns(runsFile(t, smallRuns(t)), datasets.Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	left, right := []uint8{255, 0}, []uint8{0, 255} // ink is 255
	want := []datasets.OneShotRun{
		{Name: "run01", Training: [][]uint8{left, right}, Test: [][]uint8{right, left}, Answers: []int{1, 0}},
		{Name: "run02", Training: [][]uint8{right}, Test: [][]uint8{right}, Answers: []int{0}},
	}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Error(diff)
	}
}

// The runs are those of the file, whether the file system is an archive in memory or a
// folder.
func TestReadRuns(t *testing.T) {
	options := datasets.Options{Size: imaging.Size{Height: 1, Width: 2, Channels: 1}}
	want, err := datasets.OpenRuns(runsFile(t, smallRuns(t)), options)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]fs.FS{"an archive": zipReader(t, smallRuns(t)), "a folder": os.DirFS(folder(t, smallRuns(t)))} {
		found, err := datasets.ReadRuns(files, options)
		if diff := cmp.Diff(want, found); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	_, err = datasets.ReadRuns(nil, options)
	expectError(t, "no file system", err, nil, "read one-shot runs", "nil file system")
	_, err = datasets.ReadRuns(panicking{}, options)
	expectError(t, "a panic", err, nil, "read one-shot runs", "not written yet")
	_, err = datasets.ReadRuns(zipReader(t, map[string][]byte{"../run01/class_labels.txt": {}}), options)
	expectError(t, "a name that leads out", err, nil, "leads out of it")
}

func TestRunTrials(t *testing.T) {
	size := imaging.Size{Height: 1, Width: 1, Channels: 1}
	runs := []datasets.OneShotRun{
		{Name: "run01", Training: [][]uint8{{1}, {2}}, Test: [][]uint8{{3}, {4}}, Answers: []int{1, 0}},
		{Name: "run02", Training: [][]uint8{{5}}, Test: [][]uint8{{6}}, Answers: []int{0}},
	}
	images, trials, groups, err := datasets.RunTrials(runs, size)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6}, values(images)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 1, 0, 2, 2}, images.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"run01/class01", "run01/class02", "run02/class01"}, images.Classes); diff != "" {
		t.Error(diff)
	}
	first := [][]int{{0}, {1}}
	want := []evaluate.Trial{{Support: first, Query: 2, Answer: 1}, {Support: first, Query: 3, Answer: 0}, {Support: [][]int{{4}}, Query: 5, Answer: 0}}
	if diff := cmp.Diff(want, trials); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 0, 1}, groups); diff != "" {
		t.Error(diff)
	}
	_, _, _, err = datasets.RunTrials(nil, size)
	expectError(t, "no runs", err, datasets.ErrTooFew)
	_, _, _, err = datasets.RunTrials(runs, imaging.Size{Height: 2, Width: 1, Channels: 1})
	expectError(t, "another size", err, nil)
	runs[1].Answers = []int{1}
	_, _, _, err = datasets.RunTrials(runs, size)
	expectError(t, "an answer that is no example", err, nil, "run02", "expected 0 to 0")
	runs[1].Answers = nil
	_, _, _, err = datasets.RunTrials(runs, size)
	expectError(t, "no answers", err, nil, "run02", "0 answers to 1 test images")
}

func TestOpenRunsRefuses(t *testing.T) {
	for _, test := range []struct {
		name     string
		change   map[string][]byte
		mentions []string
	}{
		{"an answer that is no example", map[string][]byte{"run01/class_labels.txt": []byte("run01/test/item01.png run01/training/class03.png")}, []string{"run01/class_labels.txt", "line 1", "class03.png"}},
		{"a line cut short", map[string][]byte{"run02/class_labels.txt": []byte("run02/test/item01.png run02/training/class01.png\nrun02/test/item02.png")}, []string{"run02", "line 2"}},
		{"a missing image", map[string][]byte{"run02/class_labels.txt": []byte("run02/test/item09.png run02/training/class01.png")}, []string{"item09.png", "not exist"}},
		{"a broken image", map[string][]byte{"run01/training/class01.png": []byte("no")}, []string{"run01/training/class01.png", "known format"}},
		{"a name that leads out", map[string][]byte{"run01/../../class.png": {}}, []string{"leads out of it"}},
	} {
		_, err := datasets.OpenRuns(runsFile(t, merge(smallRuns(t), test.change)), datasets.Options{Size: imaging.Size{Height: 1, Width: 2, Channels: 1}})
		expectError(t, test.name, err, nil, append(test.mentions, "all_runs.zip")...)
	}
	_, err := datasets.OpenRuns(runsFile(t, map[string][]byte{"notes.txt": {}}), datasets.Options{})
	expectError(t, "another archive", err, nil, "found no run*/class_labels.txt")
	_, err = datasets.OpenRuns(filepath.Join(t.TempDir(), "all_runs.zip"), datasets.Options{})
	expectError(t, "no archive", err, os.ErrNotExist)
	_, err = datasets.OpenRuns(runsFile(t, smallRuns(t)), datasets.Options{Size: imaging.Size{Height: 5}})
	expectError(t, "half a size", err, nil, "size 5x0x1")
}

func TestRunsThemselves(t *testing.T) {
	runs, err := datasets.OpenRuns(filepath.Join(omniglot(t), "all_runs.zip"), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 20 {
		t.Errorf("found %d runs, expected 20", len(runs))
	}
	for _, run := range runs {
		if len(run.Training) != 20 || len(run.Test) != 20 || len(run.Test[19]) != 105*105 {
			t.Errorf("%s: found %d examples and %d images to classify, expected 20 each", run.Name, len(run.Training), len(run.Test))
		}
		if sorted := slices.Sorted(slices.Values(run.Answers)); !distinct(sorted) || sorted[0] != 0 || sorted[19] != 19 {
			t.Errorf("%s: the answers %v are not each of twenty once", run.Name, run.Answers)
		}
	}
}

// The nearest example in pixels is wrong in 81.0 % of the trials by the Euclidean
// distance and in 78.25 % by the cosine, whose value depends on the polarity.
func TestNearestPixelsOnTheRuns(t *testing.T) {
	runs, err := datasets.OpenRuns(filepath.Join(omniglot(t), "all_runs.zip"), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		distance func(x, y []uint8) float64
		errors   int // of 400
	}{
		"Euclidean": {func(x, y []uint8) float64 { return dot(x, x) - 2*dot(x, y) + dot(y, y) }, 324},
		"cosine":    {func(x, y []uint8) float64 { return -dot(x, y) / math.Sqrt(dot(x, x)*dot(y, y)) }, 313},
	} {
		errors := 0
		for _, run := range runs {
			for i, query := range run.Test {
				nearest := 0
				for class, example := range run.Training {
					if test.distance(query, example) < test.distance(query, run.Training[nearest]) {
						nearest = class
					}
				}
				if nearest != run.Answers[i] {
					errors++
				}
			}
		}
		if errors != test.errors {
			t.Errorf("%s distance: %d of 400 trials are wrong, expected %d", name, errors, test.errors)
		}
	}
}

func dot(x, y []uint8) float64 {
	sum := 0
	for i := range x {
		sum += int(x[i]) * int(y[i])
	}
	return float64(sum)
}
