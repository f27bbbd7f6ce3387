package datasets_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// Images of a folder are read as the preprocessing of the dataset reads other images.
func TestCenterCrop(t *testing.T) {
	folder := t.TempDir()
	wide := image.NewGray(image.Rect(0, 0, 12, 4))
	for x := range 12 {
		for y := range 4 {
			wide.SetGray(x, y, color.Gray{Y: uint8(20 * x)})
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, wide); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/1.png", "b/1.png"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	size := imaging.Size{Height: 4, Width: 4, Channels: 1}
	for _, test := range []struct {
		options datasets.Options
		shorter int
		first   []uint8 // row
	}{
		{datasets.Options{Size: size}, 0, []uint8{22, 80, 140, 198}},
		{datasets.Options{Size: size, CenterCrop: true, ShorterSide: 4}, 4, []uint8{80, 100, 120, 140}},
		{datasets.Options{Size: size, CenterCrop: true}, 5, nil}, // 4 / 0.875, rounded
	} {
		splits, err := datasets.Open(folder, test.options)
		if err != nil {
			t.Fatal(err)
		}
		d := splits.Train
		if d.ShorterSide != test.shorter || d.Preprocessing().ShorterSide != test.shorter {
			t.Errorf("%+v: the shorter side is %d, and %d in the preprocessing", test.options, d.ShorterSide, d.Preprocessing().ShorterSide)
		}
		if diff := cmp.Diff(d.Preprocessing().Pixels(wide), d.Images[1]); diff != "" {
			t.Errorf("%+v: %s", test.options, diff)
		}
		if diff := cmp.Diff(test.first, d.Images[0][:4]); test.first != nil && diff != "" {
			t.Errorf("%+v: %s", test.options, diff)
		}
		turned, err := d.Symmetries()
		if err != nil || turned.ShorterSide != test.shorter {
			t.Errorf("symmetries: found the shorter side %d and the error %v", turned.ShorterSide, err)
		}
	}
	for expected, options := range map[string]datasets.Options{
		"found ShorterSide 4 without CenterCrop":        {Size: size, ShorterSide: 4},
		"the shorter side is 3 pixels, expected 4":      {Size: size, CenterCrop: true, ShorterSide: 3},
		"found a shorter side and a crop to the foregr": {Size: size, CenterCrop: true, Crop: &imaging.Crop{Margin: 1}},
	} {
		if _, err := datasets.Open(folder, options); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("found %v, expected %q", err, expected)
		}
	}
}
