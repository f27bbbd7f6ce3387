package run

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Folder is the path of a run folder, which has the files of a training.
type Folder string

// Config returns the path of config.toml: all settings, which Load reads.
func (f Folder) Config() string { return filepath.Join(string(f), "config.toml") }

// Metrics returns the path of metrics.jsonl: one line of JSON for each epoch, see
// trainer.Epoch.
func (f Folder) Metrics() string { return filepath.Join(string(f), "metrics.jsonl") }

// Report returns the path of result.json, which report.Load reads.
func (f Folder) Report() string { return filepath.Join(string(f), "result.json") }

// Model returns the path of model.safetensors, which likeness.Load reads.
func (f Folder) Model() string { return filepath.Join(string(f), "model.safetensors") }

// Measured returns the path of measured.safetensors: the model of the figures, if that of
// Model was trained again on all images after they were measured, see Settings.Refit.
func (f Folder) Measured() string { return filepath.Join(string(f), "measured.safetensors") }

// Page returns the path of report.html: curves, maps of embeddings and the hardest
// images, for a browser.
func (f Folder) Page() string { return filepath.Join(string(f), report.PageFile) }

// Checkpoint returns the path of the checkpoint for Resume, which a finished training
// does not have. It is empty for an empty Folder.
func (f Folder) Checkpoint() string {
	if f == "" {
		return ""
	}
	return filepath.Join(string(f), "checkpoint.safetensors")
}

// refitCheckpoint returns the path of the checkpoint of the training on all images.
func (f Folder) refitCheckpoint() string {
	return filepath.Join(string(f), "refit-checkpoint.safetensors")
}

// removeCheckpoints removes the checkpoints of a finished training. That of Checkpoint, with
// which a training counts as unfinished, is the last.
func (f Folder) removeCheckpoints() error {
	if err := os.Remove(f.refitCheckpoint()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Wrap(err, "remove the checkpoint of a finished training")
	}
	return errors.Wrap(os.Remove(f.Checkpoint()), "remove the checkpoint of a finished training")
}

// TensorBoard returns the path of the folder of event files.
func (f Folder) TensorBoard() string { return filepath.Join(string(f), "tensorboard") }

// Epochs reads metrics.jsonl.
func (f Folder) Epochs() (epochs []trainer.Epoch, err error) {
	file, err := os.Open(f.Metrics())
	if err != nil {
		return nil, errors.Wrap(err, "read metrics")
	}
	defer file.Close()
	epochs, err = parseEpochs(file)
	return epochs, errors.Wrapf(err, "read %s", f.Metrics())
}

func parseEpochs(r io.Reader) (epochs []trainer.Epoch, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var epoch trainer.Epoch
		if err := json.Unmarshal(lines.Bytes(), &epoch); err != nil {
			return nil, errors.Wrapf(err, "line %d", len(epochs)+1)
		}
		epochs = append(epochs, epoch)
	}
	return epochs, errors.Wrapf(lines.Err(), "line %d", len(epochs)+1)
}

// LockName is the name of the file in a run folder that is locked by the process that
// writes there. The operating system releases the lock when the process ends.
const LockName = ".lock"

// lock makes this process the only one that writes to the folder, until unlock.
func (f Folder) lock(o *Observer) (unlock func(), err error) {
	lock := flock.New(filepath.Join(string(f), LockName))
	locked, err := lock.TryLock()
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return nil, errors.Wrapf(err, "lock the run folder %s", f)
	case err != nil: // some network file systems have no locks
		o.warning("the run folder %s cannot be locked (%v): make sure that no other process writes to it", f, err)
	case !locked:
		return nil, errors.Errorf("another process is writing to the run folder %s: wait until it ends, or choose another folder with --out", f)
	}
	return func() { _ = lock.Close() }, nil
}

// sweep removes temporary files of a training that was killed.
func (f Folder) sweep() error {
	for _, folder := range []string{string(f), filepath.Join(string(f), "plots"), f.TensorBoard()} {
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

// checkEmpty refuses a folder that has files. A training that was killed before its
// first file was complete left none.
func (f Folder) checkEmpty() error {
	if f == "" {
		return nil
	}
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return atomicfile.IsTemporary(e.Name()) || e.Name() == LockName
	})
	if err == nil && len(entries) > 0 {
		err = errors.Errorf("%s already contains %s: choose another folder", f, entries[0].Name())
		if exists(f.Config()) && exists(f.Checkpoint()) {
			err = errors.Errorf("%s contains a training that is not finished: continue it with likeness train --resume %s, or choose another folder", f, f)
		}
	}
	return errors.WithMessage(err, "--out")
}

// createFolder creates the folder out or, if that is empty, a new one in runs.
func createFolder(out, dataset, objective string, now time.Time) (Folder, error) {
	if out != "" {
		return Folder(out), errors.Wrap(os.MkdirAll(out, 0o777), "--out")
	}
	if err := os.MkdirAll("runs", 0o777); err != nil {
		return "", errors.Wrap(err, "create a run folder")
	}
	name := filepath.Join("runs", fmt.Sprintf("%s-%s-%s", cmp.Or(fileName(dataset), "data"), objective, now.Format("20060102-150405")))
	folder := name
	for again := 2; ; again++ {
		err := os.Mkdir(folder, 0o777)
		if !errors.Is(err, os.ErrExist) {
			return Folder(folder), errors.Wrap(err, "create a run folder")
		}
		folder = fmt.Sprintf("%s-%d", name, again) // two runs began in one second
	}
}

var unsafeInNames = regexp.MustCompile(`[^a-z0-9._]+`)

// fileName is a name without characters that have a meaning to shells or file systems.
func fileName(name string) string {
	return strings.Trim(unsafeInNames.ReplaceAllString(strings.ToLower(name), "-"), "-.")
}

// metrics writes the file with a line for each epoch. The whole file is written each
// time, so that neither a kill nor a full disk leaves a part of a line.
type metrics struct {
	path  string
	lines bytes.Buffer
}

// write replaces the lines by those of these epochs.
func (m *metrics) write(epochs []trainer.Epoch) error {
	m.lines.Reset()
	return m.append(epochs...)
}

// append adds lines; when it returns without an error they are on the disk.
func (m *metrics) append(epochs ...trainer.Epoch) error {
	encoder := json.NewEncoder(&m.lines)
	for _, epoch := range epochs {
		if err := encoder.Encode(epoch); err != nil {
			return errors.Wrapf(err, "write %s", m.path)
		}
	}
	return atomicfile.WriteFile(m.path, func(w io.Writer) error {
		_, err := w.Write(m.lines.Bytes())
		return err
	})
}
