package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/gofrs/flock"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// runFolder is what a training leaves behind.
type runFolder string

func (f runFolder) config() string  { return filepath.Join(string(f), "config.toml") }
func (f runFolder) metrics() string { return filepath.Join(string(f), "metrics.jsonl") }
func (f runFolder) result() string  { return filepath.Join(string(f), "result.json") }
func (f runFolder) model() string   { return filepath.Join(string(f), "model.safetensors") }

func (f runFolder) page() string { return filepath.Join(string(f), report.PageFile) }

// checkpoint is what a training is resumed from; one that is finished has none. It is empty where there is no folder.
func (f runFolder) checkpoint() string {
	if f == "" {
		return ""
	}
	return filepath.Join(string(f), "checkpoint.safetensors")
}

// board is the folder that TensorBoard is pointed at.
func (f runFolder) board() string { return filepath.Join(string(f), "tensorboard") }

// lockName is the file in a run folder that the process which writes there holds a
// lock on. The operating system releases it when that process ends, however it ends.
const lockName = ".lock"

// lock makes this process the only one that writes to the folder, until unlock.
func (f runFolder) lock(c *console) (unlock func(), err error) {
	lock := flock.New(filepath.Join(string(f), lockName))
	locked, err := lock.TryLock()
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return nil, errors.Wrapf(err, "lock the run folder %s", f)
	case err != nil: // some network file systems have no locks
		c.say("warning: the run folder %s cannot be locked (%v): make sure that no other process writes to it", f, err)
	case !locked:
		return nil, errors.Errorf("another process is writing to the run folder %s: wait until it ends, or choose another folder with --out", f)
	}
	return func() { _ = lock.Close() }, nil
}

// sweep removes what a killed training was writing.
func (f runFolder) sweep() error {
	for _, folder := range []string{string(f), filepath.Join(string(f), "plots"), f.board()} {
		if err := atomicfile.Sweep(folder); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// refuseOccupied keeps what another training left behind; one that was killed
// before its first file was whole left nothing.
func refuseOccupied(out string) error {
	if out == "" {
		return nil
	}
	entries, err := os.ReadDir(out)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return atomicfile.IsTemporary(e.Name()) || e.Name() == lockName
	})
	if err == nil && len(entries) > 0 {
		err = errors.Errorf("%s holds %s already: choose another folder", out, entries[0].Name())
		if folder := runFolder(out); exists(folder.config()) && exists(folder.checkpoint()) {
			err = errors.Errorf("%s holds a training that has not ended: go on with likeness train --resume %s, or choose another folder", out, folder)
		}
	}
	return errors.WithMessage(err, "--out")
}

// createRunFolder makes the folder out or, without a name, a new one in runs.
func createRunFolder(out, dataset, objective string, now time.Time) (runFolder, error) {
	if out != "" {
		return runFolder(out), errors.Wrap(os.MkdirAll(out, 0o777), "out")
	}
	if err := os.MkdirAll("runs", 0o777); err != nil {
		return "", errors.Wrap(err, "make a run folder")
	}
	name := filepath.Join("runs", fmt.Sprintf("%s-%s-%s", cmp.Or(plain(dataset), "data"), objective, now.Format("20060102-150405")))
	folder := name
	for again := 2; ; again++ {
		err := os.Mkdir(folder, 0o777)
		if !errors.Is(err, os.ErrExist) {
			return runFolder(folder), errors.Wrap(err, "make a run folder")
		}
		folder = fmt.Sprintf("%s-%d", name, again) // two runs began in one second
	}
}

var notPlain = regexp.MustCompile(`[^a-z0-9._]+`)

// plain is a name without what a shell or a file system may stumble over.
func plain(name string) string {
	return strings.Trim(notPlain.ReplaceAllString(strings.ToLower(name), "-"), "-.")
}

// save writes all settings, as --config reads them.
func (s Settings) save(path string) error {
	for _, location := range []*string{&s.Data, &s.From} {
		if *location != "" {
			absolute, err := filepath.Abs(*location)
			if err != nil {
				return errors.Wrapf(err, "save %s", path)
			}
			*location = absolute
		}
	}
	for _, list := range []*[]string{&s.Unseen, &s.Freeze, &s.Penalty} {
		if *list == nil {
			*list = []string{} // nil would be left out
		}
	}
	text, err := s.text()
	if err != nil {
		return errors.Wrapf(err, "save %s", path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// text is the settings as TOML.
func (s Settings) text() ([]byte, error) {
	var text bytes.Buffer
	text.WriteString("# All settings of this run. likeness train --config FILE does it again.\n\n")
	encoder := toml.NewEncoder(&text)
	encoder.Indent = ""
	err := encoder.Encode(settingsFile{settingsFormat, s})
	return text.Bytes(), err
}
