package atomicfile

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/pkg/errors"
)

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
