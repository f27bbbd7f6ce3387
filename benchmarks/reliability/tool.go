package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// tool is the likeness command, built from this module.
type tool struct {
	path string
}

// buildTool builds the likeness command in a folder.
func buildTool(ctx context.Context, folder string) (tool, error) {
	// Commands that run at the same time would wait for the cache of the user, and warn.
	if err := os.Setenv("LIKENESS_NO_CACHE", "true"); err != nil {
		return tool{}, errors.WithStack(err)
	}
	path, err := filepath.Abs(filepath.Join(folder, "likeness"))
	if err != nil {
		return tool{}, errors.WithStack(err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/likeness-go/likeness/cmd/likeness")
	if said, err := build.CombinedOutput(); err != nil {
		return tool{}, errors.Wrapf(err, "build likeness: %s", said)
	}
	return tool{path}, nil
}

// temporary returns a temporary folder with the likeness command, and a function that removes it.
func temporary(ctx context.Context) (folder string, t tool, remove func(), err error) {
	if folder, err = os.MkdirTemp("", "reliability-"); err != nil {
		return "", tool{}, nil, errors.WithStack(err)
	}
	remove = func() { os.RemoveAll(folder) }
	if t, err = buildTool(ctx, folder); err != nil {
		remove()
	}
	return folder, t, remove, err
}

// command returns a command that runs likeness in a folder.
func (t tool) command(ctx context.Context, folder string, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, t.path, arguments...)
	c.Dir = folder
	return c
}

// run runs likeness in a folder; it must succeed.
func (t tool) run(ctx context.Context, folder string, arguments ...string) error {
	var said bytes.Buffer
	c := t.command(ctx, folder, arguments...)
	c.Stderr = &said
	return errors.Wrapf(c.Run(), "likeness %s: %s", strings.Join(arguments, " "), &said)
}

// smallNetwork is a network that trains very fast.
const smallNetwork = `name = "small"
input = { height = 12, width = 12, channels = 1 }

[[block]]
kind = "conv"
filters = 4
kernel = 3
activation = "relu"
pool = 2

[[block]]
kind = "flatten"

[[block]]
kind = "linear"
units = 4
`

// material is the input of the checks: a small data set, a small network, and the run folder
// of an undisturbed training.
type material struct {
	likeness tool
	folder   string
	training []string      // arguments of the training without --out
	whole    string        // run folder of the undisturbed training
	took     time.Duration // duration of the undisturbed training
	changes  int           // number of random changes of an image in each format
	sample   bool          // some attacks stand for others of their kind
	model    string        // model of attacks that do not depend on its distances
}

// newMaterial writes the data set and runs the undisturbed training.
func newMaterial(ctx context.Context, likeness tool, folder string) (material, error) {
	m := material{likeness: likeness, folder: folder, whole: filepath.Join(folder, "whole"), changes: 10, model: "omniglot"}
	network := filepath.Join(folder, "small.toml")
	m.training = []string{
		"train", "--data", filepath.Join(folder, "bars"), "--backbone", network, "--objective", "contrastive", "--batch", "8",
		"--epochs", "40", "--ema-decay", "0.9", "--augment", "0.5", "--tensorboard", "--threads", "1",
	}
	if err := os.WriteFile(network, []byte(smallNetwork), 0o666); err != nil {
		return m, errors.WithStack(err)
	}
	for class := range 6 {
		for i := range 20 {
			if err := m.drawBar(class, i); err != nil {
				return m, err
			}
		}
	}
	start := time.Now()
	err := likeness.run(ctx, folder, m.train(m.whole)...)
	m.took = time.Since(start)
	if err == nil {
		_, err = inspect(m.whole)
	}
	return m, err
}

// train returns the arguments of the training with a run folder.
func (m material) train(run string) []string {
	return append(slices.Clone(m.training), "--out", run)
}

// images returns the folder of the images of a class.
func (m material) images(class int) string {
	return filepath.Join(m.folder, "bars", "bar"+strconv.Itoa(class))
}

// drawBar writes an image of a class: noise with a bar at the class's position.
func (m material) drawBar(class, i int) error {
	img := image.NewGray(image.Rect(0, 0, 12, 12))
	noise := random.New(uint64(i), "noise", class)
	for y := range 12 {
		for x := range 12 {
			value := noise.IntN(100)
			if x/2 == class {
				value += 150
			}
			img.SetGray(x, y, color.Gray{Y: uint8(value)})
		}
	}
	if err := os.MkdirAll(m.images(class), 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(m.images(class), strconv.Itoa(i)+".png")
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, img) })
}

// leftovers counts harmless incomplete files in a run folder.
type leftovers struct {
	temporary int // temporary files of atomic writes
	cut       int // event files whose last record is truncated
}

// inspect reads every file of a run folder completely. A damaged or unknown file is an error.
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
		return errors.WithMessagef(err, "%s is damaged", path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the folder does not exist yet
	}
	return left, errors.WithStack(err)
}

// inspectFile checks a file of a run according to its name.
func inspectFile(path string, content []byte) (cut bool, err error) {
	switch name := filepath.Base(path); {
	case name == ".lock":
		if len(content) > 0 {
			err = errors.New("found a lock file with content, expected an empty one")
		}
	case strings.HasSuffix(name, ".safetensors"):
		_, err = safetensors.ReadFile(path)
	case strings.HasSuffix(name, ".png"):
		_, err = png.Decode(bytes.NewReader(content))
	case name == "config.toml":
		var settings map[string]any
		err = toml.Unmarshal(content, &settings)
		if err == nil && settings["seed"] == nil {
			err = errors.New("found no seed")
		}
	case name == "metrics.jsonl":
		_, err = epochs(content)
	case name == "result.json":
		_, err = report.Load(path)
	case name == "report.html":
		if !bytes.HasSuffix(bytes.TrimSpace(content), []byte("</html>")) {
			err = errors.New("found no </html> at the end")
		}
	case name == "tensors.tsv", name == "metadata.tsv", name == "projector_config.pbtxt":
		if !bytes.HasSuffix(content, []byte("\n")) {
			err = errors.New("found no newline at the end")
		}
	case strings.Contains(name, "tfevents"):
		cut, err = inspectEvents(content)
	default:
		err = errors.New("found a file that is not part of a run")
	}
	return cut, err
}

// epochs decodes a metrics.jsonl, whose lines must be complete and numbered from 1, and
// clears the durations.
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

// inspectEvents checks the records of a TFRecord file: a length of 8 bytes, its checksum, the
// data and its checksum. The last record may be truncated.
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
