package imaging_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"pgregory.net/rapid"
)

// centered is the preprocessing of height × width pixels from the center of images whose
// shorter side is resized to shorter pixels.
func centered(height, width, channels, shorter int) imaging.Preprocessing {
	return imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: channels}, ShorterSide: shorter}
}

// Without resizing, the crop of two columns begins at round((width − 2)/2), where torchvision
// rounds halves to the even number.
func TestCenterCropBeginsWhereTorchvisionBegins(t *testing.T) {
	for width, begin := range map[int]int{2: 0, 3: 0, 4: 1, 5: 2, 6: 2, 7: 2, 8: 3, 9: 4} {
		row := image.NewGray(image.Rect(0, 0, width, 2))
		column := image.NewGray(image.Rect(0, 0, 2, width))
		for i := range width {
			for j := range 2 {
				row.SetGray(i, j, color.Gray{Y: uint8(10*i + j)})
				column.SetGray(j, i, color.Gray{Y: uint8(10*i + j)})
			}
		}
		v := uint8(10 * begin)
		if diff := cmp.Diff([]uint8{v, v + 10, v + 1, v + 11}, centered(2, 2, 1, 2).Pixels(row)); diff != "" {
			t.Errorf("%d columns: %s", width, diff)
		}
		if diff := cmp.Diff([]uint8{v, v + 1, v + 10, v + 11}, centered(2, 2, 1, 2).Pixels(column)); diff != "" {
			t.Errorf("%d rows: %s", width, diff)
		}
	}
}

// 4 rows of 8 are resized to 2 rows of 4, each pixel the mean of four, and columns 1 and 2 of
// these are kept.
func TestCenterCropOfHalfTheSizeByHand(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 8, 4))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 8 * 10)
	}
	if diff := cmp.Diff([]uint8{25, 45, 25, 45}, centered(2, 2, 1, 2).Pixels(img)); diff != "" {
		t.Error(diff)
	}
	inverted := centered(2, 2, 1, 2)
	inverted.Invert = true
	if diff := cmp.Diff([]uint8{230, 210, 230, 210}, inverted.Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// naiveCenter resizes the whole image by explicit overlaps of areas, or by interpolation
// between the nearest two pixels if it grows, and crops afterward.
func naiveCenter(pixels []uint8, own, size imaging.Size, shorter int) []float64 {
	short := min(own.Height, own.Width)
	weights := func(side int) (weights [][]float64) { // of each pixel of the resized side
		resized := shorter * side / short
		step := float64(side) / float64(resized)
		for target := range resized {
			row := make([]float64, side)
			for source := range row {
				if step >= 1 {
					begin, end := math.Max(float64(source), float64(target)*step), math.Min(float64(source+1), float64(target+1)*step)
					row[source] = math.Max(0, end-begin) / step
				}
			}
			if step < 1 {
				at := min(max((float64(target)+0.5)*step-0.5, 0), float64(side-1))
				low := int(at)
				row[low] = 1 - (at - float64(low))
				if low+1 < side {
					row[low+1] = at - float64(low)
				}
			}
			weights = append(weights, row)
		}
		return weights
	}
	rows, columns := weights(own.Height), weights(own.Width)
	top, left := int(math.RoundToEven(float64(len(rows)-size.Height)/2)), int(math.RoundToEven(float64(len(columns)-size.Width)/2))
	var values []float64
	for _, row := range rows[top : top+size.Height] {
		for _, column := range columns[left : left+size.Width] {
			for c := range size.Channels {
				sum := 0.0
				for y, a := range row {
					for x, b := range column {
						if a > 0 && b > 0 {
							sum += a * b * float64(pixels[(y*own.Width+x)*size.Channels+c])
						}
					}
				}
				values = append(values, sum)
			}
		}
	}
	return values
}

func TestCenterCropEqualsNaiveResizeAndCrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels")
		own := imaging.Size{Height: rapid.IntRange(1, 40).Draw(t, "height"), Width: rapid.IntRange(1, 40).Draw(t, "width"), Channels: channels}
		size := imaging.Size{Height: rapid.IntRange(1, 9).Draw(t, "rows"), Width: rapid.IntRange(1, 9).Draw(t, "columns"), Channels: channels}
		shorter := rapid.IntRange(max(size.Height, size.Width), 30).Draw(t, "shorter")
		pixels := rapid.SliceOfN(rapid.Byte(), own.Len(), own.Len()).Draw(t, "pixels")
		img := drawn(rapid.SampledFrom([]string{"RGBA", "NRGBA", "RGBA64"}).Draw(t, "kind"), own, pixels)
		p := imaging.Preprocessing{Size: size, ShorterSide: shorter}
		got, err := p.Prepare(img)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range naiveCenter(pixels, own, size, shorter) {
			if math.Abs(float64(got[i])-want) > 0.5+1e-9 {
				t.Fatalf("value %d of %v from %v: found %d, expected %v", i, size, own, got[i], want)
			}
		}
	})
}

// window is an image without SubImage that records which pixels are read.
type window struct {
	bounds image.Rectangle
	read   image.Rectangle
}

func (w *window) ColorModel() color.Model { return color.GrayModel }
func (w *window) Bounds() image.Rectangle { return w.bounds }
func (w *window) At(x, y int) color.Color {
	w.read = w.read.Union(image.Rect(x, y, x+1, y+1))
	return color.Gray{Y: uint8(x)}
}

// Of 1000 × 100 pixels that are resized to 100 × 10, the center of 10 × 10 depends on the
// columns 450 to 549, and one more on each side is within the reach of the kernel.
func TestCenterCropReadsTheCenterOnly(t *testing.T) {
	for _, channels := range []int{1, 3} {
		img := &window{bounds: image.Rect(-7, 3, 993, 103)}
		pixels := centered(10, 10, channels, 10).Pixels(img)
		if want := image.Rect(443, 3, 543, 103); !want.In(img.read) || !img.read.In(image.Rect(442, 3, 544, 103)) {
			t.Errorf("%d channels: read %v, expected about %v", channels, img.read, want)
		}
		plain := image.NewGray(img.bounds)
		for y := img.bounds.Min.Y; y < img.bounds.Max.Y; y++ {
			for x := img.bounds.Min.X; x < img.bounds.Max.X; x++ {
				plain.Set(x, y, img.At(x, y))
			}
		}
		if diff := cmp.Diff(centered(10, 10, channels, 10).Pixels(plain), pixels); diff != "" {
			t.Errorf("%d channels: %s", channels, diff)
		}
	}
}

// Colors of a JPEG image may have half the resolution, so that the edge of the center can lie
// within a pixel of theirs.
func TestCenterCropOfSubsampledColors(t *testing.T) {
	whole := image.NewYCbCr(image.Rect(0, 0, 11, 4), image.YCbCrSubsampleRatio420)
	for i := range whole.Y {
		whole.Y[i] = uint8(5 * i)
	}
	for i := range whole.Cb {
		whole.Cb[i], whole.Cr[i] = uint8(9*i), uint8(250-9*i)
	}
	rgba := image.NewRGBA(whole.Rect)
	for y := range 4 {
		for x := range 11 {
			rgba.Set(x, y, whole.At(x, y))
		}
	}
	if diff := cmp.Diff(centered(4, 4, 3, 4).Pixels(rgba), centered(4, 4, 3, 4).Pixels(whole)); diff != "" {
		t.Error(diff)
	}
}

func TestShorterSideIsValidated(t *testing.T) {
	valid := centered(4, 6, 1, 6)
	if err := valid.Validate(); err != nil {
		t.Error(err)
	}
	both := valid
	both.Crop = &imaging.Crop{Margin: 1}
	for expected, p := range map[string]imaging.Preprocessing{
		"the shorter side is 5 pixels, expected 6 to 65536": centered(4, 6, 1, 5),
		"the shorter side is -1 pixels":                     centered(4, 6, 1, -1),
		fmt.Sprintf("the shorter side is %d", 1<<16+1):      centered(4, 6, 1, 1<<16+1),
		"found a shorter side and a crop to the foreground": both,
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("found %v, expected %q", err, expected)
		}
		if p.Pixels(image.NewGray(image.Rect(0, 0, 9, 9))) != nil {
			t.Errorf("%+v: found pixels, expected none of an invalid preprocessing", p)
		}
	}
	for size, want := range map[int]int{224: 256, 28: 32, 299: 342, 1: 1, 0: 0} {
		if got := imaging.DefaultShorterSide(imaging.Size{Height: size, Width: 1}); got != max(want, 1) {
			t.Errorf("size %d: found %d, expected %d", size, got, want)
		}
	}
}

// The widest and the narrowest image that Decode accepts take no more memory than others.
func TestCenterCropOfExtremeAspectRatios(t *testing.T) {
	for _, bounds := range []image.Rectangle{image.Rect(0, 0, imaging.MaxSide, 1), image.Rect(0, 0, 1, imaging.MaxSide)} {
		img := image.NewGray(bounds)
		for i := range img.Pix {
			img.Pix[i] = 7
		}
		got, err := centered(8, 8, 1, imaging.MaxSide).Prepare(img)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range got {
			if v != 7 {
				t.Fatalf("%v: found %v, expected 7 everywhere", bounds, got)
			}
		}
	}
}

// A JPEG image is decoded at a size of which the shorter side is still long enough.
func TestScaledJPEGOfTheCenter(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 128, 80))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 128)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, nil); err != nil {
		t.Fatal(err)
	}
	for shorter, want := range map[int]image.Point{0: {16, 10}, 10: {16, 10}, 11: {32, 20}, 20: {32, 20}, 40: {64, 40}, 41: {128, 80}} {
		p := centered(10, 10, 1, shorter)
		p.ScaledJPEG = true
		decoded, err := p.Decode(bytes.NewReader(file.Bytes()), "a.jpg")
		if err != nil || decoded.Bounds().Size() != want {
			t.Errorf("shorter side %d: found the size %v, error %v, expected %v", shorter, decoded.Bounds().Size(), err, want)
		}
	}
}
