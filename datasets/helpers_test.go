package datasets_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

var onePixel = imaging.Size{Height: 1, Width: 1, Channels: 1}

// toy is a dataset of classes a, b, c, … with the given numbers of images. Image i is one
// pixel of the value i, so that images are identifiable.
func toy(counts ...int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "toy", Size: onePixel}
	for class, count := range counts {
		d.Classes = append(d.Classes, string(rune('a'+class)))
		for range count {
			d.Sources = append(d.Sources, fmt.Sprintf("toy[%d]", d.Len()))
			d.Images = append(d.Images, []uint8{uint8(d.Len())})
			d.Labels = append(d.Labels, class)
		}
	}
	return d
}

// values returns the first byte of each image.
func values(d *datasets.Dataset) []int {
	result := []int{}
	for _, pixels := range d.Images {
		result = append(result, int(pixels[0]))
	}
	return result
}

// grayPNG is a picture of the given rows.
func grayPNG(t testing.TB, rows ...[]uint8) []byte {
	img := image.NewGray(image.Rect(0, 0, len(rows[0]), len(rows)))
	copy(img.Pix, bytes.Join(rows, nil))
	return encoded(t, img)
}

func redPNG(t testing.TB, width, height int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		img.Set(i%width, i/width, color.NRGBA{R: 200, A: 255})
	}
	return encoded(t, img)
}

func encoded(t testing.TB, img image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// folder writes files, whose paths may have folders, to a new folder.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// merge returns the files of all maps, the later ones in place of the earlier.
func merge(maps ...map[string][]byte) map[string][]byte {
	result := map[string][]byte{}
	for _, files := range maps {
		for name, data := range files {
			result[name] = data
		}
	}
	return result
}

// expectError checks that an error is there, is the sentinel if one is given, and
// mentions all of the texts.
func expectError(t *testing.T, name string, err, sentinel error, mentions ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, expected one that mentions %q", name, mentions)
		return
	}
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("%s: found %v, expected %v", name, err, sentinel)
	}
	for _, text := range mentions {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: found %v, expected it to mention %q", name, err, text)
		}
	}
}
