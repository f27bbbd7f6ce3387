package atomicfile_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
