package main

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/benchmarks/workload"
)

// sample is a workload measured in three rounds with two peers of one framework and one
// peer of another.
var sample = comparison{
	workload: workload.Workload{Title: "Sort"},
	peers: []peer{
		{name: "Chest slow", framework: "Chest"}, {name: "Chest fast", framework: "Chest"}, {name: "Drawer", framework: "Drawer"},
	},
	proofs: []proof{{"Chest slow", 20, 1e-6}, {"Chest fast", 20, 2e-6}, {"Drawer", 0, 3e-6}},
	series: []series{
		{name: "likeness", times: []float64{2, 2, 4}, allocated: 2048},
		{name: "Chest slow", times: []float64{7, 7, 7}},
		{name: "Chest fast", times: []float64{5, 6, 7}},
		{name: "Drawer", times: []float64{1, 1, 1}},
	},
}

// recorded returns the record of the sample.
func recorded(t *testing.T) Record {
	t.Helper()
	r, err := results{comparisons: []comparison{sample}}.record("go run ./speed")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The fastest peer of each framework counts, and ratios are computed within rounds.
func TestRows(t *testing.T) {
	likeness := Time{Name: "likeness", Framework: "likeness", MS: 2, Low: 2, High: 4, Ratio: 1, RatioLow: 1, RatioHigh: 1, Allocated: 2048}
	want := []row{
		{"Sort", likeness, Time{Name: "Chest fast", Framework: "Chest", MS: 6, Low: 5, High: 7, Ratio: 3, RatioLow: 1.75, RatioHigh: 3}},
		{"Sort", likeness, Time{Name: "Drawer", Framework: "Drawer", MS: 1, Low: 1, High: 1, Ratio: 0.5, RatioLow: 0.25, RatioHigh: 0.5}},
	}
	if diff := cmp.Diff(want, recorded(t).rows()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A record is read as it was written, and unknown keys are an error.
func TestRecordOnDisk(t *testing.T) {
	results, charts := t.TempDir(), t.TempDir()
	want := recorded(t)
	if err := want.write(results, charts); err != nil {
		t.Fatal(err)
	}
	found, err := readRecord(results)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	document, err := os.ReadFile(filepath.Join(results, "speed.md"))
	if err != nil || string(document) != want.document() {
		t.Errorf("found %v and\n%s", err, document)
	}
	if _, err := os.Stat(filepath.Join(charts, "speed.png")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(results, recordFile), []byte(`{"speed": 1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readRecord(results); err == nil || !strings.Contains(err.Error(), recordFile) {
		t.Errorf("found error %v", err)
	}
}

func TestMarkdown(t *testing.T) {
	trained := sample
	trained.trainer = &series{name: "likeness training", times: []float64{3, 3, 5}}
	r, err := results{
		comparisons: []comparison{trained},
		scale:       &scale{workload: workload.Workload{Title: "Sort"}, threads: []int{1}, rates: [][]float64{{10, 20, 30, 40, 50, 60}}},
		footprints:  []footprint{{workload.Workload{Title: "Sort"}, []string{"likeness", "Drawer"}, []int64{2 << 20, 3 << 20}}},
	}.record("go run ./speed")
	if err != nil {
		t.Fatal(err)
	}
	text := r.markdown()
	for _, line := range []string{
		"| Sort | 2.00 | Chest fast | 6.00 | 3.00 [1.75 – 3.00] |",
		"| Sort | Chest slow | 20 | 1.0e-06 |",
		"| Sort | Drawer | embeddings | 3.0e-06 |",
		"| likeness | 2.00 [2.00 – 4.00] | |",
		"| Sort | 2 |", // KiB allocated
		"| 64 | 30 |",
		"| bare step on prepared batches | 2.00 [2.00 – 4.00] | |", // the time in the table of the workload
		"| step of the trainer on augmented MNIST | 3.00 [3.00 – 5.00] | 1.50 [1.25 – 1.50] |",
		"| Sort | Drawer | 3 | 1.50 |", // MiB
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("found no line %q in\n%s", line, text)
		}
	}
}

// Tables of what was not measured are left out.
func TestMarkdownOfEmptyRecord(t *testing.T) {
	if text := (Record{}).markdown(); strings.Contains(text, "|") {
		t.Errorf("found a table in\n%s", text)
	}
}

// Each committed speed.md equals the text generated from its speed.json, and a workload that is
// in several tables has the same time in all of them.
func TestCommittedReport(t *testing.T) {
	for _, folder := range []string{"../../results", "../../results/avx2", "../../results/avx512-intel"} {
		t.Run(filepath.Base(folder), func(t *testing.T) { checkCommitted(t, folder) })
	}
}

func checkCommitted(t *testing.T, folder string) {
	r, err := readRecord(folder)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(folder, "speed.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.document(), string(written)); diff != "" {
		t.Errorf("speed.md differs from what `go run ./benchmarks/peers/speed -table` writes (-record +file):\n%s", diff)
	}
	first := workload.All()[0]
	if r.Workloads[0].Title != first.Title || r.Scale == nil || r.Scale.Title != first.Title {
		t.Fatalf("found %s as the first workload and the table of batch sizes %+v, expected both to be of %s", r.Workloads[0].Title, r.Scale, first.Title)
	}
	at, threads := slices.Index(r.Scale.Pairs, first.Count), slices.Index(r.Scale.Threads, r.Threads)
	if found, want := r.Scale.Rates[threads][at], rate(first.Count, r.Workloads[0].Times[0].MS); math.Abs(found/want-1) > 1e-9 {
		t.Errorf("%d pairs on %d threads: found %.1f images per second in the table of batch sizes, expected %.1f from the time of the workload", first.Count, r.Threads, found, want)
	}
}

func TestCharts(t *testing.T) {
	rows := []row{
		{Workload: "Sort", Peer: Time{Framework: "PyTorch", Ratio: 2}}, {Workload: "Sort", Peer: Time{Framework: "Gorgonia", Ratio: 40}},
		{Workload: "Add", Peer: Time{Framework: "ONNX Runtime", Ratio: 0.5}},
	}
	scale := &Scale{Threads: []int{1, 2}, Pairs: workload.PairCounts, Rates: [][]float64{{1, 2, 3, 4, 5, 6}, {2, 4, 5, 6, 7, 8}}}
	folder := t.TempDir()
	for name, draw := range map[string]func(path string) error{
		"speed.png": func(path string) error { return drawRatios(rows, path) },
		"scale.png": scale.draw,
	} {
		path := filepath.Join(folder, name)
		if err := draw(path); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		image, err := png.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		// An empty chart has one color.
		colors := map[any]bool{}
		for x := range image.Bounds().Dx() {
			for y := range image.Bounds().Dy() {
				colors[image.At(x, y)] = true
			}
		}
		if len(colors) < 10 {
			t.Errorf("%s has %d colors", name, len(colors))
		}
	}
}
