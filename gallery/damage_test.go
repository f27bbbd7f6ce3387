package gallery_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// A file of which a part is lost or other bytes were written over is refused, or
// read as it was where that part is not in use: never read otherwise, and nothing
// panics.
func TestDamagedFile(t *testing.T) {
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
		// What is not in use may be damaged, and is found out when it is used.
		if err := opened.Enroll("another", noise(8, 6)); err != nil && !errors.Is(err, gallery.ErrDamaged) {
			t.Errorf("trial %d: found error %v", trial, err)
		}
		closeGallery(t, opened)
	}
	if refused == 0 || read == 0 {
		t.Errorf("%d were refused and %d read: the damage is none, or too much", refused, read)
	}
}
