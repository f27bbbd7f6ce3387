package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

// Create makes a file where there is none, for those who write it by other means
// than an io.Writer. The function make makes it under a temporary path in the same
// folder and leaves it safe on the disk; only then it takes its own. Of two that
// create a file at once one gets fs.ErrExist, wrapped, and the other's is kept.
func Create(path string, make func(temporary string) error) error {
	return errors.Wrapf(createNew(path, make), "create %s", path)
}

func createNew(path string, make func(temporary string) error) error {
	folder, base := filepath.Split(path)
	temporary := filepath.Join(folder, temporaryName(base))
	defer os.Remove(temporary)
	if err := make(temporary); err != nil {
		return err
	}
	err := os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // there are no hard links, it seems
		if _, err := os.Lstat(path); err == nil {
			return errors.WithStack(fs.ErrExist)
		}
		err = rename(temporary, path)
	}
	if err != nil {
		return errors.WithStack(err)
	}
	SyncFolder(filepath.Dir(path))
	removeAbandoned(filepath.Dir(path), base)
	return nil
}
