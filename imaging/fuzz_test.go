package imaging_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"golang.org/x/image/bmp"
)

// mostFuzzed is how many pixels an image has that the fuzzing decodes. Larger ones
// are no other case, and slow.
const mostFuzzed = 1 << 12

// addImages adds one image of each format.
func addImages(f *testing.F) {
	colors := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range colors.Pix {
		colors.Pix[i] = uint8(20 * i)
	}
	paletted := image.NewPaletted(colors.Rect, color.Palette{color.White, color.Black, color.NRGBA{R: 200, A: 100}})
	paletted.Pix = []uint8{0, 1, 2, 2, 1, 0}
	for _, img := range []image.Image{steps(3, 2), colors, paletted} {
		var files [4]bytes.Buffer
		for _, err := range []error{
			png.Encode(&files[0], img), jpeg.Encode(&files[1], img, nil), gif.Encode(&files[2], img, nil), bmp.Encode(&files[3], img),
		} {
			if err != nil {
				f.Fatal(err)
			}
		}
		for i := range files {
			f.Add(files[i].Bytes())
		}
	}
	for _, file := range testutil.Pictures(testutil.Steps(3, 2)) {
		f.Add(file)
	}
	exif := testutil.EXIF(binary.LittleEndian, 6)
	f.Add(testutil.JPEGWithEXIF(testutil.JPEG(colors), exif))
	f.Add(testutil.PNGWithEXIF(testutil.PNG(colors), exif, true))
	f.Add(testutil.TIFF(testutil.Steps(3, 2), binary.BigEndian, 8))
	f.Add(testutil.WebP(testutil.Steps(3, 2), exif))
	f.Add([]byte("P5 2 1 255 ab"))
	f.Add([]byte("P6 1 1 65535 abcdef"))
	f.Add([]byte("P3 # comment\n1 1 70000 1 2 3"))
	f.Add(claim(1<<30, 1<<30))
	f.Add(claim(1, 1<<20))
}

// Whatever the bytes, Decode returns: an image of the size that its header claims,
// or an error. What the header says takes no memory.
func FuzzDecode(f *testing.F) {
	addImages(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var size imaging.Size
		var err error
		testutil.LimitAllocations(t, 4*len(data), func() { size, err = imaging.DecodeSize(bytes.NewReader(data), "fuzz") })
		if err == nil && size.Height*size.Width > mostFuzzed {
			t.Skip("large")
		}
		var img image.Image
		var decoding error
		// A pixel takes 8 bytes, and as many while a progressive JPEG is decoded.
		testutil.LimitAllocations(t, 16*len(data)+32*mostFuzzed, func() { img, decoding = imaging.Decode(bytes.NewReader(data), "fuzz") })
		switch {
		case (img == nil) == (decoding == nil):
			t.Errorf("image %v, error %v", img, decoding)
		case img == nil:
		case err != nil:
			t.Errorf("an image whose size cannot be read: %v", err)
		case img.Bounds().Dx() > size.Width || img.Bounds().Dy() > size.Height:
			t.Errorf("found %v, expected no more than the %v of the header", img.Bounds(), size)
		}
	})
}

// Whatever the image and the preprocessing, as long as it is valid: as many bytes
// come out as the size says.
func FuzzPixels(f *testing.F) {
	f.Add([]byte{0, 255, 7, 9}, uint8(2), uint8(3), uint8(3), true, true, 1.1, 0.2)
	f.Add([]byte{200}, uint8(1), uint8(9), uint8(1), false, false, 1.0, 0.0)
	f.Fuzz(func(t *testing.T, pixels []byte, width, wide, high uint8, colored, cut bool, margin, least float64) {
		if width == 0 || len(pixels) < int(width) {
			return
		}
		p := imaging.Preprocessing{Size: imaging.Size{Height: int(high), Width: int(wide), Channels: 1}, Invert: cut != colored}
		if colored {
			p.Size.Channels = 3
		}
		if cut {
			p.Crop = &imaging.Crop{Margin: margin, MinSide: least}
		}
		if p.Validate() != nil {
			return
		}
		height := min(len(pixels)/int(width), 64)
		img := imaging.Size{Height: height, Width: int(width), Channels: 1}.Image(pixels[:height*int(width)])
		if found := p.Pixels(img); len(found) != p.Size.Len() {
			t.Errorf("found %d bytes, expected %d", len(found), p.Size.Len())
		}
	})
}
