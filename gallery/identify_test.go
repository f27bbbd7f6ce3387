package gallery_test

import (
	"compress/gzip"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
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

// indexed writes the fixture of a gallery of an earlier version, crowd with an approximate
// index, and returns its path.
func indexed(t *testing.T) string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "indexed.gallery.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "indexed.gallery")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// inFile calls a function with the index in a file that is not open, or nil.
func inFile(t *testing.T, path string, change func(bucket *bolt.Bucket) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o666, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket([]byte("index"))) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file of an earlier version with an index, even with a damaged one, is searched exactly,
// and the next change removes the index.
func TestOldIndex(t *testing.T) {
	testutil.NeedFile(t)
	exact := crowd(t, gallery.Options{})
	for name, damage := range map[string]func(bucket *bolt.Bucket) error{
		"as it was": func(*bolt.Bucket) error { return nil },
		"a bit": func(bucket *bolt.Bucket) error {
			key, value := bucket.Cursor().First()
			value = slices.Clone(value)
			value[len(value)/2] ^= 1
			return bucket.Put(key, value)
		},
		"no part": func(bucket *bolt.Bucket) error { return bucket.Put([]byte("x"), nil) },
	} {
		path, has := indexed(t), false
		inFile(t, path, damage)
		check := func(o gallery.Options) *gallery.Gallery {
			t.Helper()
			g, err := gallery.Open(path, exact.Model(), o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if g.Len() != exact.Len() {
				t.Errorf("%s: found %d examples, expected %d", name, g.Len(), exact.Len())
			}
			for seed := range uint64(10) {
				found, want := identify(t, g, noise(seed, 6), 5), identify(t, exact, noise(seed, 6), 5)
				if diff := cmp.Diff(want, found, cmpopts.IgnoreFields(gallery.Example{}, "Time")); diff != "" || found.Approximate {
					t.Fatalf("%s: image %d (-want +found):\n%s", name, seed, diff)
				}
			}
			return g
		}
		closeGallery(t, check(gallery.Options{ReadOnly: true}))
		closeGallery(t, check(gallery.Options{}))
		look := func(bucket *bolt.Bucket) error { has = bucket != nil; return nil }
		if inFile(t, path, look); !has {
			t.Errorf("%s: opening removed the index, expected no change", name)
		}
		g := check(gallery.Options{})
		enroll(t, g, "late", noise(3, 6))
		if found := identify(t, g, noise(3, 6), 1); found.Candidates[0].Distance != 0 {
			t.Errorf("%s: found %+v, expected the new example", name, found)
		}
		closeGallery(t, g)
		if inFile(t, path, look); has {
			t.Errorf("%s: enrolling left the index in the file", name)
		}
	}
}
