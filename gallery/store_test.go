package gallery_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// update writes the fixture of the current format, if there is none:
// go test ./gallery -run TestEveryFormatIsRead -update
var update = flag.Bool("update", false, "write the gallery of the present format to testdata")

// formats lists the fixtures of all formats, the newest last. A fixture is written once, by
// the version that introduced the format.
var formats = []string{"gallery-1"}

// Galleries of all formats are read with their thresholds and give the same results.
func TestEveryFormatIsRead(t *testing.T) {
	testutil.NeedFile(t)
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
		found := identify(t, g, grays(12), 2)
		if diff := cmp.Diff(map[string]float64{"alice": 2, "bob": 188}, distances(found), cmpopts.EquateApprox(0, 1e-3)); diff != "" {
			t.Errorf("%s (-want +found):\n%s", name, diff)
		}
		if !found.Known || !found.Calibrated || found.Threshold != 11.5 {
			t.Errorf("%s: found %+v, expected alice within a threshold of 11.5", name, found)
		}
		enroll(t, g, "carol", grays(100)) // it is written to like any other
	}
}

func writeGallery(t *testing.T, path string) {
	t.Helper()
	g, err := gallery.Create(path, plainModel(t, heads.L1{}, 1), gallery.Options{ModelName: "plain", Rule: gallery.Nearest})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	enroll(t, g, "alice", grays(10), grays(30))
	enroll(t, g, "bob", grays(200))
	if _, err := g.Calibrate(steps(), 0.3); err != nil {
		t.Fatal(err)
	}
}

// A gallery of a future format is an error that names both versions.
func TestFutureFormat(t *testing.T) {
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

// copied returns a copy of a file.
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

// A file that is truncated or partly overwritten is an error, or is read without a change
// if the damaged part is not in use. Nothing panics.
func TestDamagedFile(t *testing.T) {
	testutil.NeedFile(t)
	model := plainModel(t, heads.L2{}, 6)
	g := crowd(t, gallery.Options{})
	want := identify(t, g, noise(7, 6), 40)
	closeGallery(t, g)
	whole, err := os.ReadFile(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	refused, read := 0, 0
	for trial := range 150 {
		chance := random.New(uint64(trial), "damage")
		damaged := append([]byte{}, whole...)
		if trial%3 == 0 {
			damaged = damaged[:chance.IntN(len(damaged))]
		} else {
			for at, n := chance.IntN(len(damaged)), 1<<chance.IntN(10); n > 0 && at < len(damaged); at, n = at+1, n-1 {
				damaged[at] = byte(chance.IntN(256))
			}
		}
		path := filepath.Join(folder, "damaged.gallery")
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		opened, err := gallery.Open(path, model, gallery.Options{})
		if err != nil {
			refused++
			continue
		}
		read++
		if opened.Len() != g.Len() {
			t.Errorf("trial %d: %d examples of %d are left", trial, opened.Len(), g.Len())
		}
		found := identify(t, opened, noise(7, 6), 40)
		if diff := cmp.Diff(want, found, cmpopts.IgnoreFields(gallery.Example{}, "Time")); diff != "" {
			t.Errorf("trial %d: (-before +after):\n%s", trial, diff)
		}
		// Damage of unused parts is detected when they are used.
		if err := opened.Enroll("another", noise(8, 6)); err != nil && !errors.Is(err, gallery.ErrDamaged) {
			t.Errorf("trial %d: found error %v", trial, err)
		}
		closeGallery(t, opened)
	}
	if refused == 0 || read == 0 {
		t.Errorf("%d were refused and %d read: the damage is none, or too much", refused, read)
	}
}

// childVariable is the environment variable with the gallery of TestChildEnrolls.
const childVariable = "LIKENESS_GALLERY_CHILD"

// TestChildEnrolls is the program of a child process: it opens or creates a gallery, enrolls
// in an endless loop, and prints each class after its enrollment.
func TestChildEnrolls(t *testing.T) {
	path := os.Getenv(childVariable)
	if path == "" {
		t.Skip("it is run by TestKilledWhileEnrolling")
	}
	model := plainModel(t, heads.L2{}, 3)
	g, err := gallery.Open(path, model, gallery.Options{})
	if errors.Is(err, os.ErrNotExist) {
		g, err = gallery.Create(path, model, gallery.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := g.Len(); ; i++ {
		class := fmt.Sprint("class ", i)
		if err := g.Enroll(class, grays(uint8(i), uint8(i>>8), 7)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("enrolled", class)
	}
}

// A process is killed repeatedly while it enrolls; all examples that it acknowledged are in
// the gallery afterwards.
func TestKilledWhileEnrolling(t *testing.T) {
	kills := 4
	if testutil.Long() {
		kills = 100
	}
	path := testutil.NewGallery(t, t.TempDir(), "test.gallery")
	var acknowledged []string
	for kill := range kills {
		// After different numbers of enrollments, to kill it at different moments.
		acknowledged = append(acknowledged, killedAfter(t, path, 1+7*kill%20)...)
		check(t, path, acknowledged)
	}
}

// killedAfter starts the child, kills it after the given number of acknowledged enrollments,
// and returns all that it acknowledged.
func killedAfter(t *testing.T, path string, count int) (acknowledged []string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildEnrolls$", "-test.v")
	child.Env = append(os.Environ(), childVariable+"="+path)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if class, found := strings.CutPrefix(lines.Text(), "enrolled "); found {
			acknowledged = append(acknowledged, class)
		}
		if len(acknowledged) == count {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(acknowledged) < count {
		t.Fatalf("the child acknowledged %d enrollments and ended by itself:\n%s", len(acknowledged), &said)
	}
	return acknowledged
}

// check opens the gallery and checks that it has the classes.
func check(t *testing.T, path string, classes []string) {
	t.Helper()
	g, err := gallery.Open(path, plainModel(t, heads.L2{}, 3), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	for _, class := range classes {
		var i int
		if _, err := fmt.Sscanf(class, "class %d", &i); err != nil {
			t.Fatal(err)
		}
		found, err := g.Verify(class, grays(uint8(i), uint8(i>>8), 7))
		if err != nil || found.Distance != 0 {
			t.Errorf("%s, which was acknowledged, is at %v: %v", class, found.Distance, err)
		}
	}
	// The enrollment during the kill may have succeeded, too.
	if g.Len() < len(classes) {
		t.Errorf("%d examples are there, %d were acknowledged", g.Len(), len(classes))
	}
}

// After an interrupted creation the gallery does not exist and can be created.
func TestInterruptedCreation(t *testing.T) {
	folder := t.TempDir()
	left := filepath.Join(folder, ".test.gallery.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp")
	if err := os.WriteFile(left, make([]byte, 4096), 0o666); err != nil {
		t.Fatal(err)
	}
	path, model := filepath.Join(folder, "test.gallery"), plainModel(t, heads.L2{}, 3)
	if _, err := gallery.Open(path, model, gallery.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found error %v, expected that there is none", err)
	}
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeGallery(t, g)
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("found %v (%v), expected the gallery and what was there before", entries, err)
	}
}
