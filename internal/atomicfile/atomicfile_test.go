package atomicfile_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

func writing(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

// expect checks a file's content, and that nothing else lies in its folder.
func expect(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Errorf("%s holds %q, want %q", path, got, content)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	for _, content := range []string{"first", "second, and longer", ""} {
		if err := atomicfile.WriteFile(path, writing(content)); err != nil {
			t.Fatal(err)
		}
		expect(t, path, content)
	}
}

func TestFailureLeavesTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := atomicfile.WriteFile(path, writing("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	err := atomicfile.WriteFile(path, func(w io.Writer) error {
		if err := writing(strings.Repeat("new", 100_000))(w); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got error %v, want the writer's own", err)
	}
	expect(t, path, "old")
}

func TestPanicLeavesTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := atomicfile.WriteFile(path, writing("old")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = atomicfile.WriteFile(path, func(io.Writer) error { panic("a mistake in the writer") })
	}()
	expect(t, path, "old")
}

func TestPermissionsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, permissions := range []fs.FileMode{0o600, 0o640, 0o666} {
		if err := os.Chmod(path, permissions); err != nil {
			t.Fatal(err)
		}
		if err := atomicfile.WriteFile(path, writing("new")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != permissions {
			t.Errorf("permissions became %v, want %v", info.Mode().Perm(), permissions)
		}
	}
}

func TestSymbolicLinkStaysOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "epoch-7")
	link := filepath.Join(t.TempDir(), "latest")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := atomicfile.WriteFile(link, writing("new")); err != nil {
		t.Fatal(err)
	}
	expect(t, file, "new")
	if target, err := os.Readlink(link); err != nil || target != file {
		t.Errorf("the link points to %q (%v), want %q", target, err, file)
	}
}

func TestWhatCannotBeReplaced(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "absent", "model"), os.DevNull} {
		called := false
		err := atomicfile.WriteFile(path, func(io.Writer) error { called = true; return nil })
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want one that names it", path, err)
		}
		if called {
			t.Errorf("%s: the content was asked for in vain", path)
		}
	}
}

func making(content string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(content), 0o666) }
}

// Only the first one's file is kept, and one that was not made to its end is not
// there.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gallery")
	full := errors.New("no space left")
	err := atomicfile.Create(path, func(temporary string) error {
		if err := making("half")(temporary); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), path) {
		t.Errorf("found error %v, expected the maker's own with the path", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("left behind %v (%v)", entries, err)
	}
	if err := atomicfile.Create(path, making("first")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Create(path, making("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("found error %v, expected that there is one", err)
	}
	expect(t, path, "first")
}

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

// Temporary files of a killed process are removed when the file is written, once they are
// old; what another process may still be writing stays, and so does what is of other
// files.
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

// A path without a folder is one of the working directory.
func TestPathWithoutAFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := atomicfile.WriteFile("model", writing("new")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile("model"); err != nil || string(content) != "new" {
		t.Errorf("found %q, %v", content, err)
	}
}

// What is no folder is said, before anything is written, and what cannot be removed.
func TestFoldersThatAreNone(t *testing.T) {
	folder := leave(t)
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(file, "model")
	if err := atomicfile.WriteFile(below, writing("new")); err == nil || !strings.Contains(err.Error(), "write "+below) {
		t.Errorf("below a file: found error %v", err)
	}
	made := false
	absent := filepath.Join(folder, "absent", "gallery")
	err := atomicfile.Create(absent, func(string) error { made = true; return nil })
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "create "+absent+": its folder: ") || made {
		t.Errorf("in no folder: found error %v, written: %v", err, made)
	}
	if err := atomicfile.Sweep(file); err == nil || !strings.HasPrefix(err.Error(), "sweep: ") {
		t.Errorf("sweep a file: found error %v", err)
	}
	if err := os.MkdirAll(filepath.Join(folder, left, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Sweep(folder); err == nil || !strings.Contains(err.Error(), left) {
		t.Errorf("sweep what cannot be removed: found error %v", err)
	}
}
