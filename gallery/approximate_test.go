package gallery_test

import (
	"context"
	"image"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// noise is an image of one row of random greys.
func noise(seed uint64, pixels int) image.Image {
	chance := random.New(seed, "noise")
	values := make([]uint8, pixels)
	for i := range values {
		values[i] = uint8(chance.IntN(256))
	}
	return greys(values...)
}

// crowd is a gallery of 40 classes of five examples each.
func crowd(t *testing.T, o gallery.Options) *gallery.Gallery {
	t.Helper()
	g := create(t, plainModel(t, heads.L2{}, 6), o)
	for class := range uint64(40) {
		var images []image.Image
		for i := range uint64(5) {
			images = append(images, noise(100*class+i, 6))
		}
		enroll(t, g, "class "+string('A'+rune(class)), images...)
	}
	return g
}

// With an index the answers are those without, for so few examples, and say that
// they are approximate; also after enrolments, after something was forgotten, and
// when the gallery is opened again.
func TestIndex(t *testing.T) {
	small := gallery.Options{IndexFrom: 100}
	indexed, exact := crowd(t, small), crowd(t, gallery.Options{})
	if err := indexed.Index(ctx); err != nil {
		t.Fatal(err)
	}
	check := func(size int) {
		t.Helper()
		if indexed.Indexed() != size || exact.Indexed() != 0 {
			t.Errorf("%d examples are indexed, want %d", indexed.Indexed(), size)
		}
		for seed := range uint64(30) {
			found, want := identify(t, indexed, noise(seed, 6), 5), identify(t, exact, noise(seed, 6), 5)
			withoutTimes := cmpopts.IgnoreFields(gallery.Example{}, "Time")
			if diff := cmp.Diff(want.Candidates, found.Candidates, withoutTimes); diff != "" {
				t.Fatalf("image %d (-exact +indexed):\n%s", seed, diff)
			}
			if !found.Approximate || want.Approximate {
				t.Fatalf("image %d: approximate is %v and, exactly, %v", seed, found.Approximate, want.Approximate)
			}
		}
	}
	check(200)
	for _, g := range []*gallery.Gallery{indexed, exact} {
		enroll(t, g, "late", noise(3, 6))
		if _, err := g.Forget("class B"); err != nil {
			t.Fatal(err)
		}
	}
	check(195)
	indexed = reopen(t, indexed, small)
	check(195)
	if err := indexed.Index(ctx); err != nil {
		t.Fatal(err)
	}
	indexed = reopen(t, indexed, small)
	check(196)
}

func TestIndexRefusals(t *testing.T) {
	small := gallery.Options{IndexFrom: 1}
	signed := create(t, plainModel(t, heads.WeightedL1{Signed: true}, 1), small)
	enroll(t, signed, "a", greys(1))
	if err := signed.Index(ctx); err == nil || !strings.Contains(err.Error(), "may be negative") {
		t.Errorf("signed weights: found error %v", err)
	}
	prototypes := create(t, plainModel(t, heads.L2{}, 1), gallery.Options{IndexFrom: 1, Rule: gallery.Prototype})
	enroll(t, prototypes, "a", greys(1))
	if err := prototypes.Index(ctx); err == nil || !strings.Contains(err.Error(), "prototypes move") {
		t.Errorf("prototypes: found error %v", err)
	}
	usual := crowd(t, gallery.Options{})
	if err := usual.Index(ctx); !errors.Is(err, gallery.ErrTooSmall) || !strings.Contains(err.Error(), "found 200") {
		t.Errorf("few examples: found error %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	plain := create(t, plainModel(t, heads.L2{}, 1), small)
	enroll(t, plain, "a", greys(1))
	if err := plain.Index(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("context: found error %v", err)
	}
	for _, g := range []*gallery.Gallery{signed, prototypes, usual, plain} {
		if found := identify(t, g, noise(1, g.Model().Preprocessing.Size.Width), 1); found.Approximate || g.Indexed() != 0 {
			t.Errorf("%s is indexed all the same", g.Model().Head.Name())
		}
	}
}

// An index that cannot be read is left out; everything else is there.
func TestDamagedIndex(t *testing.T) {
	small := gallery.Options{IndexFrom: 100}
	for name, damage := range map[string]func(part []byte) []byte{
		"a bit":   func(part []byte) []byte { part[len(part)/2] ^= 1; return part },
		"no part": func([]byte) []byte { return nil },
	} {
		g := crowd(t, small)
		if err := g.Index(ctx); err != nil {
			t.Fatal(err)
		}
		closeGallery(t, g)
		db, err := bolt.Open(g.Path(), 0o666, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			bucket := tx.Bucket([]byte("index"))
			key, value := bucket.Cursor().First()
			return bucket.Put(key, damage(append([]byte{}, value...)))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		again := reopen(t, g, small)
		if found := identify(t, again, noise(1, 6), 1); again.Indexed() != 0 || found.Approximate || again.Len() != 200 {
			t.Errorf("%s: %d of %d examples are indexed", name, again.Indexed(), again.Len())
		}
	}
}
