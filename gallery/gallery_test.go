package gallery_test

import (
	"context"
	"image"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// A gallery has the same contents after it is opened again.
func TestReopen(t *testing.T) {
	g := create(t, plainModel(t, heads.L2{}, 2), gallery.Options{})
	enroll(t, g, "b", grays(1, 2), grays(3, 4))
	enroll(t, g, "a", grays(5, 6))
	want := identify(t, g, grays(4, 4), 2)
	again := reopen(t, g, gallery.Options{})
	if diff := cmp.Diff([]gallery.Class{{Name: "a", Examples: 1}, {Name: "b", Examples: 2}}, again.Classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, identify(t, again, grays(4, 4), 2)); diff != "" {
		t.Errorf("answers (-before +after):\n%s", diff)
	}
	if again.Len() != 3 {
		t.Errorf("%d examples, want 3", again.Len())
	}
}

// Opening a gallery with another model is an error that names both models.
func TestOpenWithAnotherModel(t *testing.T) {
	g := create(t, plainModel(t, heads.L2{}, 2), gallery.Options{ModelName: "first.safetensors"})
	closeGallery(t, g)
	for name, other := range map[string]heads.Head{"another head": heads.L1{}, "learned weights": heads.WeightedL1{}} {
		model := plainModel(t, other, 2)
		_, err := gallery.Open(g.Path(), model, gallery.Options{ModelName: "second.safetensors"})
		identity, failure := model.Identity()
		if failure != nil {
			t.Fatal(failure)
		}
		own, failure := g.Model().Identity()
		if failure != nil {
			t.Fatal(failure)
		}
		if !errors.Is(err, gallery.ErrModel) {
			t.Errorf("%s: found error %v", name, err)
			continue
		}
		for _, text := range []string{g.Path(), "first.safetensors", own.String(), "second.safetensors", identity.String()} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is not in: %v", name, text, err)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	model := plainModel(t, heads.L2{}, 2)
	g := create(t, model, gallery.Options{ModelName: "runs/a", Rule: gallery.Prototype})
	closeGallery(t, g)
	identity, err := model.Identity()
	if err != nil {
		t.Fatal(err)
	}
	got, err := gallery.Describe(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := gallery.Description{Identity: identity, ModelName: "runs/a", Rule: gallery.Prototype}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A gallery that is open for writing cannot be opened; several can read it at the same time.
func TestLock(t *testing.T) {
	testutil.NeedFile(t)
	g := create(t, plainModel(t, heads.L2{}, 2), gallery.Options{})
	enroll(t, g, "a", grays(1, 2))
	short := gallery.Options{Timeout: time.Millisecond}
	_, err := gallery.Open(g.Path(), g.Model(), short)
	if !errors.Is(err, gallery.ErrLocked) || !strings.Contains(err.Error(), g.Path()) {
		t.Errorf("while it is open: found error %v", err)
	}
	first := reopen(t, g, gallery.Options{ReadOnly: true})
	second, err := gallery.Open(g.Path(), g.Model(), gallery.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, second)
	for _, reader := range []*gallery.Gallery{first, second} {
		if found := identify(t, reader, grays(1, 2), 1); found.Candidates[0].Class != "a" {
			t.Errorf("found %+v", found)
		}
		if err := reader.Enroll("b", grays(3, 4)); !errors.Is(err, gallery.ErrReadOnly) {
			t.Errorf("enroll in what is read: found error %v", err)
		}
	}
	if _, err := gallery.Open(g.Path(), g.Model(), short); !errors.Is(err, gallery.ErrLocked) {
		t.Errorf("while it is read: found error %v", err)
	}
}

func TestClosed(t *testing.T) {
	g := create(t, plainModel(t, heads.L2{}, 2), gallery.Options{})
	enroll(t, g, "a", grays(1, 2))
	closeGallery(t, g)
	closeGallery(t, g) // which is no mistake
	_, identified := g.Identify(grays(1, 2), 1)
	_, verified := g.Verify("a", grays(1, 2))
	_, forgotten := g.Forget("a")
	for name, err := range map[string]error{"enroll": g.Enroll("b", grays(3, 4)), "identify": identified, "verify": verified, "forget": forgotten} {
		if !errors.Is(err, gallery.ErrClosed) {
			t.Errorf("%s: found error %v", name, err)
		}
	}
}

// Create overwrites no file, Open creates none, and other files are not galleries.
func TestCreateAndOpenRefusals(t *testing.T) {
	testutil.NeedFile(t)
	model := plainModel(t, heads.L2{}, 2)
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	g := create(t, model, gallery.Options{})
	closeGallery(t, g)
	text := strings.Repeat("not a gallery but a text of some length\n", 1000)
	if err := os.WriteFile(path("text"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	database(t, path("other"), "bucket of something else")
	database(t, path("interrupted"))
	type call func(string, gallery.Options) error
	create := call(func(p string, o gallery.Options) error { return closed(gallery.Create(p, model, o)) })
	open := call(func(p string, o gallery.Options) error { return closed(gallery.Open(p, model, o)) })
	for name, test := range map[string]struct {
		do      call
		path    string
		options gallery.Options
		is      error
		says    string
	}{
		"create over a gallery":  {create, g.Path(), gallery.Options{}, gallery.ErrExists, "open it"},
		"create over a text":     {create, path("text"), gallery.Options{}, gallery.ErrNotGallery, "text"},
		"create over a database": {create, path("other"), gallery.Options{}, gallery.ErrNotGallery, "bucket of something else"},
		"create nowhere":         {create, path("no/folder"), gallery.Options{}, fs.ErrNotExist, "no/folder"},
		"create to read":         {create, path("new"), gallery.Options{ReadOnly: true}, gallery.ErrReadOnly, "new gallery"},
		"create by a rule":       {create, path("new"), gallery.Options{Rule: "nearst"}, nil, `unknown rule "nearst": did you mean "nearest"?`},
		"open nothing":           {open, path("new"), gallery.Options{}, fs.ErrNotExist, "new"},
		"open a text":            {open, path("text"), gallery.Options{}, gallery.ErrNotGallery, "text"},
		"open a database":        {open, path("other"), gallery.Options{}, gallery.ErrNotGallery, "other buckets"},
		"open what is half-made": {open, path("interrupted"), gallery.Options{}, fs.ErrNotExist, "interrupted: create it again"},
		"open by another rule":   {open, g.Path(), gallery.Options{Rule: gallery.Prototype}, nil, "rule is nearest, found prototype"},
	} {
		err := test.do(test.path, test.options)
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "gallery "+test.path) {
			t.Errorf("%s: found error %v", name, err)
		}
	}
	if left, err := os.ReadFile(path("text")); err != nil || string(left) != text {
		t.Error("the text has been changed")
	}
	if _, err := os.Stat(path("new")); err == nil {
		t.Error("what was refused left a file behind")
	}
	if err := create(path("interrupted"), gallery.Options{}); err != nil {
		t.Errorf("create again: %v", err)
	}
}

func closed(g *gallery.Gallery, err error) error {
	if err != nil {
		return err
	}
	return g.Close()
}

// database creates a bbolt database with empty buckets.
func database(t *testing.T, path string, buckets ...string) {
	t.Helper()
	db, err := bolt.Open(path, 0o666, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Nil galleries, models and arguments are errors and cause no panic.
func TestNil(t *testing.T) {
	for name, function := range map[string]any{
		"Create": gallery.Create, "Open": gallery.Open, "OpenOrCreate": gallery.OpenOrCreate,
		"Describe": gallery.Describe, "DescribeWithin": gallery.DescribeWithin, "CheckClassName": gallery.CheckClassName, "Copy": gallery.Copy,
	} {
		testutil.CallOfNothing(t, name, function, false)
	}
	quiet := []string{"Close", "Discard"}
	testutil.CallsOfNothing(t, (*gallery.Gallery)(nil), quiet...)
	testutil.CallsOfNothing(t, new(gallery.Gallery), quiet...)
	testutil.CallsOfNothing(t, (*gallery.Request)(nil))
	testutil.CallsOfNothing(t, new(gallery.Request))
	var without context.Context
	testutil.CallsOfNothing(t, (*gallery.Gallery)(nil).Request(without, ""))
	testutil.CallsOfNothing(t, gallery.Calibration{})
	testutil.CallsOfNothing(t, gallery.Identification{})
	testutil.CallsOfNothing(t, gallery.Identification{Calibrated: true, Known: true})
	if err := new(gallery.Gallery).Enroll("a", grays(1)); !errors.Is(err, gallery.ErrClosed) {
		t.Errorf("found error %v", err)
	}

	// Each argument of an open gallery's methods in turn is nil.
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	enroll(t, g, "a", grays(1))
	for _, method := range []string{"Enroll", "EnrollFiles", "EnrollEmbeddings", "EnrollFolder", "EnrollFound", "Identify", "IdentifyAll", "IdentifyEmbeddings", "Verify", "VerifyEmbedding", "Index", "Calibrate", "CalibrateFolder", "Examples", "Forget"} {
		testutil.CallOfNothing(t, method, reflect.ValueOf(g).MethodByName(method).Interface(), false)
	}
	good := filepath.Join(t.TempDir(), "1.png")
	writePNG(t, grays(1), good)
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
		"nil":          nil,
		"nil gray":     (*image.Gray)(nil),
		"nil colors":   (*image.RGBA)(nil),
		"short gray":   &image.Gray{Pix: make([]uint8, 3), Stride: 4, Rect: image.Rect(0, 0, 4, 4)},
		"short colors": &image.NRGBA64{Pix: make([]uint8, 3), Stride: 4, Rect: image.Rect(0, 0, 4, 4)},
		"its own":      panicking{},
	} {
		_, identified := g.Identify(img, 1)
		_, all := g.IdentifyAll([]image.Image{grays(1), img}, 1)
		_, verified := g.Verify("a", img)
		for way, err := range map[string]error{"enroll": g.Enroll("b", img), "enroll again": g.Enroll("a", grays(1), img), "identify": identified, "identify all": all, "verify": verified} {
			if err == nil {
				t.Errorf("%s: %s: found no error", name, way)
			}
		}
	}
	if g.Len() != 1 {
		t.Errorf("found %d examples", g.Len())
	}
	if err := g.Enroll("b", grays(2)); err != nil { // it goes on
		t.Error(err)
	}
}

// ownNetwork is a backbone of another package.
type ownNetwork struct{ backbone.Network }

// panicking is an image whose method At panics.
type panicking struct{}

func (panicking) ColorModel() color.Model { return color.GrayModel }
func (panicking) Bounds() image.Rectangle { return image.Rect(0, 0, 2, 2) }
func (panicking) At(int, int) color.Color { panic("no pixels") }
