package likeness

import (
	"bytes"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
)

// smallModel is a model with something of everything that a file holds.
func smallModel(t testing.TB, head heads.Head) *Model {
	t.Helper()
	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	m, err := New(network, head, imaging.Preprocessing{Size: size, Crop: &imaging.Crop{Margin: 1.2}, Mean: []float64{0.5}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	threshold := 0.5
	m.Threshold = &threshold
	return m
}

// written is the content of the model's file but for its probe, which takes as long
// as the network that a file describes.
func written(t testing.TB, m *Model) []byte {
	t.Helper()
	file, err := m.content()
	if err == nil {
		err = file.Seal()
	}
	var content bytes.Buffer
	if err == nil {
		err = safetensors.Write(&content, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// writtenBefore is the content of the model's file in the format before, which has
// no checksum: what is changed there gets further.
func writtenBefore(f *testing.F, m *Model) []byte {
	f.Helper()
	file, err := m.content()
	if err != nil {
		f.Fatal(err)
	}
	file.Metadata[formatKey] = formatBefore
	var content bytes.Buffer
	if err := safetensors.Write(&content, file); err != nil {
		f.Fatal(err)
	}
	return content.Bytes()
}

// Whatever the bytes, Read gives an error or a model that is written so that it is
// read as it was.
func FuzzRead(f *testing.F) {
	for _, head := range []heads.Head{heads.L2{}, heads.WeightedL1{}} {
		m := smallModel(f, head)
		f.Add(written(f, m))
		f.Add(writtenBefore(f, m))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		testutil.LimitAllocations(t, 256*len(content)+16<<20, func() {
			m, err := Read(content, "fuzz")
			if err != nil || m.Preprocessing.Size.Len() > 1<<12 {
				return
			}
			once := written(t, m)
			again, err := Read(once, "again")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(once, written(t, again)) {
				t.Error("a model was read and written, and then read and written otherwise")
			}
		})
	})
}

// What a tensor's shape may be in a file is not always what a weight's may be.
func TestReadRefusesShapesThatNoWeightHas(t *testing.T) {
	for name, tensor := range map[string]safetensors.Tensor{
		"no elements":   {Name: "head.more", Shape: []int{0}, Data: []float32{}},
		"no elements 2": {Name: "head.more", Shape: []int{2, 0}, Data: []float32{}},
		"huge extents":  {Name: "head.more", Shape: []int{1 << 62, 0}, Data: []float32{}},
		"unknown":       {Name: "more", Shape: []int{0, 3}, Data: []float32{}},
	} {
		file, err := smallModel(t, heads.L2{}).content()
		if err != nil {
			t.Fatal(err)
		}
		file.Tensors = append(file.Tensors, tensor)
		if _, err := fromFile(file, false, own{}); err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
}
