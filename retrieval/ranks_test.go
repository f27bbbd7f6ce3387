package retrieval_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// Ranks that divide files make the collection and the pairs of one process, bit for bit, with broken files in
// the order of all files, and share a cache.
func TestRanksEmbedAsOneProcess(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	files := images(t, folder, 130) // two groups of 64 and one of two images
	for _, i := range []int{70, 3, 129} {
		if err := os.WriteFile(files[i], []byte("no image"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := retrieval.Options{SkipBroken: true}
	want := embed(t, model, files, o)
	pairs, err := want.Near(t.Context(), 0.2, nil)
	if err != nil || len(pairs) == 0 || len(want.Skipped) != 3 {
		t.Fatalf("found %d pairs, %d broken files and %v", len(pairs), len(want.Skipped), err)
	}
	_, broken := retrieval.Embed(t.Context(), model, files, retrieval.Options{})
	path := filepath.Join(folder, "embeddings.db")
	for _, ranks := range []int{2, 5, 2} { // 5 is more than there are groups
		for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
			kept, err := cache.Open(path, cache.Options{Shared: true})
			if err != nil {
				return err
			}
			defer kept.Close()
			own := o
			own.Communicator, own.Cache = c, kept
			got, err := retrieval.Embed(context.Background(), model, files, own)
			if err != nil {
				return err
			}
			if c.Root() {
				expectSame(t, fmt.Sprint(ranks, " ranks"), want, got)
				if diff := cmp.Diff(want.Skipped, got.Skipped); diff != "" {
					t.Errorf("%d ranks: broken files (-want +got):\n%s", ranks, diff)
				}
			}
			near, err := got.Near(context.Background(), 0.2, nil)
			if err == nil && c.Root() {
				if diff := cmp.Diff(pairs, near); diff != "" {
					t.Errorf("%d ranks: pairs (-want +got):\n%s", ranks, diff)
				}
			} else if len(near) > 0 {
				t.Errorf("rank %d returns pairs, expected rank 0 to do so", c.Rank())
			}
			return errors.WithMessage(kept.Err(), "cache")
		}) {
			if err != nil {
				t.Errorf("rank %d of %d: %v", rank, ranks, err)
			}
		}
		for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
			_, err := retrieval.Embed(context.Background(), model, files, retrieval.Options{Communicator: c})
			return err
		}) {
			if rank == 0 && (!errors.Is(err, retrieval.ErrBroken) || err.Error() != broken.Error()) || err == nil || !strings.Contains(err.Error(), files[3]) {
				t.Errorf("rank %d of %d: found the error %v, expected %v", rank, ranks, err, broken)
			}
		}
	}
	kept := openCache(t, path, cache.Options{})
	o.Cache = kept
	if again := embed(t, model, files, o); again.Cached != len(again.Files) {
		t.Errorf("after the ranks, %d of %d embeddings are from the cache", again.Cached, len(again.Files))
	}
}

// Flipped copies are found by ranks, too, of which one has no file.
func TestRanksFindFlips(t *testing.T) {
	model := characterModel(t)
	files := images(t, t.TempDir(), 4)
	o := retrieval.Options{Flips: true}
	want, err := embed(t, model, files, o).Near(t.Context(), 2, nil)
	if err != nil || len(want) == 0 {
		t.Fatalf("found %d pairs and %v", len(want), err)
	}
	for rank, err := range collective.Local(2, func(c *collective.Communicator) error {
		own := o
		own.Communicator = c
		collection, err := retrieval.Embed(context.Background(), model, files, own)
		if err != nil {
			return err
		}
		found, err := collection.Near(context.Background(), 2, nil)
		if diff := cmp.Diff(want, found); c.Root() && diff != "" {
			t.Errorf("pairs (-want +got):\n%s", diff)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// Ranks whose files differ, or of which one is interrupted, end with an error.
func TestRanksFailTogether(t *testing.T) {
	model := characterModel(t)
	files := images(t, t.TempDir(), 3)
	for rank, err := range collective.Local(2, func(c *collective.Communicator) error {
		_, err := retrieval.Embed(context.Background(), model, files[c.Rank():], retrieval.Options{Communicator: c})
		return err
	}) {
		if !errors.Is(err, collective.ErrMismatch) || !strings.Contains(err.Error(), "3 files") || !strings.Contains(err.Error(), "2 files") {
			t.Errorf("other files: rank %d: found the error %v, expected ErrMismatch", rank, err)
		}
	}
	many := append(append(append([]string{}, files...), images(t, t.TempDir(), 75)...), files...)
	for rank, err := range collective.Local(2, func(c *collective.Communicator) error {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		if c.Rank() == 1 {
			stop()
		}
		_, err := retrieval.Embed(ctx, model, many, retrieval.Options{Communicator: c})
		return err
	}) {
		if err == nil || !strings.Contains(err.Error(), "rank 1: context canceled") && rank == 0 {
			t.Errorf("interrupted: rank %d: found the error %v", rank, err)
		}
	}
}
