package onnx

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// maxAllocation is the number of bytes that may be allocated for each byte of a file. A node
// of a few bytes becomes an operator with maps and lists.
const maxAllocation = 400

// lateAllocations is the number of bytes of earlier executions, on other threads, that may
// be counted during one.
const lateAllocations = 4 << 20

// Whatever a file has, Read gives an error or a model that embeds an image, and the file is
// read in memory that is proportional to it.
func FuzzImport(f *testing.F) {
	size := imaging.Size{Height: 5, Width: 4, Channels: 1}
	conv := graph.Conv{Filters: 2, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu"}
	for _, blocks := range [][]graph.Block{
		{conv, graph.MaxPool{Size: 3, Stride: 2, Padding: 1}, graph.GlobalAveragePool{}, graph.Linear{Units: 2}, graph.Normalize{}},
		{conv, graph.Residual{Body: []graph.Block{conv, graph.SqueezeExcite{Channels: 1, Activation: "silu"}}, Activation: "prelu"}, graph.Flatten{}},
		{graph.Residual{Body: []graph.Block{graph.LayerNorm{}, graph.Conv{Filters: 1, Kernel: 1, Activation: "gelu"}, graph.Scale{}}}, graph.GeM{}},
		{graph.Conv{Filters: 2, Kernel: 2, Stride: 2, SamePadding: true, Activation: "hardswish"}, graph.AveragePool{Size: 2, Trainable: true}, graph.Flatten{}},
	} {
		model, err := likeness.New(backbone.Network{Name: "seed", Size: size, Blocks: blocks}, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
		if err != nil {
			f.Fatal(err)
		}
		written, err := Network(model)
		if err != nil {
			f.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := written.WriteTo(&file); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes(), "")
		f.Add(file.Bytes(), "conv1")
	}
	paths, err := filepath.Glob(filepath.Join("testdata", "*.onnx"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file, "")
	}
	f.Fuzz(func(t *testing.T, file []byte, cut string) {
		o := ImportOptions{Cut: cut}
		var network *converted
		var own *origin
		testutil.LimitAllocations(t, maxAllocation*len(file)+lateAllocations, func() {
			network, own, _ = parse(file, o)
		})
		// Graphs take much longer than reading, so they are built of small networks, and of one
		// in eight.
		if network == nil || network.values > 1<<12 || network.Size.Len() > 1<<10 || crc32.ChecksumIEEE(file)%8 > 0 {
			return
		}
		imported, err := network.imported(o, own)
		if err != nil {
			return // blocks that the graph refuses
		}
		if _, err := imported.Model.EmbedPixels([][]uint8{make([]uint8, network.Size.Len())}); err != nil {
			t.Errorf("imported a network that does not embed: %v", err)
		}
	})
}
