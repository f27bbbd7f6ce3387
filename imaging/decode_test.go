package imaging_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	"golang.org/x/image/bmp"
)

// steps is a gray image whose pixels count up from 0 in steps of 10.
func steps(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = uint8(10 * i)
	}
	return img
}

// Every format is recognized by its content, in a file and in a stream, and reported by
// its extension.
func TestDecodeRecognizesFormatsByTheirContent(t *testing.T) {
	picture := testutil.Steps(16, 8)
	files := testutil.Pictures(picture)
	for _, format := range imaging.Formats() {
		file, found := files[format.Name]
		if !found {
			t.Fatalf("there is no picture in the format %s", format.Name)
		}
		for kind, r := range map[string]io.Reader{"file": bytes.NewReader(file), "stream": bytes.NewBuffer(bytes.Clone(file))} {
			img, err := imaging.Decode(r, "image without an extension")
			if err != nil {
				t.Errorf("%s, %s: %v", format.Name, kind, err)
				continue
			}
			for i, v := range gray(8, 16).Pixels(img) {
				// JPEG changes values a little.
				if (v >= 128) != (picture.Pix[i] >= 128) {
					t.Errorf("%s, %s: pixel %d is %d, expected %d", format.Name, kind, i, v, picture.Pix[i])
				}
			}
		}
		size, err := imaging.DecodeSize(bytes.NewReader(file), format.Name)
		if err != nil || size.Height != 8 || size.Width != 16 {
			t.Errorf("%s: found size %v, %v", format.Name, size, err)
		}
		for _, extension := range format.Extensions {
			if !imaging.HasExtension("PHOTO" + strings.ToUpper(extension)) {
				t.Errorf("%s is not known as an extension", extension)
			}
		}
	}
	for name := range files {
		if !slices.ContainsFunc(imaging.Formats(), func(f imaging.Format) bool { return f.Name == name }) {
			t.Errorf("the format %s is not read", name)
		}
	}
}

// Of an animation the first frame is read.
func TestDecodeGIFAnimation(t *testing.T) {
	bounds := image.Rect(0, 0, 2, 1)
	palette := color.Palette{color.Black, color.Gray{Y: 100}}
	first := &image.Paletted{Pix: []uint8{1, 0}, Stride: 2, Rect: bounds, Palette: palette}
	var file bytes.Buffer
	if err := gif.EncodeAll(&file, &gif.GIF{Image: []*image.Paletted{first, image.NewPaletted(bounds, palette)}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(&file, "animation")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint8{100, 0}, gray(1, 2).Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// A TIFF's directory may lie after any number of pixels, as libtiff writes it.
func TestDecodeTIFFWithTheDirectoryAtTheEnd(t *testing.T) {
	picture := testutil.Steps(5000, 4000) // 20 MB: more than MaxHeader
	file := testutil.TIFF(picture, binary.LittleEndian, 0)
	const header = 8
	directory := file[header : len(file)-len(picture.Pix)]
	moved := slices.Concat(file[:header], picture.Pix, directory)
	binary.LittleEndian.PutUint32(moved[4:], uint32(header+len(picture.Pix)))
	at := bytes.Index(moved[header+len(picture.Pix):], []byte{0x11, 0x01, 4, 0}) + header + len(picture.Pix)
	binary.LittleEndian.PutUint32(moved[at+8:], header)
	for kind, r := range map[string]io.Reader{"file": bytes.NewReader(moved), "stream": bytes.NewBuffer(moved)} {
		img, err := imaging.Decode(r, kind)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if !bytes.Equal(img.(*image.Gray).Pix, picture.Pix) {
			t.Errorf("%s: other pixels", kind)
		}
	}
}

// Tiles of few pixels each take as long as large ones: a small file could take
// minutes.
func TestDecodeRefusesTinyTiles(t *testing.T) {
	file := testutil.TIFF(testutil.Steps(64, 64), binary.BigEndian, 0)
	// In the place of the number of samples and of the rows of a strip.
	for tag, replacement := range map[uint16]uint16{0x0115: 0x0142, 0x0116: 0x0143} {
		at := bytes.Index(file, binary.BigEndian.AppendUint16(nil, tag))
		binary.BigEndian.PutUint16(file[at:], replacement)
		binary.BigEndian.PutUint16(file[at+8:], 8)
	}
	_, err := imaging.Decode(bytes.NewReader(file), "tiles.tif")
	if !errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), "tiles of 64 pixels, expected at least 256") {
		t.Errorf("found error %v", err)
	}
}

// Rows of four white and four black pixels, compressed as facsimiles are. Where zero is
// black, the white runs, which are zeros, are black, as libtiff has it.
func TestDecodeFacsimiles(t *testing.T) {
	white, black := bytes.Repeat([]byte{255, 255, 255, 255, 0, 0, 0, 0}, 2), bytes.Repeat([]byte{0, 0, 0, 0, 255, 255, 255, 255}, 2)
	const group3, group4 = "\x00\x1b\x60\x03\x6c\x00\x40\x04\x00\x40\x04\x00\x40\x04", "\x36\xf0\x01\x00\x10"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, test := range []struct {
			compression, photometric, bits uint16
			want                           []byte
			says                           string
		}{
			{3, 0, 1, white, ""}, {3, 1, 1, black, ""}, {4, 0, 1, white, ""}, {4, 1, 1, black, ""},
			{4, 3, 1, nil, "found PhotometricInterpretation 3"}, {4, 1, 8, nil, "found 8 bits for each pixel"},
			{2, 1, 1, nil, "compression"},
		} {
			data := group4
			if test.compression == 3 {
				data = group3
			}
			file := facsimile(order, data, test.compression, test.photometric, test.bits)
			img, err := imaging.Decode(bytes.NewReader(file), "fax.tif")
			if test.says != "" {
				if !errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%+v: found error %v", test, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%+v: %v", test, err)
			} else if diff := cmp.Diff(test.want, gray(2, 8).Pixels(img)); diff != "" {
				t.Errorf("%+v (-want +found):\n%s", test, diff)
			}
		}
	}
}

// facsimile is a TIFF of 8 x 2 pixels in one strip.
func facsimile(order binary.AppendByteOrder, data string, compression, photometric, bits uint16) []byte {
	entries := [][2]uint16{{256, 8}, {257, 2}, {258, bits}, {259, compression}, {262, photometric}, {273, 0}, {277, 1}, {278, 2}, {279, uint16(len(data))}}
	end := 8 + 2 + 12*len(entries) + 4
	file := []byte("II")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		file = []byte("MM")
	}
	file = order.AppendUint16(file, 42)
	file = order.AppendUint32(file, 8)
	file = order.AppendUint16(file, uint16(len(entries)))
	for _, entry := range entries {
		if entry[0] == 273 {
			entry[1] = uint16(end)
		}
		file = order.AppendUint16(file, entry[0])
		file = order.AppendUint16(file, 3)
		file = order.AppendUint32(file, 1)
		file = order.AppendUint16(file, entry[1])
		file = order.AppendUint16(file, 0)
	}
	return append(append(file, 0, 0, 0, 0), data...)
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

// tiffClaim is the beginning of a TIFF that claims a size.
func tiffClaim(width, height uint32) []byte {
	file := testutil.TIFF(testutil.Steps(2, 2), binary.LittleEndian, 0)
	for i, side := range []uint32{width, height} {
		entry := file[8+2+12*i:]
		binary.LittleEndian.PutUint16(entry[2:], 4) // 32 bits
		binary.LittleEndian.PutUint32(entry[8:], side)
	}
	return file
}

// webpClaim is a WebP whose header claims a size.
func webpClaim(width, height uint32) []byte {
	file := testutil.WebP(testutil.Steps(2, 2), nil)
	at := bytes.Index(file, []byte("VP8L")) + 8 + 1
	binary.LittleEndian.PutUint32(file[at:], width-1|(height-1)<<14|binary.LittleEndian.Uint32(file[at:])>>28<<28)
	return file
}

// webpCanvas puts a canvas of another size before the image.
func webpCanvas(width, height uint32, file []byte) []byte {
	canvas := append([]byte("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), byte(width-1), byte((width-1)>>8), 0, byte(height-1), byte((height-1)>>8), 0)
	result := slices.Concat(file[:12], canvas, file[12:])
	binary.LittleEndian.PutUint32(result[4:], uint32(len(result)-8))
	return result
}

func bmpClaim(width, height uint32) []byte {
	var file bytes.Buffer
	if err := bmp.Encode(&file, steps(2, 2)); err != nil {
		panic(err)
	}
	binary.LittleEndian.PutUint32(file.Bytes()[18:], width)
	binary.LittleEndian.PutUint32(file.Bytes()[22:], height)
	return file.Bytes()
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
		{"nothing", nil, imaging.ErrFormat, "decode image nothing: the file is empty: not an image of a known format (PNG, JPEG"},
		{"a HEIC image named .jpg", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), imaging.ErrFormat, "found a HEIC image: not an image of a known format"},
		{"a TIFF bomb", tiffClaim(1<<15, 1<<15), imaging.ErrTooLarge, "32768 x 32768"},
		{"a WebP bomb", webpClaim(1<<14, 1<<14), imaging.ErrTooLarge, "16384 x 16384"},
		{"a small WebP canvas over a bomb", webpCanvas(1, 1, webpClaim(1<<14, 1<<14)), nil, "webp: invalid format"},
		{"a JPEG bomb", []byte("\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xda\x00\x08"), imaging.ErrTooLarge, "65535 x 65535"},
		{"a GIF bomb", []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), imaging.ErrTooLarge, "65535 x 65535"},
		{"a BMP bomb", bmpClaim(1<<15, 1<<15), imaging.ErrTooLarge, "32768 x 32768"},
		{"a text", []byte("digits of the year 2015"), imaging.ErrFormat, "PNG, JPEG"},
		{"a decompression bomb", claim(1<<14, 1<<14), imaging.ErrTooLarge, "16384 x 16384"},
		{"a bomb whose area overflows 32 bits", claim(1<<30, 1<<30), nil, "a bomb whose"},
		{"a tall bomb", claim(1, 1<<17), imaging.ErrTooLarge, "1 x 131072"},
		{"a wide bomb", claim(1<<17, 1), imaging.ErrTooLarge, "131072 x 1"},
		{"a netpbm bomb", []byte("P5 60000 60000 255 "), imaging.ErrTooLarge, "60000 x 60000"},
		{"an empty image", []byte("P5 0 7 255 "), nil, "expected at least one"},
		{"a file cut short", whole.Bytes()[:whole.Len()-20], nil, "the file is truncated: png: invalid format: unexpected EOF"},
	} {
		_, err := imaging.Decode(bytes.NewReader(test.file), test.name)
		if !errors.Is(err, imaging.ErrUndecodable) || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.message) {
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

// A folder and an empty file are named as such in errors.
func TestDecodeFileOfAFolderAndOfNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := imaging.DecodeFile(dir)
	if err == nil || errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), dir+" is a folder, expected an image file (PNG, JPEG") {
		t.Errorf("a folder: %v", err)
	}
	empty := filepath.Join(dir, "empty.png")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = imaging.DecodeFile(empty)
	if !errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), empty+": the file is empty") {
		t.Errorf("an empty file: %v", err)
	}
}

// An error of reading says nothing about the image, wherever in the file it comes.
func TestErrorsOfReadingAreNotOfTheImage(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 300, 300))
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i * i >> 3)
	}
	failure := errors.New("the disk failed")
	for name, file := range map[string][]byte{
		"PNG": testutil.PNG(picture), "JPEG": testutil.JPEG(picture), "TIFF": testutil.TIFF(picture, binary.LittleEndian, 1), "WebP": testutil.WebP(picture, nil),
	} {
		for _, at := range []int{0, 1, 20, len(file) / 2} {
			for kind, r := range map[string]io.Reader{
				"stream": io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(failure)),
				"file":   &failing{bytes.NewReader(file), int64(at), failure},
			} {
				_, err := imaging.Decode(r, "name")
				if !errors.Is(err, failure) || errors.Is(err, imaging.ErrUndecodable) || !strings.Contains(err.Error(), "read image name: the disk failed") {
					t.Errorf("%s, %s from byte %d on: found error %v", name, kind, at, err)
				}
			}
		}
	}
}

// failing is a file of which only the first bytes can be read.
type failing struct {
	*bytes.Reader
	sound   int64
	failure error
}

func (f *failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.sound {
		return 0, f.failure
	}
	return f.Reader.ReadAt(p, offset)
}

func TestDecodeSizeTellsGraysFromColors(t *testing.T) {
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

// White, black and red of lossy WebP files are those of other formats, though their
// values have another range than JPEG's. The files are libwebp's, of quality 100: 16 ×
// 16 pixels whose left half is black and whose right half is white, and all red ones.
func TestDecodeLossyWebP(t *testing.T) {
	for name, test := range map[string]struct {
		hex         string
		left, right [3]int
	}{
		"black and white": {"524946462a00000057454250565038201e0000005001009d012a1000100000000025a40004740000fed89fffffdf38ac0000", [3]int{0, 0, 0}, [3]int{255, 255, 255}},
		"red":             {"52494646440000005745425056503820380000005002009d012a1000100000000025a00274ba01f801fa01fc00079000feff6f56fffcb0fc7f5279ffcb10ffff13d39bc454f2bffe26400000", [3]int{255, 0, 0}, [3]int{255, 0, 0}},
	} {
		file, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(name, err)
		}
		img, err := imaging.Decode(bytes.NewReader(file), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		pixels := colored(16, 16).Pixels(img)
		for i, want := range [][3]int{test.left, test.right} {
			at := 3 * (8*16 + 4 + 8*i)
			for channel, value := range want {
				if found := int(pixels[at+channel]); found < value-3 || found > value+3 {
					t.Errorf("%s: found %v, expected %v", name, pixels[at:at+3], want)
					break
				}
			}
		}
	}
}
