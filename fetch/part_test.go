package fetch_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// After a lost connection the download is resumed in the same call.
func TestResumeAfterLostConnection(t *testing.T) {
	toys := content(1, 200_000)
	server := newSource(t, toys, cut(toys, 70_000), status(http.StatusBadGateway))
	folder := t.TempDir()
	client := hasty()
	var reasons int
	client.OnRetry = func(fetch.File, error, time.Duration) { reasons++ }
	if err := client.Fetch(context.Background(), published(toys, server.URL), folder); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
	if diff := cmp.Diff([]string{"", "bytes=70000-", "bytes=70000-"}, server.ranges()); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
	if reasons != 2 {
		t.Errorf("told of %d retries, expected 2", reasons)
	}
}

// Another process resumes the download, and parts of other versions are not mixed.
func TestResumeByAnotherProcess(t *testing.T) {
	toys, old := content(1, 200_000), content(2, 200_000)
	for _, test := range []struct {
		name    string
		begun   []byte // by the first process
		tag     string // of the file by the second
		ranges  []string
		ignores bool // the server does not know If-Range
		reason  string
	}{
		{"the same file", toys, `"first"`, []string{"", "bytes=70000-"}, false, ""},
		{"a changed file", old, `"second"`, []string{"", "bytes=70000-"}, false, ""},
		{"a changed file on a simple server", old, `"second"`, []string{"", "bytes=70000-", ""}, true, `of version "second"`},
		{"a changed file of the same tag", old, `"first"`, []string{"", "bytes=70000-", ""}, false, "found SHA-256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newSource(t, toys, cut(test.begun, 70_000))
			folder := t.TempDir()
			set := published(toys, server.URL)
			once := fetch.Client{Attempts: 1}
			expectFailure(t, once, set, folder, "gave up after 1 attempts", "after 70000 of 200000 bytes")
			expectFiles(t, folder, map[string][]byte{"toys.bin.part": test.begun[:70_000], "toys.bin.part.json": nil})

			server.replace(toys, test.tag)
			if test.ignores {
				server.answers = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
					r.Header.Del("If-Range")
					server.whole(w, r)
				}}
			}
			client := hasty()
			client.OnRetry = func(_ fetch.File, reason error, _ time.Duration) {
				if test.reason == "" || !strings.Contains(reason.Error(), test.reason) {
					t.Errorf("tried again because %v, expected %q", reason, test.reason)
				}
			}
			if err := client.Fetch(context.Background(), set, folder); err != nil {
				t.Fatal(err)
			}
			expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
			if diff := cmp.Diff(test.ranges, server.ranges()); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// A part of unknown origin or one that is longer than the file is discarded; a complete part
// needs no server.
func TestPartsOfUnknownOrigin(t *testing.T) {
	toys := content(1, 1000)
	server := newSource(t, toys)
	origin := []byte(`{"url": "` + server.URL + `", "validator": "\"first\""}`)
	for _, test := range []struct {
		name         string
		part, origin []byte
		ranges       []string
	}{
		{"no origin", toys[:300], nil, []string{""}},
		{"an origin that is no JSON", toys[:300], []byte("{"), []string{""}},
		{"an origin elsewhere", toys[:300], []byte(`{"url": "http://elsewhere", "validator": "\"first\""}`), []string{""}},
		{"no validator", toys[:300], []byte(`{"url": "` + server.URL + `"}`), []string{""}},
		{"too long", content(3, 1001), origin, []string{""}},
		{"a known origin", toys[:300], origin, []string{"bytes=300-"}},
		{"whole", toys, origin, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.requests = nil
			folder := t.TempDir()
			write(t, filepath.Join(folder, "toys.bin.part"), test.part)
			if test.origin != nil {
				write(t, filepath.Join(folder, "toys.bin.part.json"), test.origin)
			}
			client := hasty()
			client.OnRetry = func(_ fetch.File, reason error, _ time.Duration) { t.Errorf("tried again because %v", reason) }
			if err := client.Fetch(context.Background(), published(toys, server.URL), folder); err != nil {
				t.Fatal(err)
			}
			expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
			if diff := cmp.Diff(test.ranges, server.ranges()); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// A download is resumed from its URL, although another URL is listed first.
func TestResumeFromSameURL(t *testing.T) {
	toys := content(1, 200_000)
	first := newSource(t, toys)
	second := newSource(t, toys, cut(toys, 70_000))
	folder := t.TempDir()
	expectFailure(t, fetch.Client{Attempts: 1}, published(toys, second.URL), folder)
	if err := hasty().Fetch(context.Background(), published(toys, first.URL, second.URL), folder); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "bytes=70000-"}, second.ranges()); diff != "" || len(first.ranges()) > 0 {
		t.Errorf("the other place had %d requests; ranges (-want +got):\n%s", len(first.ranges()), diff)
	}
}

// A connection that stalls counts as lost.
func TestStall(t *testing.T) {
	toys := content(1, 200_000)
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"first"`)
		w.Header().Set("Content-Length", "200000")
		w.Write(toys[:70_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done() // until the client hangs up
	}
	server := newSource(t, toys, silent)
	folder := t.TempDir()
	client := fetch.Client{Attempts: 1, Stall: time.Second}
	expectFailure(t, client, published(toys, server.URL), folder, "received nothing for 1s")
	if _, err := os.Stat(filepath.Join(folder, "toys.bin.part")); err != nil {
		t.Error("the part is lost:", err)
	}
}

// An interrupt ends the download immediately, and the received bytes are kept.
func TestInterrupt(t *testing.T) {
	toys := content(1, 200_000)
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	server := newSource(t, toys, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"first"`)
		w.Header().Set("Content-Length", "200000")
		w.Write(toys[:70_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	folder := t.TempDir()
	client := hasty()
	client.OnProgress = func(_ fetch.File, done int64) {
		if done == 70_000 {
			interrupt()
		}
	}
	set := published(toys, server.URL)
	if err := client.Fetch(ctx, set, folder); !errors.Is(err, context.Canceled) {
		t.Fatalf("found %v, expected the context's error", err)
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin.part": toys[:70_000], "toys.bin.part.json": nil})
	if err := hasty().Fetch(context.Background(), set, folder); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
	if diff := cmp.Diff([]string{"", "bytes=70000-"}, server.ranges()); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

// An interrupt also ends a pause.
func TestInterruptPause(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	toys := content(1, 100)
	server := newSource(t, toys, status(http.StatusBadGateway))
	client := fetch.Client{Pause: time.Hour, OnRetry: func(fetch.File, error, time.Duration) { interrupt() }}
	if err := client.Fetch(ctx, published(toys, server.URL), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected the context's error", err)
	}
}
