package main

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/benchmarks/workload"
)

func TestCharts(t *testing.T) {
	rows := []row{
		{Work: "Sort", Peer: Time{Framework: "PyTorch", Ratio: 2}}, {Work: "Sort", Peer: Time{Framework: "Gorgonia", Ratio: 40}},
		{Work: "Add", Peer: Time{Framework: "ONNX Runtime", Ratio: 0.5}},
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
		// A chart of white paper alone has one colour.
		colours := map[any]bool{}
		for x := range image.Bounds().Dx() {
			for y := range image.Bounds().Dy() {
				colours[image.At(x, y)] = true
			}
		}
		if len(colours) < 10 {
			t.Errorf("%s has %d colours", name, len(colours))
		}
	}
}
