package explain_test

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// The picture has the images above, and below the color of the largest value at the common patch,
// dark colors elsewhere, and pale gray where the network sees nothing.
func TestPicture(t *testing.T) {
	preprocessing := imaging.Preprocessing{Size: imaging.Size{Height: 32, Width: 32, Channels: 1}, ShorterSide: 32}
	model := stripes(t, preprocessing, graph.GlobalAveragePool{})
	a, b := striped(64, 32, 8, image.Pt(20, 16), image.Pt(-100, -100)), striped(32, 32, 8, image.Pt(4, 4), image.Pt(-100, -100))
	found := explained(t, model, a, b)
	path := filepath.Join(t.TempDir(), "out.png")
	if err := os.WriteFile(path, []byte("an older file"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := found.WriteFile(path, explain.Named{Image: a, Title: "a.png"}, explain.Named{Image: b, Title: "b.png"}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	// Two squares of 420 pixels with gaps of 12; the images are 420 × 210 and 420 × 420 pixels, below
	// 52 pixels of text, and again 432 pixels below.
	if size := picture.Bounds().Size(); size.X != 876 || size.Y < 950 || size.Y > 1050 {
		t.Errorf("found a picture of %v", size)
	}
	at := func(left, top int, scale, x, y float64) color.NRGBA {
		return color.NRGBAModel.Convert(picture.At(left+int(x*scale), top+int(y*scale))).(color.NRGBA)
	}
	const left, right, above, below = 12, 444, 52 + 105, 52 + 432 + 105 // of image a, which is in the middle of its square
	isLight := func(c color.NRGBA) bool { return c.R > 150 && c.G > 150 && c.B < 130 }
	isDark := func(c color.NRGBA) bool { return c.R < 120 && c.G < 80 && c.B < 140 && c.B > c.G }
	for what, test := range map[string]struct {
		found color.NRGBA
		right func(color.NRGBA) bool
	}{
		"a, original":      {at(left, above, 420.0/64, 50, 16), func(c color.NRGBA) bool { return c == color.NRGBA{128, 128, 128, 255} }},
		"a, common patch":  {at(left, below, 420.0/64, 24, 20), isLight},
		"a, nothing there": {at(left, below, 420.0/64, 40, 20), isDark},
		"a, not seen":      {at(left, below, 420.0/64, 8, 20), func(c color.NRGBA) bool { return c.R == c.G && c.G == c.B && c.R > 180 }},
		"b, common patch":  {at(right, below-105, 420.0/32, 8, 8), isLight},
		"b, nothing there": {at(right, below-105, 420.0/32, 24, 8), isDark},
	} {
		if !test.right(test.found) {
			t.Errorf("%s: found the color %v", what, test.found)
		}
	}
}

func TestPictureRefuses(t *testing.T) {
	img := explain.Named{Image: picture(1, 20, 24), Title: "a"}
	found := explained(t, newModel(t, graph.GlobalAveragePool{}), img.Image, img.Image)
	short := *found
	short.B.Values = short.B.Values[:3]
	for want, draw := range map[string]func() error{
		"found nil, expected one of Explain": func() error { _, err := (*explain.Explanation)(nil).Picture(img, img); return err },
		"image 1: has no pixels":             func() error { _, err := found.Picture(img, explain.Named{}); return err },
		"map 1 has 3 values":                 func() error { _, err := short.Picture(img, img); return err },
		"image 0 has 20 × 24 pixels":         func() error { _, err := new(explain.Explanation).Picture(img, img); return err },
		"a file that ends in .png":           func() error { return found.WriteFile("out.jpg", img, img) },
		"no/such/folder":                     func() error { return found.WriteFile("no/such/folder/out.png", img, img) },
	} {
		if err := draw(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
}
