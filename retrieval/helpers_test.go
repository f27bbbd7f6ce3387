package retrieval_test

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
)

// drawing is a character: whether there is ink at a point of the unit square.
type drawing func(x, y float64) bool

// The stroke width is a twentieth of the side.
const pen = 0.025

func onLine(x, y, x0, y0, x1, y1 float64) bool {
	dx, dy := x1-x0, y1-y0
	along := max(0, min(1, ((x-x0)*dx+(y-y0)*dy)/(dx*dx+dy*dy)))
	return math.Hypot(x-x0-along*dx, y-y0-along*dy) < pen
}

// drawings are clearly different characters.
var drawings = map[string]drawing{
	"cross": func(x, y float64) bool {
		return onLine(x, y, 0.5, 0.2, 0.5, 0.8) || onLine(x, y, 0.2, 0.5, 0.8, 0.5)
	},
	"ring": func(x, y float64) bool { return math.Abs(math.Hypot(x-0.5, y-0.5)-0.3) < pen },
	"zigzag": func(x, y float64) bool {
		return onLine(x, y, 0.2, 0.25, 0.8, 0.25) || onLine(x, y, 0.8, 0.25, 0.2, 0.75) || onLine(x, y, 0.2, 0.75, 0.8, 0.75)
	},
	"comb": func(x, y float64) bool {
		return onLine(x, y, 0.25, 0.2, 0.25, 0.8) || onLine(x, y, 0.25, 0.25, 0.75, 0.25) || onLine(x, y, 0.25, 0.5, 0.75, 0.5) || onLine(x, y, 0.25, 0.75, 0.75, 0.75)
	},
}

// on draws in black on white, side × side pixels, with an offset.
func (d drawing) on(side, right, down int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.SetGray(x, y, color.Gray{Y: 255})
			if d((float64(x-right)+0.5)/float64(side), (float64(y-down)+0.5)/float64(side)) {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return img
}

func asPNG(t *testing.T, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

func asJPEG(t *testing.T, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, &jpeg.Options{Quality: 60}) })
}

func asGIF(t *testing.T, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) })
}

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write writes a file into a folder and returns its path.
func write(t *testing.T, folder, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
