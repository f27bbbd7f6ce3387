package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/works"
)

// sample is a work in three rounds beside two ways of one framework and one of
// another.
var sample = comparison{
	work: works.Work{Title: "Sort"},
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

// Of a framework's ways the fastest counts.
func TestRows(t *testing.T) {
	want := []row{
		{Work: "Sort", LikenessMS: 2, Peer: "Chest", Way: "Chest fast", PeerMS: 6, Ratio: 3, RatioLow: 1.75, RatioHigh: 3},
		{Work: "Sort", LikenessMS: 2, Peer: "Drawer", Way: "Drawer", PeerMS: 1, Ratio: 0.5, RatioLow: 0.25, RatioHigh: 0.5},
	}
	if diff := cmp.Diff(want, sample.rows()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	r := results{comparisons: []comparison{sample}}
	var text strings.Builder
	if err := r.json(&text); err != nil {
		t.Fatal(err)
	}
	const want = `[
	{
		"work": "Sort",
		"likeness_ms": 2,
		"peer": "Chest",
		"way": "Chest fast",
		"peer_ms": 6,
		"ratio": 3,
		"ratio_low": 1.75,
		"ratio_high": 3
	},
`
	if !strings.HasPrefix(text.String(), want) {
		t.Errorf("found\n%s, expected it to begin with\n%s", text.String(), want)
	}
}

func TestMarkdown(t *testing.T) {
	r := results{
		comparisons: []comparison{sample},
		scale:       &scale{work: works.Work{Title: "Sort"}, threads: []int{1}, rates: [][]float64{{10, 20, 30, 40, 50, 60}}},
		bare:        &series{times: []float64{50}}, trained: &series{times: []float64{60}},
		footprints: []footprint{{works.Work{Title: "Sort"}, []string{"likeness", "Drawer"}, []int64{2 << 20, 3 << 20}}},
	}
	var text strings.Builder
	if err := r.markdown(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| Sort | 2.00 | Chest fast | 6.00 | 3.00 [1.75 – 3.00] |",
		"| Sort | Chest slow | 20 | 1.0e-06 |",
		"| Sort | Drawer | embeddings | 3.0e-06 |",
		"| likeness | 2.00 [2.00 – 4.00] | |",
		"| Sort | 2 |", // KiB of garbage
		"| 64 | 30 |",
		"| the trainer's step on augmented MNIST | 60.0 [60.0 – 60.0] | 1.20 [1.20 – 1.20] |",
		"| Sort | Drawer | 3 | 1.50 |", // MiB
	} {
		if !strings.Contains(text.String(), line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, text.String())
		}
	}
}

// A part of the measurement has a part of the tables.
func TestMarkdownOfNothing(t *testing.T) {
	var text strings.Builder
	if err := (results{}).markdown(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "|") {
		t.Errorf("found a table in\n%s", text.String())
	}
}
