package retrieval_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/retrieval"
	"gorgonia.org/tensor"
)

// embedded returns a collection of two files with three features each.
func embedded(t *testing.T) *retrieval.Collection {
	t.Helper()
	embeddings, err := evaluate.NewEmbeddings(2, 3, []float32{1, 2, 0.1, -4, 1e-9, 6})
	if err != nil {
		t.Fatal(err)
	}
	return &retrieval.Collection{Files: []string{"a.png", "b, c.png"}, Embeddings: embeddings}
}

// A CSV file has a header and all digits of the numbers, and names with a comma are quoted.
func TestWriteCSV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.csv")
	if err := embedded(t).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "file,e0,e1,e2\na.png,1,2,0.1\n\"b, c.png\",-4,1e-09,6\n"; string(content) != want {
		t.Errorf("found %q, expected %q", content, want)
	}
}

// Gorgonia reads the NumPy file, whose data begins at a multiple of 64 bytes.
func TestWriteNPY(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.npy")
	c := embedded(t)
	if err := c.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || (info.Size()-2*3*4)%64 != 0 {
		t.Errorf("found a file of %v bytes (%v), expected a header of a multiple of 64 and 24 of data", info.Size(), err)
	}
	var read tensor.Dense
	if err := read.ReadNpy(file); err != nil {
		t.Fatal(err)
	}
	if !read.Shape().Eq(tensor.Shape{2, 3}) || read.Dtype() != tensor.Float32 {
		t.Fatalf("found %v of shape %v, expected float32 of shape (2, 3)", read.Dtype(), read.Shape())
	}
	for i, want := range c.Embeddings.Data {
		if found := read.Float32s()[i]; found != want {
			t.Errorf("value %d: found %v, expected %v", i, found, want)
		}
	}
}

// What cannot be written is refused, and no file is left.
func TestWriteFileRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.txt")
	fewer := embedded(t)
	fewer.Files = fewer.Files[:1]
	for _, test := range []struct {
		collection *retrieval.Collection
		path, want string
	}{
		{nil, "e.csv", "the collection is nil"},
		{embedded(t), path, "ends in .npy or .csv"},
		{fewer, filepath.Join(filepath.Dir(path), "e.csv"), "found 1 files and 2 embeddings"},
		{embedded(t), filepath.Join(filepath.Dir(path), "no folder", "e.csv"), "no folder"},
	} {
		if err := test.collection.WriteFile(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, expected one with %q", test.path, err, test.want)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
		t.Errorf("found the files %v (%v), expected none", entries, err)
	}
	if err := retrieval.CheckFileName("e.npy"); err != nil {
		t.Error(err)
	}
}
