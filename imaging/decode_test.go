package imaging_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
	"golang.org/x/image/bmp"
)

// steps is a grey image whose pixels count up from 0 in steps of 10.
func steps(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = uint8(10 * i)
	}
	return img
}

func TestDecodeRecognisesFormatsByTheirContent(t *testing.T) {
	want := steps(4, 3)
	plain := "P2 4 3 255\n0 10 20 30\n40 50 60 70\n80 90 100 110\n"
	palette := color.Palette{}
	for _, v := range want.Pix {
		palette = append(palette, color.Gray{Y: v})
	}
	paletted := image.NewPaletted(want.Rect, palette)
	for i := range paletted.Pix {
		paletted.Pix[i] = uint8(i)
	}
	animation := &gif.GIF{
		Image: []*image.Paletted{paletted, image.NewPaletted(want.Rect, palette)},
		Delay: []int{1, 1},
	}
	for name, encode := range map[string]func(io.Writer) error{
		"png": func(w io.Writer) error { return png.Encode(w, want) },
		"gif": func(w io.Writer) error { return gif.EncodeAll(w, animation) },
		"bmp": func(w io.Writer) error { return bmp.Encode(w, want) },
		"pgm": func(w io.Writer) error { _, err := io.WriteString(w, plain); return err },
	} {
		var file bytes.Buffer
		if err := encode(&file); err != nil {
			t.Fatal(name, err)
		}
		img, err := imaging.Decode(&file, "image without an extension")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := imaging.Preprocessing{Size: imaging.Size{Height: 3, Width: 4, Channels: 1}}
		if diff := cmp.Diff(want.Pix, p.Pixels(img)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestDecodeJPEG(t *testing.T) {
	var file bytes.Buffer
	flat := image.NewGray(image.Rect(0, 0, 16, 8))
	for i := range flat.Pix {
		flat.Pix[i] = 100
	}
	if err := jpeg.Encode(&file, flat, nil); err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(&file, "flat.jpg")
	if err != nil {
		t.Fatal(err)
	}
	p := imaging.Preprocessing{Size: imaging.Size{Height: 8, Width: 16, Channels: 1}}
	if diff := cmp.Diff(flat.Pix, p.Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// claim is the beginning of a PNG file whose header claims a size.
func claim(width, height uint32) []byte {
	header := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(header[4:], width)
	binary.BigEndian.PutUint32(header[8:], height)
	header[12] = 8 // bits
	file := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	file = append(file, header...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(header))
}

func TestDecodeRefuses(t *testing.T) {
	var whole bytes.Buffer
	if err := png.Encode(&whole, steps(5, 5)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		file    []byte
		want    error
		message string
	}{
		{"nothing", nil, imaging.ErrFormat, "nothing"},
		{"a text", []byte("digits of the year 2015"), imaging.ErrFormat, "PNG, JPEG"},
		{"a decompression bomb", claim(1<<14, 1<<14), imaging.ErrTooLarge, "16384 x 16384"},
		{"a bomb whose area overflows 32 bits", claim(1<<30, 1<<30), nil, "a bomb whose"},
		{"a tall bomb", claim(1, 1<<17), imaging.ErrTooLarge, "1 x 131072"},
		{"a wide bomb", claim(1<<17, 1), imaging.ErrTooLarge, "131072 x 1"},
		{"a netpbm bomb", []byte("P5 60000 60000 255 "), imaging.ErrTooLarge, "60000 x 60000"},
		{"an empty image", []byte("P5 0 7 255 "), nil, "expected at least one"},
		{"a file cut short", whole.Bytes()[:whole.Len()-20], nil, "unexpected EOF"},
	} {
		_, err := imaging.Decode(bytes.NewReader(test.file), test.name)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestDecodeFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.png")
	if _, err := imaging.DecodeFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("not a picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := imaging.DecodeFile(path); !errors.Is(err, imaging.ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("a text file: %v", err)
	}
}

func TestDecodeSizeTellsGreysFromColours(t *testing.T) {
	bounds := image.Rect(0, 0, 3, 2)
	for _, test := range []struct {
		img      image.Image
		channels int
	}{
		{image.NewGray(bounds), 1},
		{image.NewGray16(bounds), 1},
		{image.NewPaletted(bounds, color.Palette{color.Black, color.White}), 1},
		{image.NewPaletted(bounds, color.Palette{color.Black, color.RGBA{R: 255, A: 255}}), 3},
		{image.NewRGBA(bounds), 3},
	} {
		var file bytes.Buffer
		if err := png.Encode(&file, test.img); err != nil {
			t.Fatal(err)
		}
		size, err := imaging.DecodeSize(&file, "image")
		if err != nil {
			t.Fatal(err)
		}
		if want := (imaging.Size{Height: 2, Width: 3, Channels: test.channels}); size != want {
			t.Errorf("%T: found %v, expected %v", test.img, size, want)
		}
	}
}

// What comes before the size is kept to be read again, so it must not be endless:
// the comment of a packed file may be a thousand times as long as the file.
func TestDecodeRefusesAnEndlessHeader(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("P5 #"), forever{})
	if _, err := imaging.Decode(endless, "endless.pgm"); err == nil || !strings.Contains(err.Error(), "endless.pgm: found no size in the first 16777216 bytes") {
		t.Errorf("found error %v", err)
	}
}

// forever is a comment without an end.
type forever struct{}

func (forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
