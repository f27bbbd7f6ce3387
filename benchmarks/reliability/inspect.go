package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// leftovers are what is in a run folder that is no whole file, and no harm.
type leftovers struct {
	temporary int // files that were being written
	cut       int // event files whose last record is cut off
}

// inspect reads every file of a run folder to its end; one that is not whole, or
// that nobody knows, is an error.
func inspect(folder string) (left leftovers, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if atomicfile.IsTemporary(entry.Name()) {
			left.temporary++
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		cut, err := inspectFile(path, content)
		if cut {
			left.cut++
		}
		return errors.WithMessagef(err, "%s is not whole", path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // nothing is there yet
	}
	return left, errors.WithStack(err)
}

// inspectFile judges a file of a run by its name.
func inspectFile(path string, content []byte) (cut bool, err error) {
	switch name := filepath.Base(path); {
	case name == ".lock":
		if len(content) > 0 {
			err = errors.New("a lock has no content")
		}
	case strings.HasSuffix(name, ".safetensors"):
		_, err = safetensors.ReadFile(path)
	case strings.HasSuffix(name, ".png"):
		_, err = png.Decode(bytes.NewReader(content))
	case name == "config.toml":
		var settings map[string]any
		err = toml.Unmarshal(content, &settings)
		if err == nil && settings["seed"] == nil {
			err = errors.New("it has no seed")
		}
	case name == "metrics.jsonl":
		_, err = epochs(content)
	case name == "result.json":
		_, err = report.Load(path)
	case name == "report.html":
		if !bytes.HasSuffix(bytes.TrimSpace(content), []byte("</html>")) {
			err = errors.New("it does not end as a page")
		}
	case name == "tensors.tsv", name == "metadata.tsv", name == "projector_config.pbtxt":
		if !bytes.HasSuffix(content, []byte("\n")) {
			err = errors.New("its last line has no end")
		}
	case strings.Contains(name, "tfevents"):
		cut, err = inspectEvents(content)
	default:
		err = errors.New("it is no file of a run")
	}
	return cut, err
}

// epochs are the lines of a metrics.jsonl, which must be numbered from 1 and have
// their ends, without what differs each time.
func epochs(content []byte) (epochs []trainer.Epoch, err error) {
	for line := range bytes.Lines(content) {
		var epoch trainer.Epoch
		if err := json.Unmarshal(line, &epoch); err != nil {
			return nil, errors.Wrapf(err, "line %d", len(epochs)+1)
		}
		if epoch.Epoch != len(epochs)+1 || !bytes.HasSuffix(line, []byte("\n")) {
			return nil, errors.Errorf("line %d: found %q", len(epochs)+1, line)
		}
		epoch.Seconds, epoch.ImagesPerSecond = 0, 0
		epochs = append(epochs, epoch)
	}
	return epochs, nil
}

// inspectEvents checks the records of a TFRecord file: a length of 8 bytes and its
// checksum, and as many bytes and their checksum. The last may be cut off.
func inspectEvents(content []byte) (cut bool, err error) {
	masked := func(data []byte) uint32 {
		sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		return (sum>>15 | sum<<17) + 0xa282ead8
	}
	for record := 1; len(content) > 0; record++ {
		if len(content) < 12 {
			return true, nil
		}
		length := binary.LittleEndian.Uint64(content)
		if masked(content[:8]) != binary.LittleEndian.Uint32(content[8:]) || length > 1<<20 {
			return false, errors.Errorf("record %d has a wrong length", record)
		}
		if uint64(len(content)) < 16+length {
			return true, nil
		}
		if masked(content[12:12+length]) != binary.LittleEndian.Uint32(content[12+length:]) {
			return false, errors.Errorf("record %d has a wrong checksum", record)
		}
		content = content[16+length:]
	}
	return false, nil
}
