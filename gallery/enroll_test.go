package gallery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

var ctx = context.Background()

// The sources and times of examples are stored in the file.
func TestSourcesAndTimes(t *testing.T) {
	folder := t.TempDir()
	first, second := filepath.Join(folder, "first.png"), filepath.Join(folder, "second.png")
	writePNG(t, grays(10, 20), first)
	writePNG(t, grays(30, 40), second)
	g := create(t, plainModel(t, heads.L2{}, 2), gallery.Options{})
	before := time.Now()
	if err := g.EnrollFiles(ctx, "a", first, second); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	enroll(t, g, "a", grays(50, 60))
	again := reopen(t, g, gallery.Options{})
	for _, g := range readable(g, again) {
		examples, err := g.Examples("a")
		if err != nil {
			t.Fatal(err)
		}
		var sources []string
		for _, e := range examples {
			sources = append(sources, e.Source)
		}
		if diff := cmp.Diff([]string{first, second, ""}, sources); diff != "" {
			t.Errorf("sources (-want +got):\n%s", diff)
		}
		for _, e := range examples[:2] {
			if e.Time.Before(before) || e.Time.After(after) || e.Time.Location() != time.UTC {
				t.Errorf("time %v is not between %v and %v in UTC", e.Time, before, after)
			}
		}
	}
	if found := identify(t, again, grays(29, 40), 1); found.Candidates[0].Example.Source != second {
		t.Errorf("the nearest example is %+v, want that of %s", found.Candidates[0], second)
	}
}

// A folder is enrolled by its subfolders, including nested ones.
func TestEnrollFolder(t *testing.T) {
	folder := t.TempDir()
	writePNG(t, grays(10), folder, "dark", "1.png")
	writePNG(t, grays(20), folder, "dark", "2.png")
	writePNG(t, grays(200), folder, "light", "1.png")
	writePNG(t, grays(100), folder, "Greek", "alpha", "1.png")
	writePNG(t, grays(110), folder, ".hidden", "1.png")
	if err := os.WriteFile(filepath.Join(folder, "dark", "notes.txt"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	classes, examples, err := g.EnrollFolder(ctx, folder)
	if err != nil || classes != 3 || examples != 4 {
		t.Fatalf("enrolled %d examples of %d classes: %v", examples, classes, err)
	}
	want := []gallery.Class{{Name: "Greek/alpha", Examples: 1}, {Name: "dark", Examples: 2}, {Name: "light", Examples: 1}}
	if diff := cmp.Diff(want, g.Classes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found := identify(t, g, grays(22), 1); found.Candidates[0].Class != "dark" {
		t.Errorf("found %+v", found)
	}
}

// A failed enrollment enrolls nothing and names the image or the class.
func TestEnrollRefusals(t *testing.T) {
	folder := t.TempDir()
	good, broken := filepath.Join(folder, "a", "1.png"), filepath.Join(folder, "b", "2.png")
	writePNG(t, grays(10), good)
	writePNG(t, grays(10), broken)
	if err := os.WriteFile(broken, []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	outside, empty := t.TempDir(), t.TempDir()
	writePNG(t, grays(10), outside, "1.png")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	enrollFolder := func(path string) error { _, _, err := g.EnrollFolder(ctx, path); return err }
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"no images":       {g.Enroll("a"), `class "a": found no images`},
		"no files":        {g.EnrollFiles(ctx, "a"), `class "a": found no images`},
		"no name":         {g.Enroll("", grays(1)), `invalid class name "": found an empty name`},
		"odd name":        {g.Enroll("\xff", grays(1)), `invalid class name "\xff": found bytes that are not UTF-8`},
		"no pixels":       {g.Enroll("a", grays(1), nil), "image 1 has no pixels"},
		"broken file":     {g.EnrollFiles(ctx, "a", good, broken), broken},
		"missing file":    {g.EnrollFiles(ctx, "a", good, filepath.Join(folder, "3.png")), "3.png"},
		"broken folder":   {enrollFolder(folder), broken},
		"image outside":   {enrollFolder(outside), filepath.Join(outside, "1.png")},
		"empty folder":    {enrollFolder(empty), "a subfolder of images for each class"},
		"missing folder":  {enrollFolder(filepath.Join(folder, "c")), "no such file"},
		"context at once": {g.EnrollFiles(ended, "a", good), "no image was enrolled: context canceled"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.says) || !strings.Contains(test.err.Error(), g.Path()) {
			t.Errorf("%s: found error %v", name, test.err)
		}
	}
	if g.Len() != 0 || len(g.Classes()) != 0 || reopen(t, g, gallery.Options{}).Len() != 0 {
		t.Error("a refused enrollment left something behind")
	}
}

// With SkipBroken the files that can be read are enrolled, with their own classes, and the
// others are listed.
func TestEnrollSkipsBroken(t *testing.T) {
	folder := t.TempDir()
	for i, class := range []string{"a", "a", "b", "c"} {
		writePNG(t, grays(uint8(60*i)), folder, class, fmt.Sprintf("%d.png", i))
	}
	broken, gone := filepath.Join(folder, "a", "0.png"), filepath.Join(folder, "b", "2.png")
	if err := os.WriteFile(broken, []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	found, err := imaging.Find(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil { // after it was found
		t.Fatal(err)
	}
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{SkipBroken: true})
	classes, examples, err := g.EnrollFound(ctx, folder, found)
	if err != nil || classes != 2 || examples != 2 {
		t.Fatalf("enrolled %d examples of %d classes: %v", examples, classes, err)
	}
	if diff := cmp.Diff([]gallery.Class{{Name: "a", Examples: 1}, {Name: "c", Examples: 1}}, g.Classes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	skipped := g.Skipped()
	if len(skipped) != 2 || !strings.Contains(skipped[0], broken) || !strings.Contains(skipped[1], gone) {
		t.Errorf("skipped %q", skipped)
	}
	if err := g.EnrollFiles(ctx, "d", broken, gone); err == nil || !strings.Contains(err.Error(), "none of 2 files") {
		t.Errorf("found error %v", err)
	}
}

// A forgotten class is not found any more, also after the gallery is opened again, and the
// other classes do not change.
func TestForget(t *testing.T) {
	for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
		g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{Rule: rule})
		enroll(t, g, "dark", grays(10))
		enroll(t, g, "light", grays(200))
		enroll(t, g, "middle", grays(100))
		enroll(t, g, "dark", grays(12))
		if examples, err := g.Forget("dark"); err != nil || examples != 2 {
			t.Fatalf("forgot %d examples: %v", examples, err)
		}
		if _, err := g.Forget("dark"); !errors.Is(err, gallery.ErrUnknownClass) {
			t.Errorf("forget again: found error %v", err)
		}
		check := func(g *gallery.Gallery, want map[string]float64) {
			t.Helper()
			if diff := cmp.Diff(want, distances(identify(t, g, grays(10), 5)), rounding); diff != "" {
				t.Errorf("%s (-want +got):\n%s", rule, diff)
			}
		}
		check(g, map[string]float64{"middle": 90, "light": 190})
		g = reopen(t, g, gallery.Options{})
		check(g, map[string]float64{"middle": 90, "light": 190})
		enroll(t, g, "dark", grays(14))
		enroll(t, g, "light", grays(202))
		check(g, map[string]float64{"middle": 90, "light": map[gallery.Rule]float64{gallery.Nearest: 190, gallery.Prototype: 191}[rule], "dark": 4})
		if examples, err := g.Examples("dark"); err != nil || len(examples) != 1 {
			t.Errorf("examples of what was forgotten and enrolled again: %v, %v", examples, err)
		}
	}
}

// With many classes an error lists some of them.
func TestUnknownAmongMany(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	if _, err := g.Examples("a"); err == nil || !strings.Contains(err.Error(), `unknown class "a". The gallery has no classes`) {
		t.Errorf("among none: found error %v", err)
	}
	for i := range byte(30) {
		enroll(t, g, "class "+string('a'+rune(i)), grays(i))
	}
	_, err := g.Examples("klass b")
	if err == nil || !strings.Contains(err.Error(), `did you mean "class b"? The classes are class a, `) || !strings.Contains(err.Error(), "and 20 more") {
		t.Errorf("among many: found error %v", err)
	}
	if !slices.IsSortedFunc(g.Classes(), func(a, b gallery.Class) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the classes are not in order")
	}
}

// odd lists names that no new class may have, with a part of the error.
var odd = map[string]string{
	"":              "an empty name",
	" \t":           "an empty name",
	"\xff":          "not UTF-8",
	"a\xc3":         "not UTF-8",
	"a\xed\xa0\x80": "not UTF-8", // a surrogate
	"caf\ufffd":     "U+FFFD",
	"a\nb":          "U+000A",
	"a\rb":          "U+000D",
	"a\x00":         "U+0000",
	"\x1b[2Ja":      "U+001B",
	"a\u0085b":      "U+0085",
	"a\u2028b":      "U+2028",
	"a\u2029b":      "U+2029",
	"\u202egnp":     "U+202E",
	"a\u2066b":      "U+2066",
	"a\u200fb":      "U+200F",
	"a\u061cb":      "U+061C",
	"\u200b":        "only invisible characters",
	"\ufeff\u2060":  "only invisible characters",
	"\u115f\u1160":  "only invisible characters",
	"\u3164":        "only invisible characters",
	"\uffa0 \u00ad": "only invisible characters",
	" a":            "white space",
	"a\u00a0":       "white space",
	".":             "URL path",
	"..":            "URL path",
	"/":             "URL path",
}

// Invalid names are errors of all methods that create classes; names in any language are
// valid.
func TestClassNames(t *testing.T) {
	folder := t.TempDir()
	writePNG(t, grays(1), folder, "1.png")
	file := filepath.Join(folder, "1.png")
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	for name, says := range odd {
		for way, err := range map[string]error{
			"check":      gallery.CheckClassName(name),
			"images":     g.Enroll(name, grays(1)),
			"files":      g.EnrollFiles(ctx, name, file),
			"embeddings": g.EnrollEmbeddings(name, []float32{1}),
		} {
			if !errors.Is(err, gallery.ErrClassName) || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n\x1b\u202e") {
				t.Errorf("%+q by %s: found error %v", name, way, err)
			}
		}
	}
	if g.Len() != 0 {
		t.Errorf("%d examples are enrolled", g.Len())
	}
	for _, name := range []string{"alice", "Greek/alpha", "Åse Ødegård", "山田 太郎", "שלום", "می\u200cخواهم", `a\nb`, "👩\u200d👧", "...", "a."} {
		enroll(t, g, name, grays(1))
	}
}

// A folder with an invalid class name is an error that names the image.
func TestEnrollFolderWithInvalidName(t *testing.T) {
	folder := t.TempDir()
	writePNG(t, grays(10), folder, "a\nb", "1.png")
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{OnProgress: func(int, int) { t.Error("images were embedded") }})
	_, _, err := g.EnrollFolder(ctx, folder)
	if !errors.Is(err, gallery.ErrClassName) || !strings.Contains(err.Error(), `a\nb/1.png`) {
		t.Errorf("found error %v", err)
	}
}

// Classes with invalid names of galleries that are older than the rules for names can be
// identified, extended and forgotten; errors escape their names.
func TestOddNamesOfOldGalleries(t *testing.T) {
	testutil.NeedFile(t)
	for name := range odd {
		if name == "" || gallery.CheckClassName(name) == nil {
			continue
		}
		g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
		enroll(t, g, "stand-in", grays(10))
		enroll(t, g, "other", grays(200))
		closeGallery(t, g)
		testutil.RenameClass(t, g.Path(), "stand-in", name)
		g = reopen(t, g, gallery.Options{})
		kept := g.Classes()[0].Name // JSON has made U+FFFD of what is not UTF-8
		if kept == "other" {
			kept = g.Classes()[1].Name
		}
		if utf8.ValidString(name) && kept != name {
			t.Errorf("found class %q, want %q", kept, name)
		}
		if found := identify(t, g, grays(11), 1); found.Candidates[0].Class != kept {
			t.Errorf("%q: found %+v", kept, found)
		}
		enroll(t, g, kept, grays(12))
		if _, err := g.Verify("nobody", grays(1)); err == nil || wording.Printable(err.Error()) != err.Error() {
			t.Errorf("%q: found error %v", kept, err)
		}
		if examples, err := g.Forget(kept); err != nil || examples != 2 || len(g.Classes()) != 1 {
			t.Errorf("%q: forgot %d examples: %v", kept, examples, err)
		}
		if err := g.Enroll(kept, grays(1)); !errors.Is(err, gallery.ErrClassName) {
			t.Errorf("%q: enrolled again: found error %v", kept, err)
		}
	}
}

// Paths that are not UTF-8 are stored without a change.
func TestSourcesAreBytes(t *testing.T) {
	folder := t.TempDir()
	paths := []string{filepath.Join(folder, "caf\xe8.png"), filepath.Join(folder, "caf\xe9.png"), filepath.Join(folder, "caf\ufffd.png")}
	for _, path := range paths {
		writePNG(t, grays(10), path)
	}
	g, err := gallery.Create(testutil.NewGallery(t, folder, "g\xe9.gallery"), plainModel(t, heads.L1{}, 1), gallery.Options{ModelName: "runs/mod\xe9le"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.EnrollFiles(ctx, "a", paths...); err != nil {
		t.Fatal(err)
	}
	examples, err := reopen(t, g, gallery.Options{}).Examples("a")
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		if examples[i].Source != path {
			t.Errorf("found source %q, want %q", examples[i].Source, path)
		}
	}
}

func TestModelNamesAreBytes(t *testing.T) {
	for _, name := range []string{"runs/mod\xe9le", "runs/modèle", "runs/a\nb"} {
		g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{ModelName: name})
		closeGallery(t, g)
		if d, err := gallery.Describe(g.Path()); err != nil || d.ModelName != name {
			t.Errorf("found %q (%v), want %q", d.ModelName, err, name)
		}
	}
}

// A gallery gives the same results for embeddings as for images.
func TestEmbeddingsOrImages(t *testing.T) {
	model := plainModel(t, heads.L1{}, 2)
	byImage, byEmbedding := create(t, model, gallery.Options{}), create(t, model, gallery.Options{})
	enroll(t, byImage, "dark", grays(0, 10), grays(5, 5))
	enroll(t, byImage, "bright", grays(200, 250))
	for class, embeddings := range map[string][][]float32{"dark": {{0, 10}, {5, 5}}, "bright": {{200, 250}}} {
		if err := byEmbedding.EnrollEmbeddings(class, embeddings...); err != nil {
			t.Fatal(err)
		}
	}
	want := distances(identify(t, byImage, grays(10, 10), 2))
	found, err := byEmbedding.IdentifyEmbeddings([][]float32{{10, 10}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, distances(found[0])); diff != "" {
		t.Errorf("identify (-images +embeddings):\n%s", diff)
	}
	verified, err := byEmbedding.VerifyEmbedding("bright", []float32{201, 248})
	if err != nil || verified.Distance != 3 {
		t.Errorf("verify: found %+v, %v, want the distance 3", verified, err)
	}
}

// Embeddings that are not of the model are errors and are not stored.
func TestEmbeddingsAreChecked(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 2), gallery.Options{})
	enroll(t, g, "dark", grays(0, 10))
	if err := g.EnrollEmbeddings("short", []float32{1, 2}, []float32{1}); err == nil {
		t.Error("an embedding of one feature is enrolled")
	}
	if err := g.EnrollEmbeddings("none"); err == nil {
		t.Error("a class without embeddings is enrolled")
	}
	if _, err := g.IdentifyEmbeddings([][]float32{{1}}, 1); err == nil {
		t.Error("an embedding of one feature is identified")
	}
	if _, err := g.IdentifyEmbeddings([][]float32{{1, 2}}, 0); err == nil {
		t.Error("no candidates are given for an answer")
	}
	if _, err := g.VerifyEmbedding("dark", []float32{1}); err == nil {
		t.Error("an embedding of one feature is verified")
	}
	if _, err := g.VerifyEmbedding("light", []float32{1, 2}); !errors.Is(err, gallery.ErrUnknownClass) {
		t.Errorf("found %v, want ErrUnknownClass", err)
	}
	if g.Len() != 1 {
		t.Errorf("%d examples are left, want 1", g.Len())
	}
}

// The progress of enrolling counts embedded files; that of calibrating counts each image
// twice, when it is embedded and when it is compared.
func TestProgress(t *testing.T) {
	var told [][2]int
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{OnProgress: func(done, total int) { told = append(told, [2]int{done, total}) }})
	folder := t.TempDir()
	for i := range 70 {
		writePNG(t, grays(uint8(i)), folder, "a", string('0'+rune(i))+".png")
	}
	if _, _, err := g.EnrollFolder(context.Background(), folder); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]int{{64, 70}, {70, 70}}, told); diff != "" {
		t.Errorf("enrolling (-want +found):\n%s", diff)
	}
	told = nil
	if _, err := g.Calibrate(steps(), 0.3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]int{{10, 20}, {20, 20}}, told); diff != "" {
		t.Errorf("calibrating (-want +found):\n%s", diff)
	}
}
