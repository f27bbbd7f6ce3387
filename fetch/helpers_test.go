package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
)

// content returns the given number of random bytes.
func content(seed uint64, length int) []byte {
	r := random.New(seed, "content")
	content := make([]byte, length)
	for i := range content {
		content[i] = byte(r.IntN(256))
	}
	return content
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// published returns a set of one file with the given URLs.
func published(content []byte, urls ...string) fetch.Set {
	return fetch.Set{Name: "toys", Files: []fetch.File{{Name: "toys.bin", URLs: urls, Size: int64(len(content)), SHA256: sum(content)}}}
}

// source is a server of one file. Each request gets the next of its answers; when they are
// used up, the file is served correctly.
type source struct {
	*httptest.Server
	mutex    sync.Mutex
	content  []byte
	tag      string
	answers  []http.HandlerFunc
	requests []*http.Request
}

func newSource(t *testing.T, content []byte, answers ...http.HandlerFunc) *source {
	t.Helper()
	s := &source{content: content, tag: `"first"`, answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	s.requests = append(s.requests, r)
	answer := s.whole
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.mutex.Unlock()
	answer(w, r)
}

// whole serves the file or the requested range.
func (s *source) whole(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	w.Header().Set("ETag", s.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

// replace replaces the server's file.
func (s *source) replace(content []byte, tag string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.content, s.tag = content, tag
}

// ranges returns the range of each request.
func (s *source) ranges() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var ranges []string
	for _, r := range s.requests {
		ranges = append(ranges, r.Header.Get("Range"))
	}
	return ranges
}

// cut serves the beginning of a file and closes the connection.
func cut(content []byte, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"first"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:after])
		panic(http.ErrAbortHandler)
	}
}

// status answers with a status code and no body.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

// hasty is a client with very short pauses between attempts.
func hasty() fetch.Client { return fetch.Client{Pause: time.Nanosecond} }

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// expectFiles checks that the folder has exactly these files; nil stands for any content.
func expectFiles(t *testing.T, folder string, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		expected, known := want[entry.Name()]
		if !known {
			t.Errorf("found the file %s, which should not be there", entry.Name())
			continue
		}
		if expected == nil {
			continue
		}
		found, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(found, expected) {
			t.Errorf("%s has %d bytes that are not the %d expected ones", entry.Name(), len(found), len(expected))
		}
	}
	if len(entries) < len(want) {
		t.Errorf("found %d files, expected %d", len(entries), len(want))
	}
}

// expectFailure checks that Fetch returns an error with the texts.
func expectFailure(t *testing.T, client fetch.Client, set fetch.Set, folder string, texts ...string) error {
	t.Helper()
	err := client.Fetch(context.Background(), set, folder)
	if err == nil {
		t.Fatalf("found no error, expected %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("found the error %q, expected %q in it", err, text)
		}
	}
	return err
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
