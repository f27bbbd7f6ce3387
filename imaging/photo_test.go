package imaging_test

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"image"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
)

// generated is the image of testdata/photo.py.
func generated(size imaging.Size) []uint8 {
	var pixels []uint8
	for y := range size.Height {
		for x := range size.Width {
			for c := range size.Channels {
				pixels = append(pixels, uint8(37*y*y+11*x*x*(c+1)+29*x*y+83*c))
			}
		}
	}
	return pixels
}

//go:embed testdata/photo.txt
var torchvision string

// Each operation by fixed parameters gives what torchvision gives, within one level. Changes of the
// color differ in few values, where the rounding of float32 decides. Weighted means differ in more,
// because they are rounded after each of the two axes.
func TestTorchvision(t *testing.T) {
	seen := map[string]int{}
	for line := range strings.Lines(torchvision) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSpace(line), "|")
		var values []float64
		for _, text := range strings.Fields(fields[1]) {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		var size imaging.Size
		if _, err := fmt.Sscan(fields[2], &size.Height, &size.Width, &size.Channels); err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		got := generated(size)
		differing := 0.02 // the share that may differ
		switch fields[0] {
		case "brightness":
			err = imaging.AdjustBrightness(got, size, values[0])
		case "contrast":
			err = imaging.AdjustContrast(got, size, values[0])
		case "saturation":
			err = imaging.AdjustSaturation(got, size, values[0])
		case "hue":
			err = imaging.AdjustHue(got, size, values[0])
		case "grayscale":
			err = imaging.Grayscale(got, size)
		case "flip":
			err = imaging.FlipHorizontal(got, size)
		case "blur":
			differing = 0.4
			err = imaging.GaussianBlur(got, size, int(values[0]), values[1])
		case "crop":
			differing = 0.1
			to := imaging.Size{Height: int(values[4]), Width: int(values[5]), Channels: size.Channels}
			top, left, height, width := int(values[0]), int(values[1]), int(values[2]), int(values[3])
			resized := make([]uint8, to.Len())
			err = imaging.ResizedCrop(resized, to, got, size, image.Rect(left, top, left+width, top+height))
			got = resized
		default:
			t.Fatalf("unknown operation %s", fields[0])
		}
		if err != nil || len(got) != len(want) {
			t.Errorf("%s %s: found %d values (%v), expected %d", fields[0], fields[1], len(got), err, len(want))
			continue
		}
		seen[fields[0]]++
		differ := 0
		for i := range want {
			difference := int(got[i]) - int(want[i])
			if difference != 0 {
				differ++
			}
			if difference < -1 || difference > 1 {
				t.Errorf("%s %s of %v: found %d at %d, expected %d", fields[0], fields[1], size, got[i], i, want[i])
			}
		}
		if float64(differ) > differing*float64(len(want)) {
			t.Errorf("%s %s of %v: %d of %d values differ by one, expected at most %v of them", fields[0], fields[1], size, differ, len(want), differing)
		}
	}
	if want := map[string]int{"brightness": 6, "contrast": 6, "saturation": 6, "hue": 8, "grayscale": 2, "flip": 2, "blur": 6, "crop": 8}; !cmp.Equal(want, seen) {
		t.Errorf("compared %v, expected %v", seen, want)
	}
}

// What changes nothing changes no bit: the factor 1, no shift of the hue, a Gaussian of one pixel
// and a crop to the whole image at its size. A crop depends on no pixel outside its rectangle.
func TestIdentities(t *testing.T) {
	for _, size := range []imaging.Size{{Height: 5, Width: 7, Channels: 3}, {Height: 6, Width: 1, Channels: 1}, {Height: 1, Width: 1, Channels: 3}} {
		for name, operation := range map[string]func(pixels []uint8) error{
			"brightness": func(p []uint8) error { return imaging.AdjustBrightness(p, size, 1) },
			"contrast":   func(p []uint8) error { return imaging.AdjustContrast(p, size, 1) },
			"saturation": func(p []uint8) error { return imaging.AdjustSaturation(p, size, 1) },
			"hue":        func(p []uint8) error { return imaging.AdjustHue(p, size, 0) },
			"blur":       func(p []uint8) error { return imaging.GaussianBlur(p, size, 1, 3) },
			"sharp blur": func(p []uint8) error { return imaging.GaussianBlur(p, size, 9, 0.01) },
			"crop": func(p []uint8) error {
				return imaging.ResizedCrop(p, size, generated(size), size, image.Rect(0, 0, size.Width, size.Height))
			},
			"two flips": func(p []uint8) error {
				if err := imaging.FlipHorizontal(p, size); err != nil {
					return err
				}
				return imaging.FlipHorizontal(p, size)
			},
		} {
			pixels := generated(size)
			if err := operation(pixels); err != nil || !cmp.Equal(generated(size), pixels) {
				t.Errorf("%s of %v (%v):\n%s", name, size, err, cmp.Diff(generated(size), pixels))
			}
		}
	}
	from, to := imaging.Size{Height: 9, Width: 8, Channels: 3}, imaging.Size{Height: 4, Width: 5, Channels: 3}
	crop := image.Rect(2, 3, 7, 8)
	var results [2][]uint8
	for i := range results {
		src := generated(from)
		for at := range src {
			if x, y := at/3%from.Width, at/3/from.Width; !image.Pt(x, y).In(crop) {
				src[at] = uint8(255 * i)
			}
		}
		results[i] = make([]uint8, to.Len())
		if err := imaging.ResizedCrop(results[i], to, src, from, crop); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(results[0], results[1]); diff != "" {
		t.Errorf("a crop depends on what is around it:\n%s", diff)
	}
}

// A uniform image stays as it is under a blur and a crop: weights have the sum 1, exactly.
func TestWeightsHaveTheSumOne(t *testing.T) {
	from := imaging.Size{Height: 67, Width: 41, Channels: 3}
	white := make([]uint8, from.Len())
	fillWith := func(pixels []uint8) {
		for i := range pixels {
			pixels[i] = 255
		}
	}
	fillWith(white)
	for side := 1; side < 90; side += 4 {
		to := imaging.Size{Height: side, Width: 90 - side, Channels: 3}
		got := make([]uint8, to.Len())
		want := make([]uint8, to.Len())
		fillWith(want)
		if err := imaging.ResizedCrop(got, to, white, from, image.Rect(1, 2, 40, 66)); err != nil || !bytes.Equal(want, got) {
			t.Errorf("a white image resized to %v is not white (%v)", to, err)
		}
	}
	for kernel := 1; kernel <= imaging.MaxBlurKernel; kernel += 6 {
		for _, sigma := range []float64{1e-300, 0.3, 2, 30, 1e300} {
			got := append([]uint8(nil), white...)
			if err := imaging.GaussianBlur(got, from, kernel, sigma); err != nil || !bytes.Equal(white, got) {
				t.Errorf("a white image blurred by %d, %v is not white (%v)", kernel, sigma, err)
			}
		}
	}
}

// Arguments out of range are errors that say what was found, and the image is not changed.
func TestPhotoOperationsRefuse(t *testing.T) {
	size := imaging.Size{Height: 2, Width: 3, Channels: 3}
	gray := imaging.Size{Height: 2, Width: 3, Channels: 1}
	pixels, src := generated(size), generated(size)
	inside := image.Rect(0, 0, 3, 2)
	for text, err := range map[string]error{
		"adjust brightness: found the factor -1, expected 0 to 65536":               imaging.AdjustBrightness(pixels, size, -1),
		"adjust contrast: found the factor NaN":                                     imaging.AdjustContrast(pixels, size, math.NaN()),
		"adjust saturation: found the factor +Inf":                                  imaging.AdjustSaturation(pixels, size, math.Inf(1)),
		"adjust hue: found the shift 0.6, expected -0.5 to 0.5":                     imaging.AdjustHue(pixels, size, 0.6),
		"adjust hue: found the shift NaN":                                           imaging.AdjustHue(pixels, size, math.NaN()),
		"adjust brightness: found 17 values, expected 18 of size 2x3x3":             imaging.AdjustBrightness(pixels[:17], size, 1),
		"adjust hue: size 0x0x0":                                                    imaging.AdjustHue(pixels, imaging.Size{}, 0),
		"grayscale: found 18 values, expected 6":                                    imaging.Grayscale(pixels, gray),
		"flip: found 18 values, expected 6":                                         imaging.FlipHorizontal(pixels, gray),
		"Gaussian blur: found a kernel of 4 pixels, expected an odd":                imaging.GaussianBlur(pixels, size, 4, 1),
		"Gaussian blur: found a kernel of 129 pixels":                               imaging.GaussianBlur(pixels, size, 129, 1),
		"Gaussian blur: found the standard deviation 0, expected a positive":        imaging.GaussianBlur(pixels, size, 3, 0),
		"Gaussian blur: found the standard deviation NaN":                           imaging.GaussianBlur(pixels, size, 3, math.NaN()),
		"Gaussian blur: found 17 values":                                            imaging.GaussianBlur(pixels[:17], size, 3, 1),
		"resized crop: target: found 18 values, expected 6":                         imaging.ResizedCrop(pixels, gray, src, size, inside),
		"resized crop: source: found 17 values":                                     imaging.ResizedCrop(pixels, size, src[:17], size, inside),
		"a source of size 2x3x1 and a target of size 2x3x3":                         imaging.ResizedCrop(pixels, size, src[:6], gray, inside),
		"found the rectangle (0,0)-(4,2), expected one inside the image":            imaging.ResizedCrop(pixels, size, src, size, image.Rect(0, 0, 4, 2)),
		"found the rectangle (1,1)-(1,2), expected one inside the image of size 2x": imaging.ResizedCrop(pixels, size, src, size, image.Rect(1, 1, 1, 2)),
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("found error %v, expected %s", err, text)
		}
	}
	if diff := cmp.Diff(generated(size), pixels); diff != "" {
		t.Errorf("an operation that was refused changes the image:\n%s", diff)
	}
}
