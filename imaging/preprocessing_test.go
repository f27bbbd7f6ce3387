package imaging_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"pgregory.net/rapid"
)

func gray(height, width int) imaging.Preprocessing {
	return imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 1}}
}

func colored(height, width int) imaging.Preprocessing {
	return imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 3}}
}

// drawn returns an image of the given bytes as one of the types that decoders
// return.
func drawn(kind string, size imaging.Size, pixels []uint8) image.Image {
	bounds := image.Rect(0, 0, size.Width, size.Height)
	var img interface {
		image.Image
		Set(x, y int, c color.Color)
	}
	switch kind {
	case "Gray":
		img = image.NewGray(bounds)
	case "Gray16":
		img = image.NewGray16(bounds)
	case "Paletted":
		palette := make(color.Palette, 256)
		for i := range palette {
			palette[i] = color.Gray{Y: uint8(i)}
		}
		img = image.NewPaletted(bounds, palette)
	case "NRGBA":
		img = image.NewNRGBA(bounds)
	case "RGBA64":
		img = image.NewRGBA64(bounds)
	default:
		img = image.NewRGBA(bounds)
	}
	for i := 0; i < len(pixels); i += size.Channels {
		r, g, b := pixels[i], pixels[i], pixels[i]
		if size.Channels == 3 {
			g, b = pixels[i+1], pixels[i+2]
		}
		at := i / size.Channels
		img.Set(at%size.Width, at/size.Width, color.RGBA{R: r, G: g, B: b, A: 0xff})
	}
	return img
}

func TestPixelsOfTheRightSizeComeThroughExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := imaging.Size{
			Height:   rapid.IntRange(1, 8).Draw(t, "height"),
			Width:    rapid.IntRange(1, 8).Draw(t, "width"),
			Channels: rapid.SampledFrom([]int{1, 3}).Draw(t, "channels"),
		}
		kinds := []string{"RGBA", "NRGBA", "RGBA64"}
		if size.Channels == 1 {
			kinds = append(kinds, "Gray", "Gray16", "Paletted")
		}
		want := rapid.SliceOfN(rapid.Byte(), size.Len(), size.Len()).Draw(t, "pixels")
		img := drawn(rapid.SampledFrom(kinds).Draw(t, "kind"), size, want)
		if diff := cmp.Diff(want, imaging.Preprocessing{Size: size}.Pixels(img)); diff != "" {
			t.Error(diff)
		}
		for i, v := range (imaging.Preprocessing{Size: size, Invert: true}).Pixels(img) {
			if v != 255-want[i] {
				t.Fatalf("inverted value %d: found %d, expected %d", i, v, 255-want[i])
			}
		}
	})
}

func TestPixelsLeavesTheImageAlone(t *testing.T) {
	img := steps(2, 2)
	p := gray(2, 2)
	p.Invert = true
	p.Pixels(img)
	if diff := cmp.Diff([]uint8{0, 10, 20, 30}, img.Pix); diff != "" {
		t.Error(diff)
	}
}

// BT.601: 0.299 red + 0.587 green + 0.114 blue of 255.
func TestColorsBecomeGrays(t *testing.T) {
	img := drawn("RGBA", imaging.Size{Height: 1, Width: 4, Channels: 3}, []uint8{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255})
	if diff := cmp.Diff([]uint8{76, 150, 29, 255}, gray(1, 4).Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// opaque hides the type of an image, so that it is converted by package image/draw.
type opaque struct{ image.Image }

func TestGraysOfJPEGImages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		img := image.NewYCbCr(image.Rect(-3, 5, 38, 46), ratio)
		for _, plane := range [][]uint8{img.Y, img.Cb, img.Cr} {
			for i := range plane {
				plane[i] = uint8(random.UintN(256))
			}
		}
		part := img.SubImage(image.Rect(-2, 8, 37, 45))
		for _, img := range []image.Image{img, part} {
			size := img.Bounds().Size()
			if !bytes.Equal(gray(size.Y, size.X).Pixels(img), gray(size.Y, size.X).Pixels(opaque{img})) {
				t.Errorf("%v, %v: found other gray levels than those of image/draw", ratio, img.Bounds())
			}
		}
	}
}

func TestGraysBecomeColors(t *testing.T) {
	if diff := cmp.Diff([]uint8{0, 0, 0, 10, 10, 10}, colored(1, 2).Pixels(steps(2, 1))); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsTransparentShowsWhitePaper(t *testing.T) {
	clear, half, black := color.NRGBA{R: 9}, color.NRGBA{A: 128}, color.NRGBA{A: 255}
	img := image.NewNRGBA(image.Rect(0, 0, 3, 1))
	paletted := image.NewPaletted(img.Rect, color.Palette{clear, half, black})
	for x, c := range []color.NRGBA{clear, half, black} {
		img.Set(x, 0, c)
		paletted.SetColorIndex(x, 0, uint8(x))
	}
	want := []uint8{255, 127, 0}
	if diff := cmp.Diff(want, gray(1, 3).Pixels(img)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, gray(1, 3).Pixels(paletted)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint8{255, 255, 255, 127, 127, 127, 0, 0, 0}, colored(1, 3).Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// The four quarters of 0, 10, …, 150 in rows of four; the first is 0, 10, 40, 50.
func TestShrinkingAveragesAreas(t *testing.T) {
	if diff := cmp.Diff([]uint8{25, 45, 105, 125}, gray(2, 2).Pixels(steps(4, 4))); diff != "" {
		t.Error(diff)
	}
}

// areaMean is the naive reference: each source pixel counts by the area of it
// that the target pixel covers.
func areaMean(img *image.Gray, row, column, height, width int) float64 {
	overlap := func(i, n, j, m int) float64 { // of pixel i of n with pixel j of m, in pixels of n
		scale := float64(n) / float64(m)
		return max(0, min(float64(i+1), float64(j+1)*scale)-max(float64(i), float64(j)*scale))
	}
	var sum, area float64
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			weight := overlap(y, img.Rect.Dy(), row, height) * overlap(x, img.Rect.Dx(), column, width)
			sum += weight * float64(img.GrayAt(x, y).Y)
			area += weight
		}
	}
	return sum / area
}

// 105 to 28 pixels, as Omniglot is often shrunk. The library rounds by less than
// one.
func TestShrinkingByAFractionAveragesAreas(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 105, 105))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = uint8(r.IntN(256))
	}
	for i, v := range gray(28, 28).Pixels(img) {
		want := areaMean(img, i/28, i%28, 28, 28)
		if math.Abs(float64(v)-want) >= 1 {
			t.Fatalf("pixel %d: found %d, expected %.2f", i, v, want)
		}
	}
}

// Between the centers 0 and 100 of two pixels, which are two target pixels apart,
// lie a quarter and three quarters of the way.
func TestGrowingInterpolates(t *testing.T) {
	img := drawn("Gray", imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{0, 100})
	if diff := cmp.Diff([]uint8{0, 25, 75, 100}, gray(1, 4).Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

func TestFlatImagesStayFlat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 40)
		bounds := image.Rect(3, -2, 3+side.Draw(t, "width"), -2+side.Draw(t, "height")) // corners count for nothing
		img := image.NewGray(bounds)
		v := rapid.Byte().Draw(t, "gray")
		for i := range img.Pix {
			img.Pix[i] = v
		}
		for _, got := range gray(side.Draw(t, "new height"), side.Draw(t, "new width")).Pixels(img) {
			if got != v {
				t.Fatalf("found %d, expected %d", got, v)
			}
		}
	})
}

func TestPixelsOfAPartOfAnImage(t *testing.T) {
	part := steps(4, 4).SubImage(image.Rect(1, 1, 3, 3))
	if diff := cmp.Diff([]uint8{50, 60, 90, 100}, gray(2, 2).Pixels(part)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint8{75}, gray(1, 1).Pixels(part)); diff != "" {
		t.Error(diff)
	}
}

func TestNormalize(t *testing.T) {
	pixels := []uint8{0, 255, 51, 255, 0, 51}
	for _, test := range []struct {
		name string
		p    imaging.Preprocessing
		want []float32
	}{
		{"nothing given", colored(1, 2), []float32{0, 1, 0.2, 1, 0, 0.2}},
		{"one channel", imaging.Preprocessing{Size: imaging.Size{Height: 3, Width: 2, Channels: 1}, Mean: []float64{0.2}, StdDev: []float64{0.4}},
			[]float32{-0.5, 2, 0, 2, -0.5, 0}},
		{"three channels", imaging.Preprocessing{Size: imaging.Size{Height: 1, Width: 2, Channels: 3}, Mean: []float64{0, 1, 0.2}, StdDev: []float64{1, 2, 4}},
			[]float32{0, 0, 0, 1, -0.5, 0}},
	} {
		got := make([]float32, len(pixels))
		test.p.Normalize(got, pixels)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

func TestValidate(t *testing.T) {
	with := func(change func(*imaging.Preprocessing)) imaging.Preprocessing {
		p := colored(8, 8)
		p.Mean, p.StdDev = []float64{0.1, 0.2, 0.3}, []float64{1, 1, 1}
		change(&p)
		return p
	}
	for _, test := range []struct {
		p       imaging.Preprocessing
		message string // empty: valid
	}{
		{with(func(p *imaging.Preprocessing) {}), ""},
		{gray(1, 1), ""},
		{imaging.Preprocessing{}, "expected at least one"},
		{with(func(p *imaging.Preprocessing) { p.Size.Width = -1 }), "found -1 x 8 pixels"},
		{with(func(p *imaging.Preprocessing) { p.Size.Height = math.MaxInt }), "more than"},
		{with(func(p *imaging.Preprocessing) { p.Size.Channels = 2 }), "found 2 channels"},
		{with(func(p *imaging.Preprocessing) { p.Mean = []float64{1} }), "mean has 1 values"},
		{with(func(p *imaging.Preprocessing) { p.StdDev = []float64{1, 2, 3, 4} }), "deviation has 4 values"},
		{with(func(p *imaging.Preprocessing) { p.Mean[1] = math.NaN() }), "finite"},
		{with(func(p *imaging.Preprocessing) { p.StdDev[1] = math.Inf(1) }), "finite"},
		{with(func(p *imaging.Preprocessing) { p.StdDev[2] = 0 }), "positive"},
	} {
		err := test.p.Validate()
		if (err == nil) != (test.message == "") || err != nil && !strings.Contains(err.Error(), test.message) {
			t.Errorf("%+v: found %v, expected %q", test.p, err, test.message)
		}
	}
}

func TestPreprocessingIsStoredWhole(t *testing.T) {
	want := imaging.Preprocessing{
		Size: imaging.Size{Height: 28, Width: 30, Channels: 3}, Invert: true,
		ShorterSide: 34,
		Mean:        []float64{0.1, 0.2, 1.0 / 3}, StdDev: []float64{1, 2, 3},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON, fromTOML imaging.Preprocessing
	if err := json.Unmarshal(text, &fromJSON); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fromJSON); diff != "" {
		t.Error(diff)
	}
	var document bytes.Buffer
	if err := toml.NewEncoder(&document).Encode(want); err != nil {
		t.Fatal(err)
	}
	if _, err := toml.Decode(document.String(), &fromTOML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fromTOML); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(document.String(), "height = 28") {
		t.Errorf("expected lower-case keys, found\n%s", document.String())
	}
}

func BenchmarkPixels(b *testing.B) {
	var file bytes.Buffer
	if err := png.Encode(&file, steps(105, 105)); err != nil {
		b.Fatal(err)
	}
	img, err := png.Decode(&file)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		gray(28, 28).Pixels(img)
	}
}

// A picture shows the bytes that it is made of, in grays and in colors.
func TestImage(t *testing.T) {
	gray := imaging.Size{Height: 1, Width: 2, Channels: 1}.Image([]uint8{10, 20})
	if got := gray.At(1, 0); got != (color.Gray{Y: 20}) || gray.Bounds().Dx() != 2 {
		t.Errorf("found %v in %v, expected the gray 20", got, gray.Bounds())
	}
	colors := imaging.Size{Height: 2, Width: 1, Channels: 3}.Image([]uint8{1, 2, 3, 4, 5, 6})
	if got := colors.At(0, 1); got != (color.NRGBA{4, 5, 6, 255}) || colors.Bounds().Dy() != 2 {
		t.Errorf("found %v in %v, expected the color (4, 5, 6)", got, colors.Bounds())
	}
}
