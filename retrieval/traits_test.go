package retrieval_test

import (
	"context"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// Of four pixels one is red, one black, one medium gray and one white. Red has the gray
// value 76: a halftone and no ink for a model of light ink.
func TestMeasureImage(t *testing.T) {
	img := image.NewRGBA(image.Rect(5, 5, 7, 7))
	for i, c := range []color.RGBA{{255, 0, 0, 255}, {0, 0, 0, 255}, {130, 110, 139, 255}, {255, 255, 255, 255}} {
		img.SetRGBA(5+i%2, 5+i/2, c)
	}
	p := imaging.Preprocessing{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}}
	light := float64(76+0+119+255) / 4 / 255
	want := retrieval.Traits{Colored: 0.25, Ink: 0.25, Halftone: 0.5, Brightness: light}
	if diff := cmp.Diff(want, retrieval.MeasureImage(p, img), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.Invert = true
	want.Ink, want.Brightness = 0.75, 1-light
	if diff := cmp.Diff(want, retrieval.MeasureImage(p, img), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("inverted (-want +got):\n%s", diff)
	}
}

// landscape returns an image with a sky, hills of a color, and noise.
func landscape(side int, hills color.RGBA) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	noise := random.New(1, "noise")
	for y := range side {
		for x := range side {
			shade := func(v uint8) uint8 { return uint8(min(255, int(v)*(side+y)/(2*side)+noise.IntN(20))) }
			c := color.RGBA{shade(120), shade(150), shade(230), 255}
			if float64(y) > float64(side)*(0.5+0.2*math.Sin(float64(x)/10)) {
				c = color.RGBA{shade(hills.R), shade(hills.G), shade(hills.B), 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

// gray converts an image to grayscale.
func gray(img image.Image) image.Image {
	bounds := img.Bounds()
	result := image.NewGray(bounds)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			result.Set(x, y, img.At(x, y))
		}
	}
	return result
}

// repainted replaces each gray value by a color.
func repainted(img *image.Gray, paint func(gray uint8) color.RGBA) image.Image {
	result := image.NewRGBA(img.Rect)
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			result.SetRGBA(x, y, paint(img.GrayAt(x, y).Y))
		}
	}
	return result
}

// The model of characters accepts drawings, also in blue ink on yellowed paper, and rejects
// photographs, negatives and faint pencil with the reason.
func TestCharacterModel(t *testing.T) {
	p := characterModel(t).Preprocessing
	ring := drawings["ring"].on(105, 0, 0)
	for _, test := range []struct {
		name   string
		img    image.Image
		reason []string // nil: it suits
	}{
		{"a drawing", ring, nil},
		{"a large drawing", drawings["comb"].on(300, 0, 0), nil},
		{"in blue ink on yellowed paper", repainted(ring, func(v uint8) color.RGBA {
			if v == 0 {
				return color.RGBA{40, 60, 160, 255}
			}
			return color.RGBA{250, 240, 215, 255}
		}), nil},
		{"a color photograph", landscape(100, color.RGBA{60, 140, 50, 255}), []string{"for grayscale images", "colored", "at most 20 %"}},
		{"a gray photograph", gray(landscape(100, color.RGBA{230, 230, 200, 255})), []string{"photographs", "at most 30 %"}},
		{"a negative", repainted(ring, func(v uint8) color.RGBA { return color.RGBA{255 - v, 255 - v, 255 - v, 255} }), []string{"light on dark", "the training images was 0.14", "invert the images"}},
		{"faint pencil", repainted(ring, func(v uint8) color.RGBA { return color.RGBA{200 + v/10, 200 + v/10, 200 + v/10, 255} }), []string{"at least half of the images have no ink"}},
		{"half black", func() image.Image {
			img := image.NewGray(image.Rect(0, 0, 100, 100))
			for i := range img.Pix[:4500] {
				img.Pix[i] = 255
			}
			return img
		}(), []string{"55 % of the pixels are ink", "at most 40 %"}},
	} {
		traits := retrieval.MeasureImage(p, test.img)
		err := retrieval.CheckTraits(p, []retrieval.Traits{traits})
		if (err == nil) != (test.reason == nil) || err != nil && !errors.Is(err, retrieval.ErrUnsuitable) {
			t.Errorf("%s, %+v: found %v, expected %q", test.name, traits, err, test.reason)
			continue
		}
		for _, text := range test.reason {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: found %q, expected %q in it", test.name, err, text)
			}
		}
	}
}

// A model of photographs accepts images of any brightness, and a color model without a mean
// and without a crop accepts any image.
func TestOtherModels(t *testing.T) {
	photograph := landscape(100, color.RGBA{60, 140, 50, 255})
	size := imaging.Size{Height: 32, Width: 32, Channels: 3}
	for name, p := range map[string]imaging.Preprocessing{
		"of photographs": {Size: size, Mean: []float64{0.49, 0.48, 0.45}},
		"of anything":    {Size: size},
	} {
		for _, img := range []image.Image{photograph, gray(photograph), drawings["ring"].on(105, 0, 0)} {
			if err := retrieval.CheckTraits(p, []retrieval.Traits{retrieval.MeasureImage(p, img)}); err != nil {
				t.Errorf("a model %s: found error %v", name, err)
			}
		}
	}
	p := imaging.Preprocessing{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}, Mean: []float64{0.13}} // MNIST's
	err := retrieval.CheckTraits(p, []retrieval.Traits{retrieval.MeasureImage(p, drawings["ring"].on(105, 0, 0))})
	if err == nil || !strings.Contains(err.Error(), "light ink on a dark background") {
		t.Errorf("a model of white digits on black says of a black drawing on white: %v", err)
	}
}

// The median is decisive: a few outliers among many images and an empty list are no error.
func TestCheckTraitsMedian(t *testing.T) {
	p := imaging.Preprocessing{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}}
	plain, colorful := retrieval.Traits{}, retrieval.Traits{Colored: 0.9}
	for _, test := range []struct {
		traits []retrieval.Traits
		suits  bool
	}{
		{nil, true},
		{[]retrieval.Traits{colorful, plain, plain}, true},
		{[]retrieval.Traits{colorful, plain, colorful}, false},
	} {
		if err := retrieval.CheckTraits(p, test.traits); (err == nil) != test.suits {
			t.Errorf("%v: found %v", test.traits, err)
		}
	}
}

// Files are measured evenly spaced, and unreadable images are skipped.
func TestMeasureFiles(t *testing.T) {
	folder := t.TempDir()
	p := imaging.Preprocessing{Size: imaging.Size{Height: 1, Width: 1, Channels: 1}}
	var files []string
	for i := range 10 { // as bright as its number
		img := &image.Gray{Pix: []uint8{uint8(i)}, Stride: 1, Rect: image.Rect(0, 0, 1, 1)}
		files = append(files, write(t, folder, string(rune('0'+i))+".png", asPNG(t, img)))
	}
	files[5] = write(t, folder, "5.png", []byte("no image"))
	for most, want := range map[int][]int{3: {0, 3, 6}, 5: {0, 2, 4, 6, 8}, 100: {0, 1, 2, 3, 4, 6, 7, 8, 9}} {
		traits, err := retrieval.MeasureFiles(context.Background(), p, files, most, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, m := range traits {
			got = append(got, int(math.Round(m.Brightness*255)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of at most %d (-want +got):\n%s", most, diff)
		}
	}
}

// The second call finds all traits in the cache, with the same bits, and reads no file that
// has not changed; one that was moved is read, and one that changed is measured again.
func TestMeasureFilesWithCache(t *testing.T) {
	folder := t.TempDir()
	p := characterModel(t).Preprocessing
	files := images(t, folder, 6)
	broken := write(t, folder, "broken.png", []byte("no image"))
	age(t, broken)
	files = append(files, broken)
	c := openCache(t, filepath.Join(folder, "embeddings.db"), cache.Options{})
	measure := func(p imaging.Preprocessing, c *cache.Cache, files ...string) []retrieval.Traits {
		t.Helper()
		traits, err := retrieval.MeasureFiles(t.Context(), p, files, 100, c)
		if err != nil {
			t.Fatal(err)
		}
		return traits
	}
	want := measure(p, nil, files...)
	inverted := p
	inverted.Invert = !p.Invert
	if diff := cmp.Diff(want, measure(p, c, files...)); diff != "" || len(want) != 6 {
		t.Errorf("first call (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(measure(inverted, nil, files...), measure(inverted, c, files...)); diff != "" {
		t.Errorf("another preprocessing (-want +got):\n%s", diff)
	}
	moved := filepath.Join(folder, "moved.png")
	if err := os.Rename(files[5], moved); err != nil {
		t.Fatal(err)
	}
	files[5] = moved
	if diff := cmp.Diff(want, measure(p, c, files...)); diff != "" {
		t.Errorf("after a file was moved (-want +got):\n%s", diff)
	}
	for _, file := range files[:6] { // the same size and time, so that only reading it would show it
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, info.Size()), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, measure(p, c, files...)); diff != "" {
		t.Errorf("files that must not be read (-want +got):\n%s", diff)
	}
	write(t, folder, filepath.Base(files[0]), asPNG(t, drawings["ring"].on(60, 0, 0)))
	changed := measure(p, nil, files[0])
	if diff := cmp.Diff(append(changed, want[1:]...), measure(p, c, files...)); diff != "" || cmp.Equal(changed, want[:1]) {
		t.Errorf("after a file changed (-want +got):\n%s", diff)
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// brokenImage panics, as an image of another package may.
type brokenImage struct{ image.Image }

func (brokenImage) At(int, int) color.Color { panic("broken") }

// What cannot be measured has traits that are no numbers, which no model accepts.
func TestTraitsOfNoImage(t *testing.T) {
	p := imaging.Preprocessing{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}}
	whole := image.NewGray(image.Rect(0, 0, 2, 2))
	for name, traits := range map[string]retrieval.Traits{
		"no image":                 retrieval.MeasureImage(p, nil),
		"an empty image":           retrieval.MeasureImage(p, image.NewGray(image.Rectangle{})),
		"no size":                  retrieval.MeasureImage(imaging.Preprocessing{}, whole),
		"an image that panics":     retrieval.MeasureImage(p, brokenImage{whole}),
		"a deviation of no number": retrieval.MeasureImage(imaging.Preprocessing{Size: p.Size, StdDev: []float64{math.NaN()}}, whole),
	} {
		if !math.IsNaN(traits.Brightness) || !math.IsNaN(traits.Colored) || !math.IsNaN(traits.Ink) || !math.IsNaN(traits.Halftone) {
			t.Errorf("%s: found %+v, expected NaN", name, traits)
		}
		err := retrieval.CheckTraits(p, []retrieval.Traits{retrieval.MeasureImage(p, whole), traits})
		if err == nil || errors.Is(err, retrieval.ErrUnsuitable) || !strings.Contains(err.Error(), "the traits of image 1 are NaN") {
			t.Errorf("%s: found error %v", name, err)
		}
	}
}
