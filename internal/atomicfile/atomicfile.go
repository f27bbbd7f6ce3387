// Package atomicfile writes files atomically: after any failure the path has either the
// complete old content or the complete new content.
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

// WriteFile replaces the content of path by what write writes. The content is written to
// a hidden temporary file in the same folder, which is renamed to path after it is
// synchronized to the disk. If write or anything else fails, path is not changed and the
// temporary file is removed. The temporary file of a killed process is removed when its
// path is written after a day or later, or by Sweep.
//
// An existing file keeps its permissions, a symbolic link keeps its target, and a path
// that is anything else, such as a folder or a device, is an error. The writer is
// buffered.
func WriteFile(path string, write func(io.Writer) error) error {
	return errors.Wrapf(replace(path, write), "write %s", path)
}

func replace(path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	// The umask of the process applies to new files, as with os.Create.
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
	if err := findFolder(folder); err != nil {
		return err
	}
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

// file has the methods of the temporary file that a write calls.
type file interface {
	io.WriteCloser
	Chmod(permissions fs.FileMode) error
	Sync() error
}

// create and rename call the operating system, except in tests that make each call
// fail.
var (
	create = func(path string, permissions fs.FileMode) (file, error) {
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions)
	}
	rename = os.Rename
)

// SyncFolder makes the creation or renaming of a file in the folder durable. Some systems
// cannot do that, and the content is complete without it, so a failure is not an
// error.
func SyncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// Create creates a file that does not exist, for callers that do not write it by an
// io.Writer. The function make writes it to a temporary path in the same folder and
// synchronizes it to the disk; then it is renamed. If two processes create a file at the
// same time, one gets fs.ErrExist, wrapped, and the file of the other is kept.
func Create(path string, make func(temporary string) error) error {
	return errors.Wrapf(createNew(path, make), "create %s", path)
}

func createNew(path string, make func(temporary string) error) error {
	folder, base := filepath.Split(path)
	if err := findFolder(folder); err != nil {
		return err
	}
	temporary := filepath.Join(folder, temporaryName(base))
	defer os.Remove(temporary)
	if err := make(temporary); err != nil {
		return err
	}
	err := os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // the file system has no hard links
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

// findFolder returns the error of a folder that does not exist, rather than that of a
// temporary file in it.
func findFolder(folder string) error {
	if folder == "" {
		return nil
	}
	_, err := os.Stat(folder)
	return errors.Wrap(err, "its folder")
}

// abandoned is the age of a temporary file after which no process uses it: no file takes
// a day to write.
const abandoned = 24 * time.Hour

func temporaryName(base string) string { return "." + base + "." + rand.Text() + ".tmp" }

var temporaryPattern = regexp.MustCompile(`^\.(.+)\.[A-Z2-7]{26}\.tmp$`)

// IsTemporary reports whether a file name, without its folder, is that of a temporary
// file of WriteFile.
func IsTemporary(name string) bool { return temporaryPattern.MatchString(name) }

// Sweep removes the temporary files of killed processes from a folder. No other process
// may write to the folder, because Sweep would remove its temporary file. A folder that
// does not exist is not an error.
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

// removeAbandoned removes the temporary files of killed processes for a path. A failure
// is not an error.
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
