package gallery_test

import (
	"context"
	"image"
	"image/color"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// Nothing, as a gallery, a model or an argument, is an error and no panic.
func TestNothing(t *testing.T) {
	for name, function := range map[string]any{
		"Create": gallery.Create, "Open": gallery.Open, "OpenOrCreate": gallery.OpenOrCreate,
		"Describe": gallery.Describe, "DescribeWithin": gallery.DescribeWithin, "CheckClassName": gallery.CheckClassName,
	} {
		testutil.CallOfNothing(t, name, function, false)
	}
	quiet := []string{"Close", "Discard"}
	testutil.CallsOfNothing(t, (*gallery.Gallery)(nil), quiet...)
	testutil.CallsOfNothing(t, new(gallery.Gallery), quiet...)
	testutil.CallsOfNothing(t, gallery.Calibration{})
	testutil.CallsOfNothing(t, gallery.Identification{})
	testutil.CallsOfNothing(t, gallery.Identification{Calibrated: true, Known: true})
	if err := new(gallery.Gallery).Enroll("a", greys(1)); !errors.Is(err, gallery.ErrClosed) {
		t.Errorf("found error %v", err)
	}

	// Of a gallery that is open each argument in turn is nothing.
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	enroll(t, g, "a", greys(1))
	for _, method := range []string{"Enroll", "EnrollFiles", "EnrollEmbeddings", "EnrollFolder", "Identify", "IdentifyAll", "IdentifyEmbeddings", "Verify", "VerifyEmbedding", "Index", "Calibrate", "CalibrateFolder", "Examples", "Forget"} {
		testutil.CallOfNothing(t, method, reflect.ValueOf(g).MethodByName(method).Interface(), false)
	}
	good := filepath.Join(t.TempDir(), "1.png")
	writePNG(t, greys(1), good)
	var none context.Context
	for name, err := range map[string]error{
		"no context for files":  g.EnrollFiles(none, "a", good),
		"a model of nothing":    closed(gallery.Create(filepath.Join(t.TempDir(), "g"), new(likeness.Model), gallery.Options{})),
		"a model of no network": closed(gallery.Create(filepath.Join(t.TempDir(), "g"), &likeness.Model{Backbone: backbone.Network{}, Head: heads.L1{}, Weights: graph.NewWeights(graph.Float32, 1)}, gallery.Options{})),
		"a nil type of network": closed(gallery.Create(filepath.Join(t.TempDir(), "g"), &likeness.Model{Backbone: (*ownNetwork)(nil), Head: heads.L1{}, Weights: graph.NewWeights(graph.Float32, 1)}, gallery.Options{})),
	} {
		if err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
	for name, img := range map[string]image.Image{
		"nil":           nil,
		"nil grey":      (*image.Gray)(nil),
		"nil colours":   (*image.RGBA)(nil),
		"short grey":    &image.Gray{Pix: make([]uint8, 3), Stride: 4, Rect: image.Rect(0, 0, 4, 4)},
		"short colours": &image.NRGBA64{Pix: make([]uint8, 3), Stride: 4, Rect: image.Rect(0, 0, 4, 4)},
		"its own":       panicking{},
	} {
		_, identified := g.Identify(img, 1)
		_, all := g.IdentifyAll([]image.Image{greys(1), img}, 1)
		_, verified := g.Verify("a", img)
		for way, err := range map[string]error{"enroll": g.Enroll("b", img), "enroll again": g.Enroll("a", greys(1), img), "identify": identified, "identify all": all, "verify": verified} {
			if err == nil {
				t.Errorf("%s: %s: found no error", name, way)
			}
		}
	}
	if g.Len() != 1 {
		t.Errorf("found %d examples", g.Len())
	}
	if err := g.Enroll("b", greys(2)); err != nil { // it goes on
		t.Error(err)
	}
}

// ownNetwork is a backbone of a user's own.
type ownNetwork struct{ backbone.Network }

// panicking is an image whose pixels cannot be had.
type panicking struct{}

func (panicking) ColorModel() color.Model { return color.GrayModel }
func (panicking) Bounds() image.Rectangle { return image.Rect(0, 0, 2, 2) }
func (panicking) At(int, int) color.Color { panic("no pixels") }
