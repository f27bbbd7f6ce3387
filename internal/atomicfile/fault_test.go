package atomicfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/errors"
)

// faults lets the n-th call to the operating system fail, from 1.
type faults struct{ n, calls int }

func (f *faults) next() error {
	if f.calls++; f.calls == f.n {
		return syscall.ENOSPC
	}
	return nil
}

// faulty is a file whose calls may fail. A write that does has written a part.
type faulty struct {
	file
	faults *faults
}

func (f faulty) Write(p []byte) (int, error) {
	if err := f.faults.next(); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f faulty) Chmod(permissions fs.FileMode) error {
	if err := f.faults.next(); err != nil {
		return err
	}
	return f.file.Chmod(permissions)
}

func (f faulty) Sync() error {
	if err := f.faults.next(); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f faulty) Close() error {
	err := f.faults.next()
	f.file.Close()
	return err
}

// inject makes the n-th call of this test's writes fail.
func inject(t *testing.T, n int) *faults {
	t.Helper()
	f, honestCreate, honestRename := &faults{n: n}, create, rename
	t.Cleanup(func() { create, rename = honestCreate, honestRename })
	create = func(path string, permissions fs.FileMode) (file, error) {
		if err := f.next(); err != nil {
			return nil, err
		}
		made, err := honestCreate(path, permissions)
		return faulty{made, f}, err
	}
	rename = func(from, to string) error {
		if err := f.next(); err != nil {
			return err
		}
		return honestRename(from, to)
	}
	return f
}

// Whichever call to the operating system fails, the error names the file, the old
// content is whole and nothing is left behind.
func TestEveryCallMayFail(t *testing.T) {
	long := strings.Repeat("new", 100_000) // several writes
	succeeded := false
	for n := 1; !succeeded; n++ {
		t.Run("", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model")
			if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			f := inject(t, n)
			err := WriteFile(path, func(w io.Writer) error {
				for part := long; part != ""; part = part[1000:] {
					if _, err := io.WriteString(w, part[:1000]); err != nil {
						return err
					}
				}
				return nil
			})
			want := "old"
			if succeeded = f.calls < n; succeeded {
				want = long
			}
			switch failed := err != nil; {
			case failed == succeeded:
				t.Fatalf("call %d of %d failed: found error %v", n, f.calls, err)
			case failed && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path)):
				t.Errorf("call %d: found error %v, expected one of the disk that names %s", n, err, path)
			}
			if found, err := os.ReadFile(path); err != nil || string(found) != want {
				t.Errorf("call %d: found %.20q (%v), expected %.20q", n, found, err, want)
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
				t.Errorf("call %d: left behind %v (%v)", n, entries, err)
			}
			if n > 50 {
				t.Fatal("the write has no end")
			}
		})
		if t.Failed() {
			return
		}
	}
}
