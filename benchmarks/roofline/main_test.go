package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
)

// The layers of ResNet-18 have the operations that its authors count: 1.8 billion products
// for an image of 224 × 224 (He et al. 2016, table 1), without the classifier.
func TestCollect(t *testing.T) {
	network, err := backbone.Named("resnet18", backbone.Options{})
	if err != nil {
		t.Fatal(err)
	}
	layers, height, width, channels := collect(nil, network.Blocks, "resnet18", 224, 224, 3)
	if height != 7 || width != 7 || channels != 512 {
		t.Errorf("found a result of %d×%d×%d, expected 7×7×512", height, width, channels)
	}
	var operations float64
	count := 0
	for _, l := range layers {
		operations, count = operations+float64(l.count)*l.operations(1), count+l.count
	}
	if count != 20 || operations < 3.6e9 || operations > 3.7e9 {
		t.Errorf("found %d convolutions and %g operations, expected 20 and 3.6e9", count, operations)
	}
}

// A depthwise layer by hand: 2 × 3 × 3 operations for each of 4 × 4 × 8 results, 4 bytes for each
// of 8 × 8 × 8 inputs, of the results and of 72 weights.
func TestCounts(t *testing.T) {
	l := layer{conv: graph.Conv{Filters: 8, Kernel: 3, Stride: 2, SamePadding: true, Groups: 8}, height: 8, width: 8, channels: 8}
	if l.kind() != "depthwise" || l.operations(2) != 2*2*9*128 || l.bytes(1) != 4*(512+128+72) {
		t.Errorf("found a %s layer of %v operations and %v bytes", l.kind(), l.operations(2), l.bytes(1))
	}
	if err := l.measure(1, 0); err != nil || !(l.seconds > 0) {
		t.Errorf("found %v seconds, %v", l.seconds, err)
	}
}

func TestDraw(t *testing.T) {
	file := filepath.Join(t.TempDir(), "roofline.png")
	var layers []*layer
	for i, conv := range []graph.Conv{{Filters: 8, Kernel: 1}, {Filters: 8, Kernel: 3}, {Filters: 8, Kernel: 7}, {Filters: 8, Kernel: 3, Groups: 8}} {
		layers = append(layers, &layer{conv: conv, height: 8, width: 8, channels: 8, seconds: 1e-6 * float64(1+i)})
	}
	if err := draw(file, layers, 16, 1e11, 1e10); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 1000 {
		t.Errorf("found %v, %v", info, err)
	}
}
