package datasets_test

import (
	"archive/zip"
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// zeros are very many bytes that take very little room when they are packed.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The text of a run may be packed from more bytes than there is memory, and claim
// even more.
func TestOpenRunsRefusesABomb(t *testing.T) {
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	entry, err := w.Create("run01/class_labels.txt")
	if err == nil {
		_, err = io.CopyN(entry, zeros{}, 16<<20)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder(t, map[string][]byte{"all_runs.zip": file.Bytes()}), "all_runs.zip")
	testutil.LimitAllocations(t, 6<<20, func() {
		_, err := datasets.OpenRuns(path, datasets.Options{})
		expectError(t, "a bomb", err, nil, "all_runs.zip", "class_labels.txt", "found more than 1048576 bytes")
	})
}

// Images of one pixel's width take little room as they are, and very much while they
// are resized.
func TestOpenIDXRefusesATallImage(t *testing.T) {
	header := []byte{0, 0, 8, 3, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1} // one image of 131,072 × 1
	dir := folder(t, map[string][]byte{
		"train-images-idx3-ubyte": append(header, make([]byte, 1<<17)...),
		"train-labels-idx1-ubyte": {0, 0, 8, 1, 0, 0, 0, 1, 5},
	})
	_, err := datasets.Open(dir, datasets.Options{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}})
	expectError(t, "a tall image", err, imaging.ErrTooLarge, "1 x 131072")
}
