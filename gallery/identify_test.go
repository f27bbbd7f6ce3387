package gallery_test

import (
	"context"
	"image"
	"math"
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

// rounding is the tolerance for preprocessing in float32.
var rounding = cmpopts.EquateApprox(1e-5, 1e-4)

// By the rule Nearest the distance of a class is that of its nearest example.
func TestIdentifyByNearestExample(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 2), gallery.Options{})
	enroll(t, g, "low", grays(0, 0), grays(10, 10))
	enroll(t, g, "high", grays(200, 200))
	enroll(t, g, "mixed", grays(0, 100), grays(100, 0), grays(255, 255))

	found := identify(t, g, grays(20, 12), 5)
	want := map[string]float64{"low": 12, "mixed": 92, "high": 368}
	if diff := cmp.Diff(want, distances(found), rounding); diff != "" {
		t.Errorf("distances (-want +got):\n%s", diff)
	}
	for i, class := range []string{"low", "mixed", "high"} {
		if found.Candidates[i].Class != class {
			t.Errorf("candidate %d is %s, want %s", i, found.Candidates[i].Class, class)
		}
	}
	if two := identify(t, g, grays(20, 12), 2); !cmp.Equal(two.Candidates, found.Candidates[:2]) {
		t.Errorf("the two nearest are %v", two.Candidates)
	}
}

// By the rule Prototype the distance of a class is that of the mean of its examples; for
// the cosine distance the embeddings are normalized before.
func TestIdentifyByPrototypes(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 2), gallery.Options{Rule: gallery.Prototype})
	enroll(t, g, "low", grays(0, 0), grays(10, 20))
	enroll(t, g, "high", grays(200, 100))
	enroll(t, g, "low", grays(20, 40))
	check := func(g *gallery.Gallery) {
		t.Helper()
		found := identify(t, g, grays(10, 30), 2)
		if diff := cmp.Diff(map[string]float64{"low": 10, "high": 260}, distances(found), rounding); diff != "" || g.Rule() != gallery.Prototype {
			t.Errorf("rule %s: distances (-want +got):\n%s", g.Rule(), diff)
		}
	}
	check(g)
	check(reopen(t, g, gallery.Options{}))

	directions := create(t, plainModel(t, heads.Cosine{}, 2), gallery.Options{Rule: gallery.Prototype})
	enroll(t, directions, "both", grays(1, 0), grays(0, 200)) // whose plain mean is nearly the second
	enroll(t, directions, "first", grays(1, 0))
	found := identify(t, directions, grays(50, 50), 2)
	if diff := cmp.Diff(map[string]float64{"both": 0, "first": 1 - math.Sqrt(0.5)}, distances(found), rounding); diff != "" {
		t.Errorf("under cosine (-want +got):\n%s", diff)
	}
}

// Distances are equal to those of Model.Compare, for every head.
func TestDistancesEqualCompare(t *testing.T) {
	for _, name := range heads.Names {
		head, err := heads.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		model := plainModel(t, head, 3)
		g := create(t, model, gallery.Options{})
		enroll(t, g, "one", grays(10, 100, 200))
		enroll(t, g, "other", grays(0, 0, 0))
		for class, img := range map[string]image.Image{"one": grays(10, 100, 200), "other": grays(0, 0, 0)} {
			comparison, err := model.Compare(img, grays(30, 60, 90))
			if err != nil {
				t.Fatal(err)
			}
			if got := distances(identify(t, g, grays(30, 60, 90), 2))[class]; math.Abs(got-comparison.Distance) > 1e-6 {
				t.Errorf("%s: class %s is at %v, Compare says %v", name, class, got, comparison.Distance)
			}
		}
	}
}

// The model's threshold is used if the gallery has no calibration; without a threshold there
// is no decision.
func TestDecisions(t *testing.T) {
	model := plainModel(t, heads.L1{}, 1)
	g := create(t, model, gallery.Options{})
	enroll(t, g, "dark", grays(10))
	enroll(t, g, "light", grays(200))

	found := identify(t, g, grays(12), 1)
	verified, err := g.Verify("dark", grays(12))
	if err != nil {
		t.Fatal(err)
	}
	if found.Calibrated || found.Class() != "" || found.Candidates[0].Class != "dark" || verified.Calibrated {
		t.Errorf("without a threshold: %+v, %+v", found, verified)
	}

	threshold := 5.0
	model.Threshold = &threshold
	for value, want := range map[uint8]string{12: "dark", 16: "", 100: "", 204: "light"} {
		found := identify(t, g, grays(value), 1)
		if !found.Calibrated || found.Threshold != 5 || found.Class() != want || found.Known != (want != "") {
			t.Errorf("gray %d: %+v, want %q", value, found, want)
		}
		for _, class := range []string{"dark", "light"} {
			verified, err := g.Verify(class, grays(value))
			if err != nil {
				t.Fatal(err)
			}
			if !verified.Calibrated || verified.Class != class || verified.Same != (class == want) {
				t.Errorf("gray %d is said to be %s: %+v", value, class, verified)
			}
		}
	}
}

// IdentifyAll gives the same results as Identify.
func TestIdentifyAll(t *testing.T) {
	g := create(t, plainModel(t, heads.SquaredL2{}, 2), gallery.Options{})
	var images []image.Image
	for i := range uint8(20) {
		images = append(images, grays(12*i, i*i/2))
		enroll(t, g, string(rune('a'+i%7)), grays(11*i, 200-5*i))
	}
	all, err := g.IdentifyAll(images, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range images {
		if diff := cmp.Diff(identify(t, g, img, 3), all[i], rounding); diff != "" {
			t.Errorf("image %d (-alone +among others):\n%s", i, diff)
		}
	}
}

func TestIdentifyRefusals(t *testing.T) {
	threshold := 5.0
	model := plainModel(t, heads.L1{}, 1)
	model.Threshold = &threshold
	g := create(t, model, gallery.Options{})
	if found := identify(t, g, grays(1), 3); found.Known || !found.Calibrated || len(found.Candidates) != 0 {
		t.Errorf("in an empty gallery: %+v", found)
	}
	enroll(t, g, "dark", grays(10))
	if _, err := g.Identify(grays(1), 0); err == nil || !strings.Contains(err.Error(), "0 candidates") {
		t.Errorf("no candidates: found error %v", err)
	}
	if _, err := g.Identify(nil, 1); err == nil || !strings.Contains(err.Error(), "image 0 has no pixels") {
		t.Errorf("no image: found error %v", err)
	}
	_, err := g.Verify("darc", grays(1))
	if err == nil || !strings.Contains(err.Error(), `unknown class "darc": did you mean "dark"? The classes are dark`) || !strings.Contains(err.Error(), g.Path()) {
		t.Errorf("unknown class: found error %v", err)
	}
}

// noise returns an image of one row of random gray values.
func noise(seed uint64, pixels int) image.Image {
	chance := random.New(seed, "noise")
	values := make([]uint8, pixels)
	for i := range values {
		values[i] = uint8(chance.IntN(256))
	}
	return grays(values...)
}

// crowd returns a gallery of 40 classes with five examples each.
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

// With an index results are marked as approximate and, for so few examples, equal to those
// without; also after enrolling, after forgetting, and after the gallery is opened again.
func TestIndex(t *testing.T) {
	small := gallery.Options{IndexFrom: 100}
	indexed, exact := crowd(t, small), crowd(t, gallery.Options{})
	if err := indexed.Index(ctx); err != nil {
		t.Fatal(err)
	}
	check := func(size int) {
		t.Helper()
		if gallery.Indexed(indexed) != size || gallery.Indexed(exact) != 0 {
			t.Errorf("%d examples are indexed, want %d", gallery.Indexed(indexed), size)
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
	model := plainModel(t, heads.WeightedL1{Signed: true}, 1)
	model.Weights.Get("head.weight").Value.Data().([]float32)[0] = -1
	signed := create(t, model, small)
	enroll(t, signed, "a", grays(1))
	if err := signed.Index(ctx); err == nil || !strings.Contains(err.Error(), "may be negative") {
		t.Errorf("signed weights: found error %v", err)
	}
	prototypes := create(t, plainModel(t, heads.L2{}, 1), gallery.Options{IndexFrom: 1, Rule: gallery.Prototype})
	enroll(t, prototypes, "a", grays(1))
	if err := prototypes.Index(ctx); err == nil || !strings.Contains(err.Error(), "prototypes change") {
		t.Errorf("prototypes: found error %v", err)
	}
	usual := crowd(t, gallery.Options{})
	if err := usual.Index(ctx); !errors.Is(err, gallery.ErrTooSmall) || !strings.Contains(err.Error(), "found 200") {
		t.Errorf("few examples: found error %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	plain := create(t, plainModel(t, heads.L2{}, 1), small)
	enroll(t, plain, "a", grays(1))
	if err := plain.Index(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("context: found error %v", err)
	}
	for _, g := range []*gallery.Gallery{signed, prototypes, usual, plain} {
		if found := identify(t, g, noise(1, g.Model().Preprocessing.Size.Width), 1); found.Approximate || gallery.Indexed(g) != 0 {
			t.Errorf("%s is indexed, expected an error", g.Model().Head.Name())
		}
	}
}

// An index that cannot be read is ignored; everything else is read.
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
		if found := identify(t, again, noise(1, 6), 1); gallery.Indexed(again) != 0 || found.Approximate || again.Len() != 200 {
			t.Errorf("%s: %d of %d examples are indexed", name, gallery.Indexed(again), again.Len())
		}
	}
}
