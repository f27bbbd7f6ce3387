package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/run"
)

// idx is a packed idx file of the given sizes, its values drawn by fill.
func idx(t *testing.T, fill func(i int) byte, sizes ...uint32) []byte {
	t.Helper()
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	length := 1
	for _, size := range sizes {
		length *= int(size)
	}
	values := make([]byte, length)
	for i := range values {
		values[i] = fill(i)
	}
	for _, part := range []interface{}{uint32(0x800 + len(sizes)), sizes, values} {
		if err := binary.Write(packed, binary.BigEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// publishSmall puts a small Fashion-MNIST on a server of the test, and the cache
// into the test's folder.
func publishSmall(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where os.UserCacheDir looks
	t.Setenv("HOME", t.TempDir())
	pixel, label := func(i int) byte { return byte(i * i % 251) }, func(i int) byte { return byte(i % 4) }
	files := map[string][]byte{
		"/train-images-idx3-ubyte.gz": idx(t, pixel, 40, 12, 12), "/train-labels-idx1-ubyte.gz": idx(t, label, 40),
		"/t10k-images-idx3-ubyte.gz": idx(t, pixel, 20, 12, 12), "/t10k-labels-idx1-ubyte.gz": idx(t, label, 20),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(files[r.URL.Path]) }))
	t.Cleanup(server.Close)
	set := fetch.Set{Name: "fashion-mnist", Title: "a small Fashion-MNIST"}
	for path, content := range files {
		sum := sha256.Sum256(content)
		set.Files = append(set.Files, fetch.File{
			Name: path[1:], URLs: []string{server.URL + path}, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		})
	}
	before := run.PublishedSet
	t.Cleanup(func() { run.PublishedSet = before })
	run.PublishedSet = func(name string) (fetch.Set, error) {
		if name == set.Name {
			return set, nil
		}
		return before(name)
	}
}

// What fetch prints trains, from the cache and from a folder, and a run finds
// its data again.
func TestFetchAndTrain(t *testing.T) {
	inFolder(t)
	publishSmall(t)
	for _, test := range []struct {
		to   []string
		data string // for train
		want string
	}{
		{nil, "fashion-mnist", "likeness train --data fashion-mnist\n"},
		{[]string{"--to", "small"}, "small", "likeness train --data small\n"},
		{[]string{"--to", "my small"}, "my small", "likeness train --data 'my small'\n"},
	} {
		stdout, stderr := tool(t, append([]string{"fetch", "fashion-mnist"}, test.to...)...)
		if stdout != test.want || !strings.Contains(stderr, "a small Fashion-MNIST") || !strings.Contains(stderr, "checksums are correct") {
			t.Errorf("fetch to %q prints %s%s", test.to, stdout, stderr)
		}
		folder := "run of " + test.data
		table, _ := tool(t, "train", "--data", test.data, "--backbone", "tiny.toml", "--batch", "4", "--epochs", "1", "--out", folder)
		if again, said := tool(t, "eval", "--run", folder); again != table || withoutProgress(said) != "" {
			t.Errorf("eval finds other data:\n%s%s", again, said)
		}
	}
}

func TestFetchFails(t *testing.T) {
	inFolder(t)
	publishSmall(t)
	toolFails(t, failure, []string{`unknown data set or weights "omniglott"`, `did you mean "omniglot"?`}, "fetch", "omniglott")
	toolFails(t, misuse, []string{"missing argument <name>"}, "fetch")
	write(t, filepath.Join("other", "train-images-idx3-ubyte.gz"), "other data")
	code, _, said := runTool("fetch", "fashion-mnist", "--to", "other")
	if other := filepath.Join("other", "train-images-idx3-ubyte.gz"); code != failure || !strings.Contains(said, other) || !strings.Contains(said, "found 10 bytes") {
		t.Errorf("over another file fetch exits with %d and says %s", code, said)
	}

	interrupted, interrupt := context.WithCancel(context.Background())
	interrupt()
	var stdout, stderr bytes.Buffer
	if code := execute(interrupted, []string{"fetch", "fashion-mnist"}, &stdout, &stderr); code != failure || !strings.Contains(stderr.String(), "interrupted: likeness fetch fashion-mnist resumes the download") {
		t.Errorf("an interrupted fetch exits with %d and says %s", code, stderr.String())
	}
}

// What fetch prints for weights imports them: from the folder, with the network that they
// are for. The size is the one that the server announces.
func TestFetchWeights(t *testing.T) {
	inFolder(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where os.UserCacheDir looks
	t.Setenv("HOME", t.TempDir())
	saveTheirs(t, "weights.safetensors", sequentialNames)
	content := []byte(read(t, "weights.safetensors"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
	t.Cleanup(server.Close)
	sum := sha256.Sum256(content)
	set := fetch.Set{Name: "toy-v2", Title: "a small network", Backbone: "tiny.toml", Files: []fetch.File{{
		Name: "toy-" + hex.EncodeToString(sum[:4]) + ".pth", URLs: []string{server.URL}, MaxSize: 1 << 20, SHA256Prefix: hex.EncodeToString(sum[:4]),
	}}}
	before := publishedWeights
	t.Cleanup(func() { publishedWeights = before })
	publishedWeights = func(name string) (fetch.Set, error) {
		if name == set.Name {
			return set, nil
		}
		return before(name)
	}
	for range 2 {
		next, said := tool(t, "fetch", "toy-v2", "--to", "some weights")
		path := filepath.Join("some weights", set.Files[0].Name)
		if want := "likeness import '" + path + "' --backbone tiny.toml --out toy-v2.safetensors\n"; next != want {
			t.Errorf("found %s, expected %s", next, want)
		}
		if !strings.Contains(said, "downloading  a small network to some weights\n") || !strings.Contains(said, "published checksum") {
			t.Errorf("found\n%s", said)
		}
		tool(t, "import", path, "--backbone", "tiny.toml", "--out", "toy-v2.safetensors")
	}
	if next, _ := tool(t, "fetch", "toy-v2"); !strings.Contains(next, filepath.Join("likeness", "toy-v2", set.Files[0].Name)) {
		t.Errorf("found %s, expected a path in the cache", next)
	}
	write(t, filepath.Join("other", set.Files[0].Name), "other weights")
	if code, _, said := runTool("fetch", "toy-v2", "--to", "other"); code != failure || !strings.Contains(said, "remove it or choose another folder") {
		t.Errorf("over another file fetch exits with %d and says %s", code, said)
	}
}

func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{"data/a-b_c.d": "data/a-b_c.d", "my data": "'my data'", "it's": `'it'\''s'`, "$HOME": "'$HOME'"} {
		if got := quoted(path); got != want {
			t.Errorf("%s: found %s, expected %s", path, got, want)
		}
	}
}
