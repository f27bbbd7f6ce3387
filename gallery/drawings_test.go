package gallery_test

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/zoo"
)

// shapes are drawings in the coordinates of a square of side 2 around the middle:
// whether there is ink.
var shapes = map[string]func(x, y float64) bool{
	"cross":    func(x, y float64) bool { return math.Abs(x) < 0.1 || math.Abs(y) < 0.1 },
	"ring":     func(x, y float64) bool { return math.Abs(math.Hypot(x, y)-0.9) < 0.1 },
	"stairs":   func(x, y float64) bool { return math.Abs(math.Floor(2*x)/2-y+0.25) < 0.25 },
	"triangle": func(x, y float64) bool { return y > 0.8 || math.Abs(math.Abs(x)-(y+1)/2) < 0.1 },
}

// drawing is black ink on white paper, of a size and at a place, in pixels.
func drawing(shape string, side, centreX, centreY, size int) image.Image {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			u, v := float64(x-centreX)/float64(size), float64(y-centreY)/float64(size)
			img.SetGray(x, y, color.Gray{Y: 255})
			if math.Max(math.Abs(u), math.Abs(v)) < 1 && shapes[shape](u, v) {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return img
}

// From one drawing each a gallery knows characters that the network has never seen,
// in another size and place, and what was not enrolled is unknown; what is
// forgotten becomes so.
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
