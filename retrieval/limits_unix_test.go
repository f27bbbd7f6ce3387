//go:build unix

package retrieval_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// If the limit of open files is reached, images are not skipped as broken, and measuring
// traits fails.
func TestSystemErrorsAreNotSkipped(t *testing.T) {
	model := characterModel(t)
	sound := write(t, t.TempDir(), "sound.png", asPNG(t, drawings["ring"].on(40, 0, 0)))
	for _, skip := range []bool{false, true} {
		testutil.WithoutOpenFiles(t, func() {
			_, err := retrieval.Embed(context.Background(), model, []string{sound}, retrieval.Options{SkipBroken: skip})
			if !errors.Is(err, unix.EMFILE) || errors.Is(err, retrieval.ErrBroken) {
				t.Errorf("embed, skipping %v: found error %v", skip, err)
			}
		})
	}
	testutil.WithoutOpenFiles(t, func() {
		if _, err := retrieval.MeasureFiles(context.Background(), model.Preprocessing, []string{sound}, 9, nil); !errors.Is(err, unix.EMFILE) {
			t.Errorf("examine: found error %v", err)
		}
	})
}

// While a group of files is embedded and reported, the next one is read, which a pipe in it
// shows.
func TestReadingAndEmbeddingOverlap(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe.png")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("the file system has no pipes: ", err)
	}
	files := append(images(t, folder, 64), pipe)
	content := asPNG(t, drawings["ring"].on(30, 0, 0))
	read, written := make(chan struct{}), make(chan error, 1)
	go func() {
		file, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until it is opened for reading
		close(read)
		if err == nil {
			_, err = file.Write(content)
			file.Close()
		}
		written <- err
	}()
	var progress []int
	collection := embed(t, characterModel(t), files, retrieval.Options{OnProgress: func(done, _ int) {
		if progress = append(progress, done); done == 64 {
			select {
			case <-read:
			case <-time.After(time.Minute):
				t.Error("the files after the first group are not read before it is reported")
			}
		}
	}})
	if err := <-written; err != nil || collection.Embeddings.Rows != 65 || len(progress) != 2 {
		t.Errorf("found %d embeddings, the progress %v and the error %v", collection.Embeddings.Rows, progress, err)
	}
}
