package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What was written is read again, and drawn.
func TestCurve(t *testing.T) {
	folder := t.TempDir()
	if err := drawCurves(folder); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(folder, curvePicture)
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
	if err := drawCurves(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(picture); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "koch.jsonl"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := drawCurves(folder); err == nil {
		t.Error("a broken line: no error")
	}
}
