package gallery_test

import (
	"image"
	"image/color"
	"image/png"
	"log"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/zoo"
)

// plainModel embeds an image of one row of gray pixels as their values, 0 to 255,
// so that every distance can be computed by hand.
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

// grays returns an image of one row.
func grays(values ...uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, len(values), 1))
	for x, v := range values {
		img.SetGray(x, 0, color.Gray{Y: v})
	}
	return img
}

// create creates a gallery in a temporary folder.
func create(t testing.TB, model *likeness.Model, o gallery.Options) *gallery.Gallery {
	t.Helper()
	g, err := gallery.Create(testutil.NewGallery(t, t.TempDir(), "test.gallery"), model, o)
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

// readable returns those of a closed and an open gallery that can be read: a closed one of a
// file is in memory.
func readable(closed, open *gallery.Gallery) []*gallery.Gallery {
	if testutil.InPostgres() {
		return []*gallery.Gallery{open}
	}
	return []*gallery.Gallery{closed, open}
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

// distances returns the distances of the candidates by class.
func distances(found gallery.Identification) map[string]float64 {
	by := map[string]float64{}
	for _, candidate := range found.Candidates {
		by[candidate.Class] = candidate.Distance
	}
	return by
}

// writePNG writes an image to a file and creates its folder.
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

// temporary returns a temporary gallery of images of one pixel, for examples.
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

// shapes defines drawings: whether there is ink at a point of the square [-1, 1]².
var shapes = map[string]func(x, y float64) bool{
	"cross":    func(x, y float64) bool { return math.Abs(x) < 0.1 || math.Abs(y) < 0.1 },
	"ring":     func(x, y float64) bool { return math.Abs(math.Hypot(x, y)-0.9) < 0.1 },
	"stairs":   func(x, y float64) bool { return math.Abs(math.Floor(2*x)/2-y+0.25) < 0.25 },
	"triangle": func(x, y float64) bool { return y > 0.8 || math.Abs(math.Abs(x)-(y+1)/2) < 0.1 },
}

// drawing draws a shape in black on white, with a size and a position in pixels.
func drawing(shape string, side, centerX, centerY, size int) image.Image {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			u, v := float64(x-centerX)/float64(size), float64(y-centerY)/float64(size)
			img.SetGray(x, y, color.Gray{Y: 255})
			if math.Max(math.Abs(u), math.Abs(v)) < 1 && shapes[shape](u, v) {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return img
}

// With one drawing of each class, characters that the network was not trained on are
// identified in another size and position. Classes that are not enrolled or forgotten are
// unknown.
func TestDrawings(t *testing.T) {
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
		g := create(t, model, gallery.Options{ModelName: zoo.Default, Rule: rule})
		known := []string{"cross", "ring", "stairs"}
		for _, shape := range known {
			enroll(t, g, shape, drawing(shape, 105, 50, 50, 30), drawing(shape, 105, 60, 50, 40))
		}
		g = reopen(t, g, gallery.Options{})
		for _, shape := range known {
			found := identify(t, g, drawing(shape, 120, 70, 45, 25), 3)
			if found.Class() != shape || len(found.Candidates) != 3 {
				t.Errorf("%s: a %s is found to be %+v", rule, shape, found)
			}
		}
		if found := identify(t, g, drawing("triangle", 105, 50, 50, 30), 1); !found.Calibrated || found.Class() != "" {
			t.Errorf("%s: a triangle is found to be %+v", rule, found)
		}
		if verified, err := g.Verify("ring", drawing("cross", 120, 70, 45, 25)); err != nil || verified.Same {
			t.Errorf("%s: a cross is taken for a ring: %+v, %v", rule, verified, err)
		}
		if _, err := g.Forget("cross"); err != nil {
			t.Fatal(err)
		}
		if found := identify(t, g, drawing("cross", 120, 70, 45, 25), 3); found.Class() != "" || len(found.Candidates) != 2 {
			t.Errorf("%s: a forgotten cross is found to be %+v", rule, found)
		}
	}
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
