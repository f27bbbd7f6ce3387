package imaging_test

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"pgregory.net/rapid"
)

func TestNetpbm(t *testing.T) {
	for _, test := range []struct {
		name, file string
		size       imaging.Size
		want       []uint8
	}{
		{"plain gray", "P2\n3 1\n255\n0 128 255\n", imaging.Size{Height: 1, Width: 3, Channels: 1}, []uint8{0, 128, 255}},
		{"raw gray", "P5 3 1 255\n\x00\x80\xff", imaging.Size{Height: 1, Width: 3, Channels: 1}, []uint8{0, 128, 255}},
		{"plain color", "P3 1 2 255 1 2 3 4 5 6", imaging.Size{Height: 2, Width: 1, Channels: 3}, []uint8{1, 2, 3, 4, 5, 6}},
		{"raw color", "P6 1 2 255 \x01\x02\x03\x04\x05\x06", imaging.Size{Height: 2, Width: 1, Channels: 3}, []uint8{1, 2, 3, 4, 5, 6}},
		// 0x8000 of 65535 is the middle; the high byte comes first.
		{"16 bits raw", "P5 2 1 65535\n\x80\x00\xff\xff", imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{128, 255}},
		{"16 bits plain", "P2 2 1 65535\n32768 65535", imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{128, 255}},
		{"15 is white", "P2 4 1 15 0 1 14 15", imaging.Size{Height: 1, Width: 4, Channels: 1}, []uint8{0, 17, 238, 255}},
		{"1 is white", "P2 2 1 1 0 1", imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{0, 255}},
		{"comments", "P2 # a 3 by 1 image\n#again\r3#wide\n 1\t255 # white\n 7 8#9 9\n 9", imaging.Size{Height: 1, Width: 3, Channels: 1}, []uint8{7, 8, 9}},
		{"white space is data in the raster", "P5 2 1 255\n\n ", imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{10, 32}},
	} {
		img, err := imaging.Decode(strings.NewReader(test.file), test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, imaging.Preprocessing{Size: test.size}.Pixels(img)); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
		size, err := imaging.DecodeSize(strings.NewReader(test.file), test.name)
		if err != nil || size != test.size {
			t.Errorf("%s: found size %v, error %v", test.name, size, err)
		}
	}
}

func TestNetpbmRefuses(t *testing.T) {
	for file, message := range map[string]string{
		"P5 2":                     "height",
		"P5 two 1 255 ab":          `found the byte 't'`,
		"P5 2 1 0 ab":              "expected 1 to 65535",
		"P5 2 1 65536 abcd":        "expected 1 to 65535",
		"P5 2 1 99999999999999999": "found a number above",
		"P5 2 1 255 a":             "value 1 of the raster",
		"P5 2 1 65535 abc":         "value 1 of the raster",
		"P5 2 1 100 \x64\x65":      "found the value 101, expected at most the maximum 100",
		"P2 2 1 255 1 256":         "found the value 256",
		"P2 2 1 255 1 -1":          `found the byte '-'`,
		"P2 2 1 255 1 # 2":         "unexpected EOF",
	} {
		if _, err := imaging.Decode(strings.NewReader(file), "broken"); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: found %v, expected %q", file, err, message)
		}
	}
}

// Every 8-bit pixel comes back through the plain and the raw form.
func TestNetpbmKeepsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 6).Draw(t, "width"), rapid.IntRange(1, 6).Draw(t, "height")
		colored := rapid.Bool().Draw(t, "color")
		size := imaging.Size{Height: height, Width: width, Channels: 1}
		plain, raw := "P2", "P5"
		if colored {
			size.Channels, plain, raw = 3, "P3", "P6"
		}
		want := rapid.SliceOfN(rapid.Byte(), size.Len(), size.Len()).Draw(t, "pixels")
		header := fmt.Sprintf(" %d %d 255\n", width, height)
		for _, file := range []string{plain + header + strings.Trim(fmt.Sprint(want), "[]"), raw + header + string(want)} {
			img, err := imaging.Decode(strings.NewReader(file), "image")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, imaging.Preprocessing{Size: size}.Pixels(img)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestNetpbmKeeps16Bits(t *testing.T) {
	img, err := imaging.Decode(strings.NewReader("P6 1 1 65535 \x01\x02\x03\x04\x05\x06"), "image")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := img.(*image.RGBA64).RGBA64At(0, 0), (color.RGBA64{R: 0x102, G: 0x304, B: 0x506, A: 0xffff}); got != want {
		t.Errorf("found %v, expected %v", got, want)
	}
}
