package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

// tinyNetwork is a backbone that trains in no time.
const tinyNetwork = `
name = "tiny"
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

// inFolder makes the test's working directory an empty folder, with the tiny
// network in tiny.toml.
func inFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "tiny.toml", tinyNetwork)
}

// bars writes a folder of classes: bars at a position each, in noise.
func bars(t *testing.T, folder string, classes, images int) {
	t.Helper()
	for class := range classes {
		for i := range images {
			write(t, filepath.Join(folder, "bar"+strconv.Itoa(class), strconv.Itoa(i)+".png"), bar(t, class, uint64(i), 12))
		}
	}
}

// bar is a PNG of noise with a bar at the position, side × side greys.
func bar(t *testing.T, position int, seed uint64, side int) string {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, side, side))
	noise := random.New(seed, "noise", position)
	for y := range side {
		for x := range side {
			value := noise.IntN(100)
			if x*12/side/2 == position {
				value += 150
			}
			img.SetGray(x, y, color.Gray{Y: uint8(value)})
		}
	}
	return encode(t, img)
}

// red is a PNG with colour.
func red(t *testing.T, side int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = 255
		if i%4 == 1 || i%4 == 2 {
			img.Pix[i] = uint8(i % 50)
		}
	}
	return encode(t, img)
}

func encode(t *testing.T, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// tool runs the program, which must succeed.
func tool(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runTool(args...)
	if code != success {
		t.Fatalf("likeness %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout, stderr
}

// toolFails runs the program, which must fail with the code and one line that
// has all the texts.
func toolFails(t *testing.T, code int, texts []string, args ...string) {
	t.Helper()
	found, _, stderr := runTool(args...)
	if found != code {
		t.Errorf("likeness %s: exit code %d, want %d\n%s", strings.Join(args, " "), found, code, stderr)
		return
	}
	if strings.Count(stderr, "\n") != 1 {
		t.Errorf("likeness %s: want one line, found\n%s", strings.Join(args, " "), stderr)
	}
	for _, text := range texts {
		if !strings.Contains(stderr, text) {
			t.Errorf("likeness %s: want %q in\n%s", strings.Join(args, " "), text, stderr)
		}
	}
}

// withoutProgress leaves out the lines that say how far a measurement is, which there
// are only where it takes long.
func withoutProgress(said string) string {
	lines := slices.Collect(strings.Lines(said))
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, " images measured\n") }), "")
}

func runTool(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}
