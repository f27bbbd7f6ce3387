package gallery_test

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// update writes the fixture of the present format, where there is none:
// go test ./gallery -run TestEveryFormatIsRead -update
var update = flag.Bool("update", false, "write the gallery of the present format to testdata")

// formats are the galleries of every format that there ever was, the newest
// last. A fixture is written once, by the program whose format it is, and never
// again.
var formats = []string{"gallery-1"}

// A gallery of every format is read, threshold and all, and answers as it did.
func TestEveryFormatIsRead(t *testing.T) {
	for i, name := range formats {
		fixture := filepath.Join("testdata", name+".gallery")
		if *update && i == len(formats)-1 {
			writeGallery(t, fixture)
		}
		g, err := gallery.Open(copied(t, fixture), plainModel(t, heads.L1{}, 1), gallery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeGallery(t, g)
		if g.Rule() != gallery.Nearest {
			t.Errorf("%s: found the rule %s, expected %s", name, g.Rule(), gallery.Nearest)
		}
		found := identify(t, g, greys(12), 2)
		if diff := cmp.Diff(map[string]float64{"alice": 2, "bob": 188}, distances(found), cmpopts.EquateApprox(0, 1e-3)); diff != "" {
			t.Errorf("%s (-want +found):\n%s", name, diff)
		}
		if !found.Known || !found.Calibrated || found.Threshold != 11.5 {
			t.Errorf("%s: found %+v, expected alice within a threshold of 11.5", name, found)
		}
		enroll(t, g, "carol", greys(100)) // it is written to like any other
	}
}

func writeGallery(t *testing.T, path string) {
	t.Helper()
	g, err := gallery.Create(path, plainModel(t, heads.L1{}, 1), gallery.Options{ModelName: "plain", Rule: gallery.Nearest})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	enroll(t, g, "alice", greys(10), greys(30))
	enroll(t, g, "bob", greys(200))
	if _, err := g.Calibrate(steps(), 0.3); err != nil {
		t.Fatal(err)
	}
}

// A gallery of a format to come is refused with both versions.
func TestAFutureFormatIsRefused(t *testing.T) {
	path := copied(t, filepath.Join("testdata", "gallery-1.gallery"))
	db, err := bolt.Open(path, 0o666, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		about := tx.Bucket([]byte("about"))
		var header map[string]any
		if err := json.Unmarshal(about.Get([]byte("header")), &header); err != nil {
			return err
		}
		header["format"] = "likeness-gallery/9"
		text, err := json.Marshal(header)
		if err != nil {
			return err
		}
		return about.Put([]byte("header"), text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = gallery.Open(path, plainModel(t, heads.L1{}, 1), gallery.Options{})
	if !errors.Is(err, gallery.ErrNotGallery) || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), `found format "likeness-gallery/9", expected "likeness-gallery/1"`) {
		t.Errorf("found %v, expected ErrNotGallery with both versions", err)
	}
}

// copied is a copy of a file that may be written to.
func copied(t *testing.T, path string) string {
	t.Helper()
	source, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	copy := filepath.Join(t.TempDir(), filepath.Base(path))
	target, err := os.Create(copy)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	return copy
}
