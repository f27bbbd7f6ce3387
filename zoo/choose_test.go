package zoo_test

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// photograph is an image in which a share of the pixels, from the top, is colored, and the
// others are white.
func photograph(share float64) image.Image {
	const side = 50
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.Set(x, y, color.White)
			if float64(y) < share*side {
				img.Set(x, y, color.RGBA{R: 200, G: 40, B: 30, A: 255})
			}
		}
	}
	return img
}

func written(t *testing.T, images ...image.Image) (files []string) {
	t.Helper()
	folder := t.TempDir()
	for i, img := range images {
		file, err := os.Create(filepath.Join(folder, strconv.Itoa(i)+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, img); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		files = append(files, file.Name())
	}
	return files
}

// repeated is n times an image.
func repeated(n int, img image.Image) (images []image.Image) {
	for range n {
		images = append(images, img)
	}
	return images
}

func TestChoose(t *testing.T) {
	drawing, photo, doubtful := ring(60, 30, 30, 20), photograph(0.9), photograph(0.15)
	for name, test := range map[string]struct {
		images []image.Image
		want   string // empty for an error
	}{
		"a photograph":                   {repeated(1, photo), zoo.Photo},
		"a drawing":                      {repeated(1, drawing), zoo.Default},
		"just a photograph":              {repeated(1, photograph(0.22)), zoo.Photo},
		"just a drawing":                 {repeated(1, photograph(0.08)), zoo.Default},
		"neither":                        {repeated(1, doubtful), ""},
		"a photograph and a drawing":     {append(repeated(1, photo), drawing), ""},
		"a photograph and one in doubt":  {append(repeated(1, photo), doubtful), zoo.Photo},
		"four photographs and a drawing": {append(repeated(4, photo), drawing), zoo.Photo},
		"three and a drawing":            {append(repeated(3, photo), drawing), ""},
		"four drawings and a photograph": {append(repeated(4, drawing), photo), zoo.Default},
		"more in doubt than photographs": {append(repeated(2, doubtful), photo), ""},
		"none":                           {nil, ""},
	} {
		choice, err := zoo.Choose(context.Background(), written(t, test.images...), nil)
		if test.want == "" {
			if !errors.Is(err, zoo.ErrUndecided) {
				t.Errorf("%s: found %+v (%v), expected ErrUndecided", name, choice, err)
			}
			continue
		}
		if err != nil || choice.Name != test.want || !strings.Contains(choice.Reason, "images examined are ") {
			t.Errorf("%s: found %+v (%v), expected %s with the reason", name, choice, err, test.want)
		}
	}
	if _, err := zoo.Choose(context.Background(), []string{filepath.Join(t.TempDir(), "missing.png")}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: found error %v", err)
	}
}

// The model for photographs embeds 1,280 features, and is stored in half precision under
// the license of its weights.
func TestPhoto(t *testing.T) {
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := model.Embed(photograph(0.9), photograph(0.3))
	if err != nil || len(embeddings) != 2 || len(embeddings[0]) != 1280 || !model.HalfPrecision || model.Threshold == nil {
		t.Fatalf("found %d embeddings, half precision %v, threshold %v (%v)", len(embeddings), model.HalfPrecision, model.Threshold, err)
	}
	license, err := zoo.License(zoo.Photo)
	if err != nil || !strings.Contains(license, "Copyright (c) 2020, ML Illustrated") || !strings.Contains(license, "Apache License") {
		t.Errorf("found the license %.80q (%v)", license, err)
	}
	if license, err := zoo.License(zoo.Default); err != nil || license != "" {
		t.Errorf("a model of this project: found the license %.80q (%v)", license, err)
	}
	if _, err := zoo.License("fotos"); err == nil {
		t.Error("an unknown model: found no error")
	}
}
