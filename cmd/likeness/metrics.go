package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// metrics is the file with a line for each epoch. All of it is written with each,
// so that neither a kill nor a full disk leaves a part of a line.
type metrics struct {
	path  string
	lines bytes.Buffer
}

// write gives the file a line for each of these epochs.
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

// epochs reads metrics.jsonl.
func (f runFolder) epochs() (epochs []trainer.Epoch, err error) {
	file, err := os.Open(f.metrics())
	if err != nil {
		return nil, errors.Wrap(err, "read metrics")
	}
	defer file.Close()
	epochs, err = parseEpochs(file)
	return epochs, errors.Wrapf(err, "read %s", f.metrics())
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
