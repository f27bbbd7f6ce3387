package fetch_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// A server that falls silent counts as cut.
func TestSilence(t *testing.T) {
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
	expectFailure(t, client, published(toys, server.URL), folder, "nothing came for 1s")
	if _, err := os.Stat(filepath.Join(folder, "toys.bin.part")); err != nil {
		t.Error("the part is lost:", err)
	}
}

// Ctrl-C ends the download at once; what has come is kept for the next.
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

// Ctrl-C also ends a pause.
func TestInterruptAPause(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	toys := content(1, 100)
	server := newSource(t, toys, status(http.StatusBadGateway))
	client := fetch.Client{Pause: time.Hour, OnRetry: func(fetch.File, error, time.Duration) { interrupt() }}
	if err := client.Fetch(ctx, published(toys, server.URL), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected the context's error", err)
	}
}
