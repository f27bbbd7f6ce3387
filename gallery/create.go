package gallery

import (
	"context"
	"io/fs"
	"os"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// createFile makes the file of a new gallery, with its header, where there is
// none, whole or not at all: bbolt writes a new file in place, and would refuse for
// ever what a full disk left of it. It says whether the file was made; what is
// there already is for others to judge.
func createFile(ctx context.Context, path string, o Options, h header) (made bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = atomicfile.Create(path, func(temporary string) error {
		s, err := openStore(ctx, temporary, o, true)
		if err != nil {
			return err
		}
		err = s.create(h)
		if closing := s.close(); err == nil {
			err = closing
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) { // somebody else made it by now
		return false, nil
	}
	return err == nil, err
}
