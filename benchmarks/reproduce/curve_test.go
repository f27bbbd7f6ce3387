package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot/plotter"
)

// A curve is read as it was written, and drawn.
func TestCurve(t *testing.T) {
	folder := t.TempDir()
	picture := filepath.Join(folder, curvePicture)
	if drawn, err := drawCurves(folder); err != nil || drawn {
		t.Fatalf("found %t, %v, expected nothing drawn", drawn, err)
	}
	if _, err := os.Stat(picture); err == nil {
		t.Error("there is a picture of nothing")
	}
	want := []Point{{Steps: 50, Images: 12800, Minutes: 2.5, Loss: 0.69, Validation: 10, Runs: 12.5}, {Steps: 100, Images: 25600, Minutes: 5, Loss: 0.6, Validation: 20, Runs: 30}}
	if err := writeCurve(folder, "koch", want); err != nil {
		t.Fatal(err)
	}
	got, err := readCurve(folder, "koch")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if drawn, err := drawCurves(folder); err != nil || !drawn {
		t.Fatalf("found %t, %v, expected a picture", drawn, err)
	}
	if _, err := os.Stat(picture); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "koch.jsonl"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := drawCurves(folder); err == nil {
		t.Error("a broken line: no error")
	}
}

// The horizontal axis of each panel is that of its label.
func TestCurveLine(t *testing.T) {
	curve := []Point{{Images: 12800, Minutes: 2.5, Runs: 12.5}, {Images: 25600, Minutes: 5, Runs: 30}}
	for label, want := range map[string]plotter.XYs{
		"minutes of training": {{X: 2.5, Y: 12.5}, {X: 5, Y: 30}},
		"thousand images":     {{X: 12.8, Y: 12.5}, {X: 25.6, Y: 30}},
	} {
		i := slices.IndexFunc(spent, func(s expense) bool { return s.label == label })
		line, err := curveLine(curve, spent[i].of)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, line.XYs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", label, diff)
		}
	}
}
