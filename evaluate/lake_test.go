package evaluate_test

import (
	"archive/zip"
	"bufio"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
)

// Lake's twenty official runs of 20-way one-shot classification within one
// alphabet. The error of the modified Hausdorff distance is what the authors'
// demo prints, 38.8 %; those of plain pixels were found by an independent
// implementation in NumPy.
func TestLakesRuns(t *testing.T) {
	folder := os.Getenv("LIKENESS_OMNIGLOT")
	if folder == "" {
		t.Skip("LIKENESS_OMNIGLOT does not name a folder with all_runs.zip")
	}
	pixels, trials := readRuns(t, filepath.Join(folder, "all_runs.zip"))

	ink := make([]evaluate.Ink, pixels.Rows)
	for i := range ink {
		var err error
		if ink[i], err = evaluate.InkOf(pixels.Row(i), 105); err != nil {
			t.Fatal(err)
		}
	}
	distances, answers := make([][]float64, len(trials)), make([]int, len(trials))
	for i, trial := range trials {
		answers[i] = trial.Answer
		for _, examples := range trial.Support {
			distances[i] = append(distances[i], evaluate.ModifiedHausdorff(ink[trial.Query], ink[examples[0]]))
		}
	}
	hausdorff, err := evaluate.OneShotDistances(distances, answers)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "modified Hausdorff", hausdorff, 155)

	euclidean, err := evaluate.OneShot(euclidean, pixels, trials, evaluate.MeanDistance)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "Euclidean", euclidean, 324)

	cosine, err := evaluate.OneShot(cosine, pixels, trials, evaluate.MeanDistance)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "cosine", cosine, 313)
}

func expectErrors(t *testing.T, name string, score evaluate.Score, errors float64) {
	t.Helper()
	if want := 1 - errors/400; math.Abs(score.Value-want) > 1e-9 || len(score.Trials) != 400 {
		t.Errorf("%s: accuracy %v over %d trials, want %v over 400", name, score, len(score.Trials), want)
	}
}

// readRuns returns all images of the runs, ink 1 on ground 0, and the trials.
func readRuns(t *testing.T, path string) (evaluate.Embeddings, []evaluate.Trial) {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()

	var images [][]float32
	rows := map[string]int{}
	read := func(name string) int {
		if _, known := rows[name]; !known {
			rows[name] = len(images)
			images = append(images, readDrawing(t, &archive.Reader, name))
		}
		return rows[name]
	}
	var trials []evaluate.Trial
	for run := range 20 {
		labels, err := archive.Open(fmt.Sprintf("run%02d/class_labels.txt", run+1))
		if err != nil {
			t.Fatal(err)
		}
		support := make([][]int, 20)
		for class := range support {
			support[class] = []int{read(fmt.Sprintf("run%02d/training/class%02d.png", run+1, class+1))}
		}
		for lines := bufio.NewScanner(labels); lines.Scan(); {
			var item, class int
			if _, err := fmt.Sscanf(lines.Text(), fmt.Sprintf("run%02[1]d/test/item%%d.png run%02[1]d/training/class%%d.png", run+1), &item, &class); err != nil {
				t.Fatalf("run %d: line %q: %v", run+1, lines.Text(), err)
			}
			query := read(fmt.Sprintf("run%02d/test/item%02d.png", run+1, item))
			trials = append(trials, evaluate.Trial{Support: support, Query: query, Answer: class - 1})
		}
	}
	embeddings, err := evaluate.FromRows(images)
	if err != nil {
		t.Fatal(err)
	}
	return embeddings, trials
}

func readDrawing(t *testing.T, archive *zip.Reader, name string) []float32 {
	t.Helper()
	file, err := archive.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	drawing, err := png.Decode(file)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if drawing.Bounds() != image.Rect(0, 0, 105, 105) {
		t.Fatalf("%s is %v", name, drawing.Bounds())
	}
	pixels := make([]float32, 0, 105*105)
	for y := range 105 {
		for x := range 105 {
			grey, _, _, _ := drawing.At(x, y).RGBA()
			pixels = append(pixels, 1-float32(grey)/0xffff)
		}
	}
	return pixels
}
