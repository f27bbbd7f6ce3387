package gallery

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/boltfile"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openStore opens the file or, with create, creates it. While another process has it open,
// it waits up to the timeout and until the context ends.
func openStore(ctx context.Context, path string, o Options, create bool) (*store, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	info, err := os.Stat(path)
	fresh := create && errors.Is(err, fs.ErrNotExist)
	if !fresh {
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, errors.Wrap(ErrNotGallery, "found a folder, expected the file of a gallery")
		}
		// bbolt checks only the first two pages of a file, and writes them to an empty one.
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
	if err == nil && fresh { // the file is durable only when its entry in the folder is
		atomicfile.SyncFolder(filepath.Dir(path))
	}
	return s, err
}

// check checks the file's pages while no process can change them.
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
	if err := boltfile.Check(file, info.Size()); err != nil {
		return errors.Wrap(ErrDamaged, err.Error())
	}
	return nil
}

// retryAfter is the time between two attempts to lock a file.
const retryAfter = 20 * time.Millisecond

// errMoved is the error if the opened file is no longer the one at the path, because it
// was removed or replaced while this process waited for its lock.
var errMoved = errors.New("the file was replaced while it was opened")

// openBolt tries to open the file until no other process has it open.
func openBolt(ctx context.Context, path string, o Options, create bool) (*store, error) {
	for deadline := time.Now().Add(o.Timeout); ; {
		s, err := tryBolt(path, o, create)
		switch {
		case errors.Is(err, errMoved): // open the new file at the path
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

// tryBolt opens the file. It returns bolterrors.ErrTimeout if another process has it open.
func tryBolt(path string, o Options, create bool) (s *store, err error) {
	s = new(store)
	options := &bolt.Options{
		Timeout:  1, // one nanosecond: a single attempt
		ReadOnly: o.ReadOnly, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, flags int, mode os.FileMode) (*os.File, error) {
			if !create { // do not create a file unless asked to
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
	err = callBolt(func() error {
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
	case err != nil && !ours(err) && !systems(err): // other errors of bbolt are untyped
		return nil, errors.Wrapf(ErrDamaged, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// isAt reports whether the open file is the one at the path. If it is, it stays there,
// because a process that removes a gallery must hold its lock.
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

// systems reports whether an error is one of the operating system, such as a missing file
// or missing permissions.
func systems(err error) bool {
	var path *fs.PathError
	var call *os.SyscallError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &call) || errors.As(err, &number)
}

// checkPageSize checks the page size that the file states before bbolt uses it.
func checkPageSize(file *os.File) error {
	found, err := boltfile.CheckPageSize(file)
	switch {
	case err == nil || systems(err):
		return err
	case !found:
		return errors.Wrap(ErrNotGallery, err.Error())
	}
	return errors.Wrap(ErrDamaged, err.Error())
}

func (s *store) close() error {
	return callBolt(s.db.Close)
}

// callBolt calls a function of bbolt. A panic means that the file is damaged.
func callBolt(call func() error) error {
	err := boltfile.Call(call)
	if damaged, ok := err.(*guard.Panic); ok {
		return errors.Wrapf(ErrDamaged, "%v", damaged.Value)
	}
	return err
}
