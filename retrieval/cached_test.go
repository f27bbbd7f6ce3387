package retrieval_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

func openCache(t *testing.T, path string, o cache.Options) *cache.Cache {
	t.Helper()
	c, err := cache.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// age sets the time of the last modification of a file so far back that it is trusted.
func age(t *testing.T, path string) {
	t.Helper()
	at := time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// images writes so many different drawings that were modified long ago.
func images(t *testing.T, folder string, count int) (files []string) {
	t.Helper()
	kinds := []string{"cross", "ring", "zigzag", "comb"}
	for i := range count {
		file := write(t, folder, fmt.Sprintf("%03d.png", i), asPNG(t, drawings[kinds[i%4]].on(30+i/16, i%5-2, i/4%5-2)))
		age(t, file)
		files = append(files, file)
	}
	return files
}

// expectSame fails unless the embeddings are the same, bit for bit.
func expectSame(t *testing.T, what string, want, got *retrieval.Collection) {
	t.Helper()
	if diff := cmp.Diff(want.Files, got.Files); diff != "" {
		t.Errorf("%s: files (-want +got):\n%s", what, diff)
	}
	if want.Embeddings.Rows != got.Embeddings.Rows {
		t.Fatalf("%s: found %d embeddings, expected %d", what, got.Embeddings.Rows, want.Embeddings.Rows)
	}
	for i, v := range want.Embeddings.Data {
		if math.Float32bits(v) != math.Float32bits(got.Embeddings.Data[i]) {
			t.Fatalf("%s: value %d of the embeddings is %v, expected %v", what, i, got.Embeddings.Data[i], v)
		}
	}
}

func embed(t *testing.T, model *likeness.Model, files []string, o retrieval.Options) *retrieval.Collection {
	t.Helper()
	collection, err := retrieval.Embed(t.Context(), model, files, o)
	if err != nil {
		t.Fatal(err)
	}
	return collection
}

// Whatever part of the embeddings is in the cache, and in whatever number of images they were
// computed, the result has the bits that it has without a cache.
func TestCachedEmbeddingsHaveTheSameBits(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 75) // a batch of 64, one of 8 and three of one image
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	cached := 0
	for _, count := range []int{1, 3, 9, 40, 70, 75, 75, 66, 2} {
		want := embed(t, model, files[:count], retrieval.Options{})
		got := embed(t, model, files[:count], retrieval.Options{Cache: c})
		expectSame(t, fmt.Sprintf("%d files", count), want, got)
		if want.Cached != 0 {
			t.Errorf("%d embeddings are from a cache that was not given", want.Cached)
		}
		cached += got.Cached
	}
	if all := embed(t, model, files, retrieval.Options{Cache: c}); all.Cached != len(files) || cached == 0 {
		t.Errorf("%d of %d embeddings are from the cache, and %d before", all.Cached, len(files), cached)
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// The second run reads no image: their content could not be decoded.
func TestCachedFilesAreNotRead(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 10)
	path := filepath.Join(folder, "embeddings.db")
	c := openCache(t, path, cache.Options{})
	want := embed(t, model, files, retrieval.Options{Cache: c})
	if want.Cached != 0 {
		t.Errorf("an empty cache has %d embeddings", want.Cached)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := os.OpenFile(file, os.O_WRONLY, 0) // in place: the inode stays
		if err != nil {
			t.Fatal(err)
		}
		_, err = opened.WriteAt([]byte(strings.Repeat("x", int(info.Size()))), 0)
		if closing := opened.Close(); err != nil || closing != nil {
			t.Fatal(err, closing)
		}
		age(t, file)
	}
	if c.Close(); c.Err() != nil {
		t.Fatal(c.Err())
	}
	c = openCache(t, path, cache.Options{})
	got := embed(t, model, files, retrieval.Options{Cache: c})
	expectSame(t, "second run", want, got)
	if got.Cached != len(files) {
		t.Errorf("%d of %d embeddings are from the cache", got.Cached, len(files))
	}
	c.Close()
	c = openCache(t, path, cache.Options{Verify: true})
	if _, err := retrieval.Embed(t.Context(), model, files, retrieval.Options{Cache: c}); !errors.Is(err, retrieval.ErrBroken) || !strings.Contains(err.Error(), files[0]) {
		t.Errorf("with Verify: found %v, expected that the first file is broken", err)
	}
}

// An image under another name, a copy and one that was touched are read, but not embedded.
// One whose content changed is embedded.
func TestContentIsRecognized(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 3)
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	want := embed(t, model, files, retrieval.Options{Cache: c})
	moved, now := filepath.Join(folder, "moved.png"), time.Now()
	if err := os.Rename(files[0], moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(files[1], now, now); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	again := []string{moved, files[1], write(t, folder, "copy.png", content)}
	got := embed(t, model, again, retrieval.Options{Cache: c})
	if got.Cached != 3 {
		t.Errorf("%d of 3 embeddings are from the cache", got.Cached)
	}
	want.Files = again
	expectSame(t, "moved, touched and copied", want, got)
	write(t, folder, "copy.png", asPNG(t, drawings["ring"].on(33, 1, 1)))
	changed := embed(t, model, again, retrieval.Options{Cache: c})
	if changed.Cached != 2 {
		t.Errorf("%d embeddings are from the cache after one file changed, expected 2", changed.Cached)
	}
	expectSame(t, "changed", embed(t, model, again, retrieval.Options{}), changed)
}

// Another model, another preprocessing and test-time augmentation have embeddings of their own.
func TestComputationsAreKeptApart(t *testing.T) {
	folder := t.TempDir()
	model, other := characterModel(t), *characterModel(t)
	other.Preprocessing.Crop = &imaging.Crop{Margin: 2, MinSide: 0.5}
	files := images(t, folder, 9)
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	for name, test := range map[string]struct {
		model *likeness.Model
		tta   likeness.TTA
	}{
		"plain": {model, likeness.TTA{}}, "another crop": {&other, likeness.TTA{}},
		"affine": {model, likeness.TTA{Affine: true}}, "symmetries": {model, likeness.TTA{Symmetries: true}},
	} {
		want := embed(t, test.model, files, retrieval.Options{TTA: test.tta})
		for run, cached := range []int{0, len(files)} {
			got := embed(t, test.model, files, retrieval.Options{TTA: test.tta, Cache: c})
			expectSame(t, fmt.Sprintf("%s, run %d", name, run), want, got)
			if got.Cached != cached {
				t.Errorf("%s, run %d: %d embeddings are from the cache, expected %d", name, run, got.Cached, cached)
			}
		}
	}
	if embed(t, model, files, retrieval.Options{TTA: likeness.TTA{Affine: true}}).Embeddings.Data[0] == embed(t, model, files, retrieval.Options{}).Embeddings.Data[0] {
		t.Error("test-time augmentation changes nothing")
	}
}

// Broken files are reported in every run, and the others have the bits that they have without
// a cache.
func TestCacheWithBrokenFiles(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 12)
	for _, i := range []int{0, 5, 11} {
		write(t, folder, filepath.Base(files[i]), []byte("no image"))
		age(t, files[i])
	}
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	want := embed(t, model, files, retrieval.Options{SkipBroken: true})
	for run, cached := range []int{0, 9} {
		got := embed(t, model, files, retrieval.Options{SkipBroken: true, Cache: c})
		expectSame(t, fmt.Sprintf("run %d", run), want, got)
		if diff := cmp.Diff(want.Skipped, got.Skipped); diff != "" || got.Cached != cached {
			t.Errorf("run %d: %d embeddings are from the cache; skipped (-want +got):\n%s", run, got.Cached, diff)
		}
	}
	if _, err := retrieval.Embed(t.Context(), model, files, retrieval.Options{Cache: c}); !errors.Is(err, retrieval.ErrBroken) || !strings.Contains(err.Error(), files[0]) {
		t.Errorf("found %v, expected ErrBroken for the first file", err)
	}
	missing := filepath.Join(folder, "missing.png") // as a file that vanishes after it is found
	skipping := embed(t, model, []string{files[1], missing}, retrieval.Options{Cache: c, SkipBroken: true})
	if len(skipping.Files) != 1 || len(skipping.Skipped) != 1 || !strings.Contains(skipping.Skipped[0], missing) {
		t.Errorf("embedded %q and skipped %q", skipping.Files, skipping.Skipped)
	}
	if _, err := retrieval.Embed(t.Context(), model, []string{files[1], missing}, retrieval.Options{Cache: c}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, expected that %s does not exist", err, missing)
	}
}

// A cache that fails changes no result.
func TestFailedCache(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 5)
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	want := embed(t, model, files, retrieval.Options{Cache: c})
	c.Disable(errors.New("the disk is full"))
	got := embed(t, model, files, retrieval.Options{Cache: c})
	expectSame(t, "failed", want, got)
	if got.Cached != 0 {
		t.Errorf("a cache that failed has %d embeddings", got.Cached)
	}
}

// The result does not depend on the number of threads.
func TestEmbedOnAnyNumberOfThreads(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 140)
	want := embed(t, model, files, retrieval.Options{})
	defer graph.SetThreads(graph.Threads())
	for _, threads := range []int{1, 2, 5} {
		graph.SetThreads(threads)
		expectSame(t, fmt.Sprintf("%d threads", threads), want, embed(t, model, files, retrieval.Options{}))
	}
}
