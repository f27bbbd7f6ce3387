package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/retrieval/cache"
)

// agedBars writes a folder of images that were modified long ago.
func agedBars(t *testing.T) {
	t.Helper()
	inFolder(t)
	bars(t, "bars", 3, 4)
	at := time.Now().Add(-time.Hour)
	err := filepath.WalkDir("bars", func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			err = os.Chtimes(path, at, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The four commands share a cache, say what was in it, and have the same results without it.
func TestCacheOfEmbeddings(t *testing.T) {
	agedBars(t)
	query := bar(t, 1, 99, 12)
	write(t, "query.png", query)
	with := func(args ...string) []string {
		return append(args, "--model", "omniglot", "--cache", "kept.db")
	}
	without := func(args ...string) []string { return append(args, "--model", "omniglot", "--no-cache") }
	_, said := tool(t, with("embed", "bars", "--out", "first.csv")...)
	if strings.Contains(said, "from the cache") {
		t.Errorf("the first run finds embeddings:\n%s", said)
	}
	_, said = tool(t, with("embed", "bars", "--out", "second.csv")...)
	if !strings.Contains(said, "12 of 12 embeddings from the cache") {
		t.Errorf("the second run does not say that it found all embeddings:\n%s", said)
	}
	tool(t, without("embed", "bars", "--out", "third.csv")...)
	if first := read(t, "first.csv"); first != read(t, "second.csv") || first != read(t, "third.csv") {
		t.Error("the embeddings differ with and without the cache")
	}
	for _, args := range [][]string{
		{"search", "query.png", "--in", "bars", "--json", "--force"},
		{"near-duplicates", "bars", "--threshold", "0.1", "--json", "--force"},
	} {
		out, said := tool(t, with(args...)...)
		if !strings.Contains(said, "12 of 12 embeddings from the cache") || strings.Contains(out, "cache") {
			t.Errorf("%s: expected the count on standard error only, found\n%s%s", args[0], out, said)
		}
		if plain, said := tool(t, without(args...)...); plain != out || strings.Contains(said, "cache") {
			t.Errorf("%s: without the cache found\n%s%sexpected\n%s", args[0], plain, said, out)
		}
	}
	out, said := tool(t, with("enroll", "--folder", "bars", "--gallery", "a.gallery")...)
	if !strings.Contains(said, "12 of 12 embeddings from the cache") {
		t.Errorf("enroll: found\n%s%s", out, said)
	}
	if _, said = tool(t, with("embed", "bars", "--out", "fourth.csv", "--verify")...); !strings.Contains(said, "12 of 12 embeddings") {
		t.Errorf("with --verify, the content is not recognized:\n%s", said)
	}
	for size, text := range map[string]string{"3": `--cache-size: found "3", expected a number above 0`, "1023KiB": `--cache-size: found "1023KiB", expected at least 1 MiB`} {
		toolFails(t, failure, []string{text}, with("embed", "bars", "--out", "fifth.csv", "--cache-size", size)...)
	}
	for _, size := range []string{"1MiB", "unlimited"} {
		if _, said = tool(t, with("embed", "bars", "--out", "fifth.csv", "--cache-size", size)...); !strings.Contains(said, "12 of 12 embeddings") {
			t.Errorf("--cache-size %s: found\n%s", size, said)
		}
	}
	toolFails(t, failure, []string{"--verify", "--no-cache", "leave out one"}, without("embed", "bars", "--out", "fifth.csv", "--verify")...)
}

// The second search decodes no image of the folder: neither to embed it nor to choose the
// model and to find out whether it suits.
func TestCacheOfTraits(t *testing.T) {
	agedBars(t)
	write(t, "query.png", bar(t, 1, 99, 12))
	for _, model := range [][]string{{"--model", "omniglot"}, nil} {
		search := append([]string{"search", "query.png", "--in", "bars", "--json", "--force", "--cache", "kept.db"}, model...)
		want, _ := tool(t, search...)
		var spoiled []string
		err := filepath.WalkDir("bars", func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				spoiled = append(spoiled, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		contents := map[string]string{}
		replace := func(path, content string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil { // in place: the inode stays
				t.Fatal(err)
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range spoiled {
			contents[path] = read(t, path)
			replace(path, strings.Repeat("x", len(contents[path])))
		}
		got, said := tool(t, search...)
		if got != want {
			t.Errorf("%v: found\n%s\nexpected\n%s%s", model, got, want, said)
		}
		for path, content := range contents {
			replace(path, content)
		}
	}
}

// A cache that is locked, broken or not writable is a warning, and the results are the same.
func TestUnusableCaches(t *testing.T) {
	agedBars(t)
	tool(t, "embed", "bars", "--model", "omniglot", "--no-cache", "--out", "want.csv")
	locked, err := cache.Open("locked.db", cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	write(t, "text.db", strings.Repeat("no cache", 3000))
	write(t, "a file", "")
	for path, text := range map[string]string{
		"locked.db": "another process has the cache open", "text.db": "not a cache of a known format", ".": "not a cache",
		filepath.Join("a file", "kept.db"): "a file",
	} {
		_, said := tool(t, "embed", "bars", "--model", "omniglot", "--cache", path, "--out", "found.csv")
		if !strings.Contains(said, "warning: continuing without the cache") || !strings.Contains(said, text) || !strings.Contains(said, "--no-cache") {
			t.Errorf("%s: expected a warning that says %q, found\n%s", path, text, said)
		}
		if read(t, "found.csv") != read(t, "want.csv") {
			t.Errorf("%s: the embeddings differ", path)
		}
	}
}

// Without flags the cache is where the variable or the system says.
func TestDefaultCache(t *testing.T) {
	agedBars(t)
	t.Setenv("LIKENESS_CACHE", "mine.db")
	tool(t, "embed", "bars", "--model", "omniglot", "--out", "a.csv")
	if !exists("mine.db") {
		t.Error("LIKENESS_CACHE is not used")
	}
	folder := t.TempDir()
	os.Unsetenv("LIKENESS_CACHE")
	t.Setenv("XDG_CACHE_HOME", folder) // where os.UserCacheDir looks
	t.Setenv("HOME", folder)
	path, err := cache.DefaultPath()
	if err != nil || !strings.HasPrefix(path, folder) {
		t.Skipf("the cache of this system is %s, error %v", path, err)
	}
	tool(t, "embed", "bars", "--model", "omniglot", "--no-cache", "--out", "a.csv")
	if exists(path) {
		t.Error("--no-cache creates the cache")
	}
	tool(t, "embed", "bars", "--model", "omniglot", "--out", "a.csv")
	if !exists(path) {
		t.Errorf("%s is not created", path)
	}
}
