// Package atomicfile writes a file whole or not at all: whatever happens
// half-way, its path holds the old content or the new content, never a part.
package atomicfile

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

// WriteFile gives path the content that write writes. The content goes to a
// hidden temporary file in the same folder, which takes path's place only
// after it is safe on the disk; if write or anything else fails, path is left
// as it was and the temporary file is removed. One that a killed process left
// behind goes when its path is written the next time after a day, or by Sweep.
//
// An existing file keeps its permissions, a symbolic link keeps pointing to
// the file it points to, and a path that is anything else (a folder, a device)
// is an error. The writer is buffered.
func WriteFile(path string, write func(io.Writer) error) error {
	return errors.Wrapf(replace(path, write), "write %s", path)
}

func replace(path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	// New files get what the process's umask leaves of this, as from os.Create.
	permissions := fs.FileMode(0o666)
	existing, err := os.Stat(path)
	switch {
	case err == nil && !existing.Mode().IsRegular():
		return errors.New("it exists and is not a regular file")
	case err == nil:
		permissions = existing.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return errors.WithStack(err)
	}

	folder, base := filepath.Split(path)
	temporary := filepath.Join(folder, temporaryName(base))
	file, err := create(temporary, permissions)
	if err != nil {
		return errors.WithStack(err)
	}
	renamed := false
	defer func() { // also when write panics
		if !renamed {
			file.Close()
			os.Remove(temporary)
		}
	}()

	if existing != nil {
		if err := file.Chmod(permissions); err != nil { // undo the umask
			return errors.WithStack(err)
		}
	}
	buffered := bufio.NewWriterSize(file, 1<<16)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return errors.WithStack(err)
	}
	if err := file.Sync(); err != nil {
		return errors.WithStack(err)
	}
	if err := file.Close(); err != nil {
		return errors.WithStack(err)
	}
	if err := rename(temporary, path); err != nil {
		return errors.WithStack(err)
	}
	renamed = true
	SyncFolder(filepath.Dir(path))
	removeAbandoned(filepath.Dir(path), base)
	return nil
}

// file is what a write asks of its temporary file.
type file interface {
	io.WriteCloser
	Chmod(permissions fs.FileMode) error
	Sync() error
}

// create and rename are the operating system's but in tests, where each call
// fails in its turn.
var (
	create = func(path string, permissions fs.FileMode) (file, error) {
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions)
	}
	rename = os.Rename
)

// SyncFolder makes it durable that a file was made or renamed in the folder. Not
// every system can do that, and the content is whole without it, so a failure is
// no error.
func SyncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}
