package gallery_test

import (
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// plainModel embeds an image of one row of grey pixels as their values, 0 to 255,
// so that every distance can be worked out by hand.
func plainModel(t testing.TB, head heads.Head, pixels int) *likeness.Model {
	t.Helper()
	model, err := newPlainModel(head, pixels)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func newPlainModel(head heads.Head, pixels int) (*likeness.Model, error) {
	size := imaging.Size{Height: 1, Width: pixels, Channels: 1}
	network := backbone.Network{Name: "plain", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	return likeness.New(network, head, imaging.Preprocessing{Size: size, StdDev: []float64{1.0 / 255}}, 1)
}

// greys is an image of one row.
func greys(values ...uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, len(values), 1))
	for x, v := range values {
		img.SetGray(x, 0, color.Gray{Y: v})
	}
	return img
}

// create makes a gallery in a folder of the test's own.
func create(t testing.TB, model *likeness.Model, o gallery.Options) *gallery.Gallery {
	t.Helper()
	g, err := gallery.Create(filepath.Join(t.TempDir(), "test.gallery"), model, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeGallery(t, g) })
	return g
}

// reopen closes a gallery and opens it again.
func reopen(t testing.TB, g *gallery.Gallery, o gallery.Options) *gallery.Gallery {
	t.Helper()
	closeGallery(t, g)
	again, err := gallery.Open(g.Path(), g.Model(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeGallery(t, again) })
	return again
}

func closeGallery(t testing.TB, g *gallery.Gallery) {
	t.Helper()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func enroll(t testing.TB, g *gallery.Gallery, class string, images ...image.Image) {
	t.Helper()
	if err := g.Enroll(class, images...); err != nil {
		t.Fatal(err)
	}
}

func identify(t testing.TB, g *gallery.Gallery, img image.Image, k int) gallery.Identification {
	t.Helper()
	found, err := g.Identify(img, k)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// distances are the candidates' by class.
func distances(found gallery.Identification) map[string]float64 {
	by := map[string]float64{}
	for _, candidate := range found.Candidates {
		by[candidate.Class] = candidate.Distance
	}
	return by
}

// writePNG writes an image to a file, with its folders.
func writePNG(t testing.TB, img image.Image, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, img); err != nil {
		t.Fatal(err)
	}
}

// temporary is a gallery of images of one pixel, for examples.
func temporary() (g *gallery.Gallery, remove func()) {
	folder, err := os.MkdirTemp("", "gallery")
	if err != nil {
		log.Fatal(err)
	}
	model, err := newPlainModel(heads.L1{}, 1)
	if err != nil {
		log.Fatal(err)
	}
	if g, err = gallery.Create(filepath.Join(folder, "test.gallery"), model, gallery.Options{}); err != nil {
		log.Fatal(err)
	}
	return g, func() {
		g.Close()
		os.RemoveAll(folder)
	}
}
