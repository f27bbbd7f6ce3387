package gallery

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openStore opens the file, and makes one where it is to be created. While other
// processes have it open it waits up to the timeout, or until the context ends.
func openStore(ctx context.Context, path string, o Options, create bool) (*store, error) {
	if o.Timeout == 0 {
		o.Timeout = usualTimeout
	}
	info, err := os.Stat(path)
	fresh := create && errors.Is(err, fs.ErrNotExist)
	if !fresh {
		if err != nil {
			return nil, err
		}
		// Opened to be read, bbolt looks at the first two pages only, and writes them
		// where there are none.
		switch {
		case info.Size() == 0 && !create:
			return nil, errInterrupted
		case info.Size() > 0:
			if err := check(ctx, path, o); err != nil {
				return nil, err
			}
		}
	}
	s, err := openBolt(ctx, path, o, create)
	if err == nil && fresh { // what is in a file that no folder has is not safe
		atomicfile.SyncFolder(filepath.Dir(path))
	}
	return s, err
}

// check looks at the file's pages while nobody can change them.
func check(ctx context.Context, path string, o Options) error {
	o.ReadOnly = true
	s, err := openBolt(ctx, path, o, false)
	if err != nil {
		return err
	}
	defer s.close()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return checkPages(file, info.Size())
}

// retryAfter is how long to wait between two tries to lock a file.
const retryAfter = 20 * time.Millisecond

// errMoved says that the file that was opened is not the path's any more: it was
// removed, and perhaps made anew, while this process waited for it.
var errMoved = errors.New("the file was replaced while it was opened")

// openBolt tries to open the file until nobody else has it open.
func openBolt(ctx context.Context, path string, o Options, create bool) (*store, error) {
	for deadline := time.Now().Add(o.Timeout); ; {
		s, err := tryBolt(path, o, create)
		switch {
		case errors.Is(err, errMoved): // look again at what the path has now
		case !errors.Is(err, bolterrors.ErrTimeout):
			return s, err
		case !time.Now().Before(deadline):
			return nil, errors.Wrapf(ErrLocked, "waited %v", o.Timeout)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return nil, errors.WithMessage(ctx.Err(), "while another process had it open")
		}
	}
}

// tryBolt opens the file unless another process has it open, which is
// bolterrors.ErrTimeout.
func tryBolt(path string, o Options, create bool) (s *store, err error) {
	s = new(store)
	options := &bolt.Options{
		Timeout:  1, // nanosecond: one try
		ReadOnly: o.ReadOnly, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, flags int, mode os.FileMode) (*os.File, error) {
			if !create { // nothing is made but on purpose
				flags &^= os.O_CREATE
			}
			file, err := os.OpenFile(name, flags, mode)
			if err != nil {
				return nil, err
			}
			if err := checkPageSize(file); err != nil {
				file.Close()
				return nil, err
			}
			s.file = file
			return file, nil
		},
	}
	err = guard(func() error {
		s.db, err = bolt.Open(path, 0o666, options)
		return err
	})
	switch {
	case err == nil && !s.isAt(path):
		_ = s.close()
		return nil, errMoved
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, err
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, errors.Wrapf(ErrNotGallery, "%v", err)
	case errors.Is(err, bolterrors.ErrChecksum):
		return nil, errors.Wrapf(ErrDamaged, "%v", err)
	case err != nil && !ours(err) && !systems(err): // bbolt has words of its own for the rest
		return nil, errors.Wrapf(ErrDamaged, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// isAt reports whether the file that is open is the one that the path names. Its lock
// protects it then: who removes a gallery has it locked.
func (s *store) isAt(path string) bool {
	own, err := s.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(own, named)
}

func ours(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotGallery)
}

// systems says whether an error is the operating system's, such as that there is no
// file or that it must not be read.
func systems(err error) bool {
	var path *fs.PathError
	var call *os.SyscallError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &call) || errors.As(err, &number)
}

// checkPageSize looks, before bbolt does, at how long the file says that its pages
// are. One of the two places that say it is whole even while somebody writes.
func checkPageSize(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 { // what is being created
		return err
	}
	m, found, err := readMeta(file, info.Size())
	switch {
	case err != nil:
		return err
	case found && info.Size() < max(2*m.pageSize, 4096): // which bbolt reads in one go
		return errors.Wrapf(ErrDamaged, "it has %d bytes, expected two pages of %d or more", info.Size(), m.pageSize)
	case !found && info.Size() < 2*int64(os.Getpagesize()): // bbolt's guess
		return errors.Wrapf(ErrNotGallery, "it has %d bytes, which is less than the shortest", info.Size())
	}
	return nil
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
