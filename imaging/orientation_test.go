package imaging_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// stored are the letters of the upright picture
//
//	abc
//	def
//
// as a camera stores it with each orientation (Exif 2.32, table of Orientation: where
// row 0 and column 0 of the stored picture are in the upright one).
var stored = map[int][]string{
	1: {"abc", "def"},
	2: {"cba", "fed"},     // row 0 is the top, column 0 the right
	3: {"fed", "cba"},     // bottom, right
	4: {"def", "abc"},     // bottom, left
	5: {"ad", "be", "cf"}, // left, top
	6: {"cf", "be", "ad"}, // right, top
	7: {"fc", "eb", "da"}, // right, bottom
	8: {"da", "eb", "fc"}, // left, bottom
}

// lettered is a picture whose pixels are the letters.
func lettered(rows []string) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, len(rows[0]), len(rows)))
	for y, row := range rows {
		copy(img.Pix[y*img.Stride:], row)
	}
	return img
}

// letters reads them back.
func letters(img image.Image) (rows []string) {
	bounds := img.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		var row []byte
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			row = append(row, color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y)
		}
		rows = append(rows, string(row))
	}
	return rows
}

// withEXIF are files of a picture with an orientation, in each format that has a
// place for it.
func withEXIF(img *image.Gray, orientation uint16) map[string][]byte {
	files := map[string][]byte{}
	for name, order := range map[string]binary.ByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian} {
		exif := testutil.EXIF(order, orientation)
		files["PNG before, "+name] = testutil.PNGWithEXIF(testutil.PNG(img), exif, false)
		files["PNG after, "+name] = testutil.PNGWithEXIF(testutil.PNG(img), exif, true)
		files["TIFF, "+name] = testutil.TIFF(img, order, orientation)
	}
	return files
}

func TestDecodeTurnsByTheOrientation(t *testing.T) {
	upright := stored[1]
	for orientation, rows := range stored {
		for name, file := range withEXIF(lettered(rows), uint16(orientation)) {
			img, err := imaging.Decode(bytes.NewReader(file), name)
			if err != nil {
				t.Errorf("%s, orientation %d: %v", name, orientation, err)
				continue
			}
			if diff := cmp.Diff(upright, letters(img)); diff != "" {
				t.Errorf("%s, orientation %d (-want +found):\n%s", name, orientation, diff)
			}
			// A stream, which cannot be read twice.
			if img, err = imaging.Decode(bytes.NewBuffer(file), name); err != nil || !cmp.Equal(upright, letters(img)) {
				t.Errorf("%s, orientation %d, as a stream: %v", name, orientation, err)
			}
			for _, kind := range []string{"file", "stream"} {
				size, err := imaging.DecodeSize(bytes.NewReader(file), name)
				if kind == "stream" {
					size, err = imaging.DecodeSize(bytes.NewBuffer(file), name)
				}
				if want := (imaging.Size{Height: 2, Width: 3, Channels: 1}); err != nil || size != want {
					t.Errorf("%s, orientation %d, %s: found size %v, %v, expected %v", name, orientation, kind, size, err, want)
				}
			}
		}
	}
}

// A JPEG, whose colors may have fewer pixels, and a WebP are turned without a
// change of any value: pixel for pixel they are what they are without EXIF.
func TestDecodeTurnsJPEGAndWebPExactly(t *testing.T) {
	const width, height = 21, 13 // odd, so that halved colors do not lie symmetrically
	colors := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range colors.Pix {
		colors.Pix[i] = uint8(i * i % 251)
	}
	steps := testutil.Steps(width, height)
	for name, test := range map[string]struct {
		plain  []byte
		tagged func(exif []byte) []byte
	}{
		"JPEG in colors": {testutil.JPEG(colors), func(exif []byte) []byte { return testutil.JPEGWithEXIF(testutil.JPEG(colors), exif) }},
		"JPEG in grays":  {testutil.JPEG(steps), func(exif []byte) []byte { return testutil.JPEGWithEXIF(testutil.JPEG(steps), exif) }},
		"WebP":           {testutil.WebP(steps, nil), func(exif []byte) []byte { return testutil.WebP(steps, exif) }},
		"WebP, prefixed": {testutil.WebP(steps, nil), func(exif []byte) []byte { return testutil.WebP(steps, append([]byte("Exif\x00\x00"), exif...)) }},
	} {
		plain, err := imaging.Decode(bytes.NewReader(test.plain), name)
		if err != nil {
			t.Fatal(name, err)
		}
		for orientation := 1; orientation <= 8; orientation++ {
			img, err := imaging.Decode(bytes.NewReader(test.tagged(testutil.EXIF(binary.BigEndian, uint16(orientation)))), name)
			if err != nil {
				t.Errorf("%s, orientation %d: %v", name, orientation, err)
				continue
			}
			if err := sameWhenTurned(img, plain, orientation); err != nil {
				t.Errorf("%s, orientation %d: %v", name, orientation, err)
			}
		}
	}
}

// sameWhenTurned compares an upright picture with the stored one.
func sameWhenTurned(upright, plain image.Image, orientation int) error {
	width, height := plain.Bounds().Dx(), plain.Bounds().Dy()
	for y := range height {
		for x := range width {
			right, bottom := width-1-x, height-1-y
			// Where the pixel (x, y) that is stored is to be seen.
			at := map[int]image.Point{
				1: {X: x, Y: y}, 2: {X: right, Y: y}, 3: {X: right, Y: bottom}, 4: {X: x, Y: bottom},
				5: {X: y, Y: x}, 6: {X: bottom, Y: x}, 7: {X: bottom, Y: right}, 8: {X: y, Y: right},
			}[orientation]
			if !at.In(upright.Bounds()) {
				return fmt.Errorf("the pixel (%d, %d) of %d x %d goes to %v, outside of %v", x, y, width, height, at, upright.Bounds())
			}
			r0, g0, b0, a0 := plain.At(x, y).RGBA()
			r1, g1, b1, a1 := upright.At(at.X, at.Y).RGBA()
			if r0 != r1 || g0 != g1 || b0 != b1 || a0 != a1 {
				return fmt.Errorf("the pixel (%d, %d) is %v, expected %v", at.X, at.Y, upright.At(at.X, at.Y), plain.At(x, y))
			}
		}
	}
	return nil
}

// Each type of image that a decoder returns is turned as a picture of its letters is.
func TestTurnedOfEveryType(t *testing.T) {
	gray := lettered(stored[6])
	for _, kind := range []string{"Gray", "Gray16", "Paletted", "NRGBA", "RGBA64", "RGBA"} {
		size := imaging.Size{Height: 3, Width: 2, Channels: 1}
		file := testutil.PNGWithEXIF(testutil.PNG(drawn(kind, size, gray.Pix)), testutil.EXIF(binary.LittleEndian, 6), false)
		img, err := imaging.Decode(bytes.NewReader(file), kind)
		if err != nil {
			t.Fatal(kind, err)
		}
		if diff := cmp.Diff(stored[1], letters(img)); diff != "" {
			t.Errorf("%s (-want +found):\n%s", kind, diff)
		}
	}
}

// Broken EXIF makes no image unreadable, and turns none.
func TestBrokenEXIFIsIgnored(t *testing.T) {
	sound := testutil.EXIF(binary.LittleEndian, 6)
	change := func(at int, value byte) []byte {
		changed := bytes.Clone(sound)
		changed[at] = value
		return changed
	}
	const entry = 8 + 2 + 12 // that of the orientation
	broken := map[string][]byte{
		"nothing":                          {},
		"two bytes":                        sound[:2],
		"no directory":                     sound[:8],
		"half a directory":                 sound[:entry+4],
		"another byte order":               change(0, 'X'),
		"another magic number":             change(2, 43),
		"a directory far away":             change(7, 0xff),
		"an orientation of 0":              change(entry+8, 0),
		"an orientation of 9":              change(entry+8, 9),
		"an orientation above 8 bits":      change(entry+9, 1),
		"an orientation of another type":   change(entry+2, 2),
		"an orientation of several values": change(entry+4, 2),
		"more entries than there are":      change(8, 200)[:entry],
	}
	img := lettered(stored[6])
	for name, exif := range broken {
		for format, file := range map[string][]byte{
			"JPEG": testutil.JPEGWithEXIF(testutil.JPEG(img), exif),
			"PNG":  testutil.PNGWithEXIF(testutil.PNG(img), exif, true),
			"WebP": testutil.WebP(testutil.Steps(2, 3), exif),
		} {
			found, err := imaging.Decode(bytes.NewReader(file), name)
			if err != nil {
				t.Errorf("%s in %s: %v", name, format, err)
			} else if want := image.Rect(0, 0, 2, 3); found.Bounds() != want {
				t.Errorf("%s in %s: found %v, expected %v as it is stored", name, format, found.Bounds(), want)
			}
		}
	}
	// The length of the segment is beyond the end of the file.
	file := testutil.JPEGWithEXIF(testutil.JPEG(img), sound)
	long := bytes.Clone(file)
	at := bytes.Index(long, []byte("Exif\x00\x00"))
	binary.BigEndian.PutUint16(long[at-2:], 0xffff)
	if _, err := imaging.Decode(bytes.NewReader(long), "long"); err == nil {
		t.Error("a JPEG without pixels is decoded")
	}
}

// FuzzOrientation reads hostile EXIF in each format that has a place for it: the
// picture is decoded all the same, as it is or turned.
func FuzzOrientation(f *testing.F) {
	for orientation := range uint16(10) {
		f.Add(testutil.EXIF(binary.LittleEndian, orientation))
		f.Add(testutil.EXIF(binary.BigEndian, orientation))
	}
	img := testutil.Steps(2, 3)
	png, jpeg := testutil.PNG(img), testutil.JPEG(img)
	f.Fuzz(func(t *testing.T, exif []byte) {
		if len(exif) > 60000 {
			return // longer than a segment of JPEG
		}
		for name, file := range map[string][]byte{
			"PNG": testutil.PNGWithEXIF(png, exif, false), "JPEG": testutil.JPEGWithEXIF(jpeg, exif), "WebP": testutil.WebP(img, exif),
		} {
			found, err := imaging.Decode(bytes.NewReader(file), name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			size, err := imaging.DecodeSize(bytes.NewReader(file), name)
			if bounds := found.Bounds(); err != nil || bounds.Dx()*bounds.Dy() != 6 || bounds.Dx() != size.Width || bounds.Dy() != size.Height {
				t.Errorf("%s: found %v and the size %v, %v", name, bounds, size, err)
			}
		}
	})
}
