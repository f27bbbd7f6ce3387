// Package atomicfile writes a file whole or not at all: whatever happens
// half-way, its path holds the old content or the new content, never a part.
package atomicfile

import (
	"bufio"
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

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

// abandoned is the age from which a temporary file is nobody's any more: no file
// of ours takes a day to write.
const abandoned = 24 * time.Hour

func temporaryName(base string) string { return "." + base + "." + rand.Text() + ".tmp" }

var temporaryPattern = regexp.MustCompile(`^\.(.+)\.[A-Z2-7]{26}\.tmp$`)

// IsTemporary says whether a file of this name, without its folder, is one that
// WriteFile was writing.
func IsTemporary(name string) bool { return temporaryPattern.MatchString(name) }

// Sweep removes from a folder what killed processes were writing to it. It is for
// a folder that nobody else writes to: of a living process's file it would remove
// what is there so far. A folder that is not there holds nothing.
func Sweep(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errors.Wrap(err, "sweep")
	}
	for _, entry := range entries {
		if !IsTemporary(entry.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
			return errors.Wrap(err, "sweep")
		}
	}
	return nil
}

// removeAbandoned removes what killed processes left of a file. A failure is no
// error: what is left does no harm.
func removeAbandoned(folder, base string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		found := temporaryPattern.FindStringSubmatch(entry.Name())
		if found == nil || found[1] != base {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}
