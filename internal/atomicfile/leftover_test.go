package atomicfile_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
)

const (
	left  = ".model.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp" // as WriteFile names it
	other = ".page.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp"
)

// leave writes files into a folder whose name would be a pattern elsewhere.
func leave(t *testing.T, names ...string) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "run [1]")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func expectNames(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if found, expected := strings.Join(names, " "), strings.Join(want, " "); found != expected {
		t.Errorf("the folder holds %q, expected %q", found, expected)
	}
}

func TestSweep(t *testing.T) {
	foreign := []string{".hidden.tmp", ".model.abc.tmp", "model", "model.tmp"}
	folder := leave(t, append([]string{left, other}, foreign...)...)
	if err := atomicfile.Sweep(folder); err != nil {
		t.Fatal(err)
	}
	expectNames(t, folder, foreign...)
	if err := atomicfile.Sweep(filepath.Join(folder, "absent")); err != nil {
		t.Error("of a folder that is not there:", err)
	}
}

// The name that WriteFile gives is one that Sweep knows.
func TestTemporaryName(t *testing.T) {
	folder := leave(t)
	err := atomicfile.WriteFile(filepath.Join(folder, "model"), func(io.Writer) error {
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 || !atomicfile.IsTemporary(entries[0].Name()) {
			t.Errorf("found %v (%v) during a write, expected one temporary file", entries, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a killed process left of a file goes when the file is written, once it is
// old; what another process may still be writing stays, and so does what is of
// other files.
func TestAbandonedFilesGo(t *testing.T) {
	folder := leave(t, left, other)
	path, old := filepath.Join(folder, "model"), time.Now().Add(-25*time.Hour)
	if err := atomicfile.WriteFile(path, writing("new")); err != nil {
		t.Fatal(err)
	}
	expectNames(t, folder, left, other, "model")
	for _, name := range []string{left, other} {
		if err := os.Chtimes(filepath.Join(folder, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.WriteFile(path, writing("newer")); err != nil {
		t.Fatal(err)
	}
	expectNames(t, folder, other, "model")
}
