package gallery

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openStore opens the file, and makes one where it is to be created.
func openStore(path string, o Options, create bool) (*store, error) {
	if o.Timeout == 0 {
		o.Timeout = usualTimeout
	}
	info, err := os.Stat(path)
	fresh := create && errors.Is(err, fs.ErrNotExist)
	if !fresh {
		if err != nil {
			return nil, err
		}
		// Opened to be written to, bbolt reads at once what a file that was cut
		// off does not have; to be read it does not.
		if info.Size() > 0 {
			if err := checkSize(path, o, info.Size()); err != nil {
				return nil, err
			}
		}
	}
	s, err := openBolt(path, o, create)
	if err == nil && fresh { // what is in a file that no folder has is not safe
		atomicfile.SyncFolder(filepath.Dir(path))
	}
	return s, err
}

// checkSize says whether the file is as long as it should be.
func checkSize(path string, o Options, size int64) error {
	o.ReadOnly = true
	s, err := openBolt(path, o, false)
	if err != nil {
		return err
	}
	err = s.view(func(tx *bolt.Tx) error {
		if tx.Size() > size {
			return errors.Wrapf(ErrDamaged, "it has %d bytes, expected %d", size, tx.Size())
		}
		return nil
	})
	if closing := s.close(); err == nil {
		err = closing
	}
	return err
}

func openBolt(path string, o Options, create bool) (s *store, err error) {
	options := &bolt.Options{
		Timeout: o.Timeout, ReadOnly: o.ReadOnly, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, flags int, mode os.FileMode) (*os.File, error) {
			if !create { // nothing is made but on purpose
				flags &^= os.O_CREATE
			}
			return os.OpenFile(name, flags, mode)
		},
	}
	err = guard(func() error {
		db, err := bolt.Open(path, 0o666, options)
		s = &store{db}
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, errors.Wrapf(ErrLocked, "waited %v", o.Timeout)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, errors.Wrapf(ErrNotGallery, "%v", err)
	case errors.Is(err, bolterrors.ErrChecksum):
		return nil, errors.Wrapf(ErrDamaged, "%v", err)
	}
	return s, err
}

func (s *store) close() error {
	return guard(s.db.Close)
}

// guard calls a function of bbolt, which maps the file into memory and panics, or
// faults, where the file is not as it left it.
func guard(call func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Wrapf(ErrDamaged, "%v", cause)
		}
	}()
	return call()
}
