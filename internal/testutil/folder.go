package testutil

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

// TinyNetwork is the TOML of a backbone for images of 12x12x1 that trains in no time.
const TinyNetwork = `
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

// InFolder makes the test's working directory an empty folder, with TinyNetwork in
// tiny.toml.
func InFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	Write(t, "tiny.toml", TinyNetwork)
}

// Bars writes a folder of classes, each a bar at its own position in noise: Bar with a
// side of 12 pixels.
func Bars(t testing.TB, folder string, classes, images int) {
	t.Helper()
	for class := range classes {
		for i := range images {
			Write(t, filepath.Join(folder, "bar"+strconv.Itoa(class), strconv.Itoa(i)+".png"), Bar(t, class, uint64(i), 12))
		}
	}
}

// Bar is a PNG of noise with a bar at the position, side × side gray pixels.
func Bar(t testing.TB, position int, seed uint64, side int) string {
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
	return Encode(t, img)
}

// Red is a PNG with color.
func Red(t testing.TB, side int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = 255
		if i%4 == 1 || i%4 == 2 {
			img.Pix[i] = uint8(i % 50)
		}
	}
	return Encode(t, img)
}

// Encode is the image as PNG.
func Encode(t testing.TB, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Write writes a file and the folders that it is in.
func Write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Read is the content of a file, whose path is given in parts.
func Read(t testing.TB, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
