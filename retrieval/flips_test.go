package retrieval_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
)

// flipped returns a collection of random embeddings in all symmetries.
func flipped(t *testing.T, rows, columns int, metric evaluate.Metric) *retrieval.Collection {
	t.Helper()
	r := random.New(3, "flipped")
	c := &retrieval.Collection{Metric: metric}
	for range imaging.Symmetries {
		data := make([]float32, rows*columns)
		for i := range data {
			data[i] = r.Float32()
		}
		embeddings, err := evaluate.NewEmbeddings(rows, columns, data)
		if err != nil {
			t.Fatal(err)
		}
		c.Flips = append(c.Flips, embeddings)
	}
	c.Embeddings = c.Flips[imaging.Unchanged]
	return c
}

// Near finds the same pairs as loops over the images and the symmetries. In the other order
// of the images, pairs have the same distances and the inverse symmetries.
func TestNearWithFlipsAgainstLoops(t *testing.T) {
	for name, metric := range metrics {
		c := flipped(t, 150, 4, metric) // two strips of tiles
		rows := c.Embeddings.Rows
		var all []retrieval.NearPair
		for a := range rows {
			for b := a + 1; b < rows; b++ {
				best := retrieval.NearPair{A: a, B: b, Distance: math.Inf(1)}
				for s := range imaging.Symmetry(imaging.Symmetries) {
					d := distance(t, metric, c.Flips[s].Row(a), c.Embeddings.Row(b))
					if s != imaging.Unchanged {
						d = (d + distance(t, metric, c.Embeddings.Row(a), c.Flips[s.Inverse()].Row(b))) / 2
					}
					if d < best.Distance {
						best.Distance, best.Symmetry = d, s
					}
				}
				all = append(all, best)
			}
		}
		slices.SortStableFunc(all, func(x, y retrieval.NearPair) int { return cmp.Compare(x.Distance, y.Distance) })
		threshold := all[500].Distance
		want := slices.DeleteFunc(slices.Clone(all), func(p retrieval.NearPair) bool { return p.Distance > threshold })
		found := map[imaging.Symmetry]bool{}
		for _, p := range want {
			found[p.Symmetry] = true
		}
		if len(found) != imaging.Symmetries {
			t.Errorf("%s: the pairs have %d symmetries, expected all", name, len(found))
		}
		got, err := c.Near(t.Context(), threshold, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %d pairs (-want +got):\n%s", name, len(got), diff)
		}

		reversed := make([]int, rows)
		for i := range reversed {
			reversed[i] = rows - 1 - i
		}
		other := &retrieval.Collection{Metric: metric}
		for _, embeddings := range c.Flips {
			other.Flips = append(other.Flips, embeddings.Select(reversed))
		}
		other.Embeddings = other.Flips[imaging.Unchanged]
		pairs, err := other.Near(t.Context(), threshold, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range pairs {
			pairs[i] = retrieval.NearPair{A: rows - 1 - p.B, B: rows - 1 - p.A, Distance: p.Distance, Symmetry: p.Symmetry.Inverse()}
		}
		inOrder := func(x, y retrieval.NearPair) int {
			return cmp.Or(cmp.Compare(x.Distance, y.Distance), x.A-y.A, x.B-y.B)
		}
		slices.SortFunc(pairs, inOrder)
		slices.SortFunc(got, inOrder)
		if diff := gocmp.Diff(got, pairs); diff != "" {
			t.Errorf("%s, in the other order (-want +got):\n%s", name, diff)
		}
	}
}

// Flips that do not fit the embeddings are an error.
func TestFlipsThatDoNotFit(t *testing.T) {
	c := flipped(t, 5, 2, euclidean)
	few := *c
	few.Flips = few.Flips[:3]
	if _, err := few.Near(t.Context(), 1, nil); err == nil || !strings.Contains(err.Error(), "3 symmetries, expected none or 8") {
		t.Errorf("found error %v", err)
	}
	for name, wrong := range map[string]evaluate.Embeddings{"shorter": {Rows: 4, Columns: 2, Data: make([]float32, 8)}, "narrower": {Rows: 5, Columns: 1, Data: make([]float32, 5)}, "lacking": {Rows: 5, Columns: 2}} {
		other := *c
		other.Flips = slices.Clone(c.Flips)
		other.Flips[imaging.FlipTopBottom] = wrong
		if _, err := other.Near(t.Context(), 1, nil); err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
}

// A member of a group says how it is made of the one before it, whichever is first in a pair.
func TestSymmetriesOfGroups(t *testing.T) {
	groups := retrieval.Groups([]retrieval.NearPair{
		{A: 1, B: 3, Distance: 0.1, Symmetry: imaging.Rotate90},
		{A: 0, B: 3, Distance: 0.2, Symmetry: imaging.Rotate90}, // 0 is 3 rotated back
		{A: 3, B: 4, Distance: 0.3, Symmetry: imaging.Rotate270},
	})
	want := []retrieval.Group{{
		{Image: 1, Nearest: 1}, {Image: 3, Nearest: 1, Distance: 0.1, Symmetry: imaging.Rotate90},
		{Image: 0, Nearest: 3, Distance: 0.2, Symmetry: imaging.Rotate270}, {Image: 4, Nearest: 3, Distance: 0.3, Symmetry: imaging.Rotate270},
	}}
	if diff := gocmp.Diff(want, groups); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// flag has no symmetry.
var flag drawing = func(x, y float64) bool {
	return onLine(x, y, 0.3, 0.2, 0.3, 0.8) || onLine(x, y, 0.3, 0.2, 0.75, 0.2) || onLine(x, y, 0.3, 0.45, 0.6, 0.45)
}

// turned writes an image in all symmetries, in their order.
func turned(t *testing.T, folder string, img *image.Gray) (files []string) {
	t.Helper()
	size := imaging.Size{Height: img.Rect.Dy(), Width: img.Rect.Dx(), Channels: 1}
	for s := range imaging.Symmetry(imaging.Symmetries) {
		width, height := size.Width, size.Height
		if s.Exchanges() {
			width, height = height, width
		}
		changed := &image.Gray{Pix: s.Apply(img.Pix, size), Stride: width, Rect: image.Rect(0, 0, width, height)}
		files = append(files, write(t, folder, fmt.Sprintf("%d.png", s), asPNG(t, changed)))
		age(t, files[s])
	}
	return files
}

// All flipped and rotated copies of a drawing are found, with the symmetry that they have;
// without Flips, none is.
func TestNearFindsFlippedCopies(t *testing.T) {
	folder, model := t.TempDir(), characterModel(t)
	files := turned(t, folder, flag.on(105, 0, 0))
	near := func(o retrieval.Options) []retrieval.NearPair {
		pairs, err := embed(t, model, files, o).Near(t.Context(), 0.01, nil)
		if err != nil {
			t.Fatal(err)
		}
		return pairs
	}
	if pairs := near(retrieval.Options{}); len(pairs) > 0 {
		t.Errorf("without Flips found %v", pairs)
	}
	pairs := near(retrieval.Options{Flips: true})
	if want := len(files) * (len(files) - 1) / 2; len(pairs) != want {
		t.Errorf("found %d pairs, expected %d", len(pairs), want)
	}
	size := imaging.Size{Height: 3, Width: 3, Channels: 1}
	pixels := []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, p := range pairs {
		a, b := imaging.Symmetry(p.A).Apply(pixels, size), imaging.Symmetry(p.B).Apply(pixels, size)
		if !slices.Equal(p.Symmetry.Apply(a, size), b) {
			t.Errorf("%v of an image that is %v is said to be %v", imaging.Symmetry(p.B), imaging.Symmetry(p.A), p.Symmetry)
		}
	}
}

// The embeddings in a symmetry are those of the image to which it was applied before it was
// resized, for a model of images that are not square, too.
func TestFlipsAreEmbeddingsOfFlippedImages(t *testing.T) {
	network := backbone.LeNet(imaging.Size{Height: 20, Width: 32, Channels: 1}, 6, 8)
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	img := image.NewGray(image.Rect(0, 0, 160, 160)) // a multiple of both sides
	for i := range img.Pix {
		img.SetGray(i%160, i/160, color.Gray{Y: uint8(i/160 + i*i%97)})
	}
	for name, model := range map[string]*likeness.Model{"not square": model, "square, cropped": characterModel(t)} {
		files := turned(t, t.TempDir(), img)
		c := embed(t, model, files, retrieval.Options{Flips: true})
		if diff := gocmp.Diff(c.Embeddings, c.Flips[imaging.Unchanged]); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
		for s, embeddings := range c.Flips {
			for i, v := range c.Embeddings.Row(s) {
				if math.Abs(float64(v-embeddings.Row(0)[i])) > 1e-4 {
					t.Errorf("%s, %v: value %d is %v, expected %v", name, imaging.Symmetry(s), i, embeddings.Row(0)[i], v)
					break
				}
			}
		}
	}
}

// Where the cache has lost the embeddings of some symmetries, these are computed again.
func TestFlipsPartlyInTheCache(t *testing.T) {
	folder, model := t.TempDir(), characterModel(t)
	files := images(t, folder, 1)
	want := embed(t, model, files, retrieval.Options{Flips: true})
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	source, err := cache.SourceOf(files[0])
	if err != nil {
		t.Fatal(err)
	}
	computation, err := cache.ComputationOf(model, likeness.TTA{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range [][]imaging.Symmetry{{}, {imaging.Unchanged}, {imaging.Transverse}, {imaging.Unchanged, imaging.Transverse}, {imaging.Rotate90}} {
		c := openCache(t, filepath.Join(folder, fmt.Sprintf("%v.db", kept)), cache.Options{})
		for _, s := range kept {
			c.Store(cache.Record{Source: source, Hash: sha256.Sum256(content), Computation: computation.Of(s), Batch: 1, Embedding: want.Flips[s].Row(0)})
		}
		for run, cached := range []int{0, 1} {
			got := embed(t, model, files, retrieval.Options{Flips: true, Cache: c})
			if diff := gocmp.Diff(want.Flips, got.Flips); diff != "" || got.Cached != cached {
				t.Errorf("with %v, run %d: %d files are from the cache (-want +got):\n%s", kept, run, got.Cached, diff)
			}
		}
	}
}

// Embeddings of all symmetries are in the cache, those of unchanged images under the keys that
// they have without Flips, and have the same bits from there.
func TestFlipsInTheCache(t *testing.T) {
	folder, model := t.TempDir(), characterModel(t)
	files := images(t, folder, 11) // a batch of eight and three of one image
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	plain := embed(t, model, files, retrieval.Options{Cache: c})
	want := embed(t, model, files, retrieval.Options{Flips: true})
	expectSame(t, "unchanged", plain, want)
	for i, test := range []struct{ files, cached int }{{3, 0}, {11, 0}, {11, 11}} {
		want := want
		if test.files < len(files) {
			want = embed(t, model, files[:test.files], retrieval.Options{Flips: true})
		}
		got := embed(t, model, files[:test.files], retrieval.Options{Flips: true, Cache: c})
		if got.Cached != test.cached {
			t.Errorf("run %d: %d files are from the cache, expected %d", i, got.Cached, test.cached)
		}
		expectSame(t, fmt.Sprintf("run %d", i), want, got)
		if diff := gocmp.Diff(want.Flips, got.Flips); diff != "" {
			t.Errorf("run %d: the embeddings of flipped images differ", i)
		}
	}
	if got := embed(t, model, files, retrieval.Options{Cache: c}); got.Cached != len(files) || len(got.Flips) != 0 {
		t.Errorf("without Flips: %d files are from the cache, and %d symmetries", got.Cached, len(got.Flips))
	}
	empty := openCache(t, filepath.Join(folder, "empty.db"), cache.Options{})
	embed(t, model, files, retrieval.Options{Flips: true, Cache: empty})
	if got := embed(t, model, files, retrieval.Options{Cache: empty}); got.Cached != len(files) {
		t.Errorf("without Flips after Flips: %d files are from the cache", got.Cached)
	}
}
