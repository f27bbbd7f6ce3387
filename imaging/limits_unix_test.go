//go:build unix

package imaging_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// That too many files are open, or that a file may not be read, is not said of the
// image.
func TestErrorsOfTheSystemAreNotOfTheImage(t *testing.T) {
	dir := t.TempDir()
	path := put(t, testutil.PNG(testutil.Steps(2, 2)), dir, "sound.png")
	nameless := put(t, testutil.PNG(testutil.Steps(2, 2)), dir, "sound")
	testutil.WithoutOpenFiles(t, func() {
		_, decoding := imaging.DecodeFile(path)
		_, finding := imaging.IsImage(nameless)
		for file, err := range map[string]error{path: decoding, nameless: finding} {
			if !errors.Is(err, unix.EMFILE) || errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "ulimit -n") {
				t.Errorf("found error %v", err)
			}
		}
	})
	if os.Getuid() == 0 {
		return // who may read everything
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := imaging.DecodeFile(path); !errors.Is(err, os.ErrPermission) || errors.Is(err, imaging.ErrUndecodable) {
		t.Errorf("found error %v", err)
	}
}

// A pipe that is named as an image would be waited for; another is passed over.
func TestFindDoesNotWaitForPipes(t *testing.T) {
	dir := t.TempDir()
	image := put(t, testutil.PNG(testutil.Steps(2, 2)), dir, "a.png")
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	found, err := imaging.Find(dir)
	if err != nil || len(found.Files) != 1 || found.Files[0] != image || found.Skipped.Count != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe.png"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := imaging.Find(dir); err == nil || !strings.Contains(err.Error(), "pipe.png is not a regular file") {
		t.Errorf("found error %v", err)
	}
}

// An error that concerns one file is skippable, and one that other files would meet is not.
func TestSkippable(t *testing.T) {
	dir := t.TempDir()
	broken := put(t, []byte("no image"), dir, "broken.png")
	nowhere := filepath.Join(dir, "nowhere.png")
	if err := os.Symlink("gone.png", nowhere); err != nil {
		t.Fatal(err)
	}
	found, err := imaging.Find(dir)
	if err != nil || !slices.Equal(found.Files, []string{broken, nowhere}) {
		t.Errorf("found %+v, %v, expected the broken image and the link", found, err)
	}
	for path, says := range map[string]string{
		broken: "not an image of a known format", nowhere: "it is a link to gone.png, which does not exist", filepath.Join(dir, "missing.png"): "no such file",
	} {
		_, err := imaging.DecodeFile(path)
		if !imaging.Skippable(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: found error %v, skippable: %v", path, err, imaging.Skippable(err))
		}
	}
	if !imaging.Skippable(&fs.PathError{Op: "open", Path: "secret.png", Err: unix.EACCES}) {
		t.Error("a file that may not be read is not skippable")
	}
	for _, err := range []error{nil, unix.EMFILE, unix.EIO, context.Canceled} {
		if imaging.Skippable(err) {
			t.Errorf("%v is skippable", err)
		}
	}
}

// Two links in a circle are an error of their own, a link to a folder is passed over.
func TestFindLinks(t *testing.T) {
	dir := t.TempDir()
	put(t, testutil.PNG(testutil.Steps(2, 2)), dir, "in", "a.png")
	if err := os.Symlink(dir, filepath.Join(dir, "in", "up")); err != nil {
		t.Fatal(err)
	}
	found, err := imaging.Find(filepath.Join(dir, "in"))
	if err != nil || len(found.Files) != 1 || found.Skipped.Kinds["link to a folder"] != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
}
