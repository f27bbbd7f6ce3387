package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

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
