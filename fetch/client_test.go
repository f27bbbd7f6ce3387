package fetch_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// A file is downloaded completely, the progress ends at its size, and it is not downloaded
// again.
func TestDownload(t *testing.T) {
	toys := content(1, 200_000)
	server := newSource(t, toys)
	folder := filepath.Join(t.TempDir(), "new", "folder")
	client := hasty()
	var last int64
	client.OnProgress = func(file fetch.File, done int64) {
		if done < last || file.Name != "toys.bin" {
			t.Errorf("found %d bytes of %s after %d of toys.bin", done, file.Name, last)
		}
		last = done
	}
	set := published(toys, server.URL)
	for range 2 {
		if err := client.Fetch(context.Background(), set, folder); err != nil {
			t.Fatal(err)
		}
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
	if last != 200_000 || len(server.ranges()) != 1 {
		t.Errorf("found %d bytes by %d requests, expected 200,000 by one", last, len(server.ranges()))
	}
	if missing := set.Missing(folder); len(missing) > 0 {
		t.Errorf("%q count as missing", missing)
	}
}

// A file with a wrong checksum or size is an error with the found and the expected value,
// is not requested again, and is not kept.
func TestWrongFiles(t *testing.T) {
	toys, other := content(1, 5000), content(2, 5000)
	chunked := func(content []byte) http.HandlerFunc { // without a Content-Length
		return func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			w.Write(content)
		}
	}
	for _, test := range []struct {
		name     string
		answer   http.HandlerFunc
		sentinel error
		texts    []string
	}{
		{"a wrong checksum", newSource(t, other).whole, fetch.ErrChecksum, []string{"found SHA-256 " + sum(other), "expected " + sum(toys)}},
		{"too long", newSource(t, append(other, 1)).whole, fetch.ErrSize, []string{"found 5001 bytes, expected 5000"}},
		{"too short", newSource(t, other[:10]).whole, fetch.ErrSize, []string{"found 10 bytes, expected 5000"}},
		{"too long, of a length that is not said", chunked(append(toys, 1)), fetch.ErrSize, []string{"more than the expected 5000"}},
		{"an unrequested range", status(http.StatusPartialContent), nil, []string{"toys", `found the range ""`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := []http.HandlerFunc{test.answer, test.answer, test.answer, test.answer, test.answer, test.answer}
			server := newSource(t, toys, answers...)
			folder := t.TempDir()
			err := expectFailure(t, hasty(), published(toys, server.URL), folder, append(test.texts, "fetch toys: toys.bin: ", server.URL)...)
			if test.sentinel != nil && (!errors.Is(err, test.sentinel) || len(server.ranges()) != 1) {
				t.Errorf("found %v after %d requests, expected %v after one", err, len(server.ranges()), test.sentinel)
			}
			expectFiles(t, folder, nil)
		})
	}
}

// Another file of the same name is not overwritten.
func TestOtherFileExists(t *testing.T) {
	toys := content(1, 100)
	server := newSource(t, toys)
	folder := t.TempDir()
	for name, other := range map[string][]byte{"found SHA-256": content(2, 100), "found 99 bytes, expected 100": toys[:99]} {
		write(t, filepath.Join(folder, "toys.bin"), other)
		expectFailure(t, hasty(), published(toys, server.URL), folder, name, filepath.Join(folder, "toys.bin"), "remove it or choose another folder")
		expectFiles(t, folder, map[string][]byte{"toys.bin": other})
	}
	if len(server.ranges()) > 0 {
		t.Error("a server was asked")
	}
}

// Temporary failures are retried a limited number of times, others are not.
func TestRetries(t *testing.T) {
	toys := content(1, 5000)
	for _, test := range []struct {
		code, requests int
		succeeds       bool
	}{
		{http.StatusInternalServerError, 4, false}, {http.StatusTooManyRequests, 4, false},
		{http.StatusNotFound, 1, false}, {http.StatusForbidden, 1, false},
		{http.StatusServiceUnavailable, 3, true},
	} {
		t.Run(strconv.Itoa(test.code), func(t *testing.T) {
			failing := []http.HandlerFunc{status(test.code), status(test.code), status(test.code), status(test.code)}
			if test.succeeds {
				failing = failing[:2]
			}
			server := newSource(t, toys, failing...)
			client := hasty()
			client.Attempts = 4
			var pauses []time.Duration
			client.OnRetry = func(_ fetch.File, _ error, pause time.Duration) { pauses = append(pauses, pause) }
			err := client.Fetch(context.Background(), published(toys, server.URL), t.TempDir())
			if (err == nil) != test.succeeds || len(server.ranges()) != test.requests {
				t.Errorf("found %v after %d requests, expected %d", err, len(server.ranges()), test.requests)
			}
			for i, pause := range pauses {
				if want := time.Nanosecond << i; pause != want {
					t.Errorf("pause %d is %v, expected %v", i, pause, want)
				}
			}
			if len(pauses) != test.requests-1 {
				t.Errorf("found %d pauses, expected %d", len(pauses), test.requests-1)
			}
		})
	}
}

// If a URL lacks the file, has a wrong one or fails, the next URL is tried; the error names
// the failure of each.
func TestOtherURLs(t *testing.T) {
	toys := content(1, 5000)
	lacking := newSource(t, toys, status(http.StatusNotFound), status(http.StatusNotFound))
	wrong := newSource(t, content(2, 5000))
	broken := newSource(t, toys, status(http.StatusBadGateway))
	sound := newSource(t, toys)
	folder := t.TempDir()
	if err := hasty().Fetch(context.Background(), published(toys, lacking.URL, wrong.URL, broken.URL, sound.URL), folder); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
	if len(lacking.ranges())+len(wrong.ranges())+len(broken.ranges()) != 3 {
		t.Error("a URL that failed was requested again")
	}
	err := expectFailure(t, hasty(), published(toys, lacking.URL, wrong.URL), t.TempDir(), lacking.URL+": the server answered 404", wrong.URL+": found SHA-256")
	if !errors.Is(err, fetch.ErrChecksum) {
		t.Errorf("found %v, expected ErrChecksum among its reasons", err)
	}
}
