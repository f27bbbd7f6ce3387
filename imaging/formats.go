package imaging

import (
	"bufio"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Format is a file format that Decode reads.
type Format struct {
	Name string // such as "JPEG"
	// Extensions are those of file names, in lower case and with the dot.
	Extensions []string
}

// Formats returns the formats that Decode reads. They are the same in the library, the
// command-line tool and the server; other decoders that a program registers with
// package image have no effect.
func Formats() []Format {
	all := make([]Format, len(codecs))
	for i, c := range codecs {
		all[i] = Format{c.Name, slices.Clone(c.Extensions)}
	}
	return all
}

// codec is how a format is recognized and read.
type codec struct {
	Format
	recognize func(head []byte) bool
	decode    func(io.Reader) (image.Image, error)
	config    func(io.Reader) (image.Config, error)
	// orientation reads the EXIF orientation, 1 to 8; nil if the format has none.
	orientation func(*io.SectionReader) int
	// check, if not nil, returns an error for files that must not be decoded. The
	// decoder then reads the file in any order, as an io.ReaderAt.
	check func(*io.SectionReader) error
}

var codecs = []codec{
	{Format: Format{"PNG", []string{".png"}}, recognize: magic("\x89PNG\r\n\x1a\n"), decode: png.Decode, config: png.DecodeConfig, orientation: pngOrientation},
	{Format: Format{"JPEG", []string{".jpg", ".jpeg", ".jpe", ".jfif"}}, recognize: magic("\xff\xd8\xff"), decode: jpeg.Decode, config: jpeg.DecodeConfig, orientation: jpegOrientation},
	{Format: Format{"GIF", []string{".gif"}}, recognize: magic("GIF8?a"), decode: gif.Decode, config: gif.DecodeConfig},
	{Format: Format{"BMP", []string{".bmp", ".dib"}}, recognize: magic("BM????\x00\x00\x00\x00"), decode: bmp.Decode, config: bmp.DecodeConfig},
	{Format: Format{"TIFF", []string{".tif", ".tiff"}}, recognize: magic("II*\x00", "MM\x00*"), decode: decodeTIFF, config: tiff.DecodeConfig, orientation: tiffOrientation, check: checkTIFF},
	{Format: Format{"WebP", []string{".webp"}}, recognize: magic("RIFF????WEBPVP8"), decode: decodeWebP, config: webp.DecodeConfig, orientation: webpOrientation},
	{Format: Format{"PGM", []string{".pgm", ".pnm"}}, recognize: netpbmMagic('2', '5'), decode: decodeNetpbm, config: decodeNetpbmConfig},
	{Format: Format{"PPM", []string{".ppm", ".pnm"}}, recognize: netpbmMagic('3', '6'), decode: decodeNetpbm, config: decodeNetpbmConfig},
}

// headLength is the number of first bytes of a file that identify its format.
const headLength = 16

// magic recognizes files that begin with one of the patterns, in which ? is any byte.
func magic(patterns ...string) func(head []byte) bool {
	return func(head []byte) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			if len(head) < len(pattern) {
				return false
			}
			for i := range pattern {
				if pattern[i] != '?' && pattern[i] != head[i] {
					return false
				}
			}
			return true
		})
	}
}

// codecOf returns the format of a file with these first bytes; nil if it is unknown.
func codecOf(head []byte) *codec {
	for i := range codecs {
		if codecs[i].recognize(head) {
			return &codecs[i]
		}
	}
	return nil
}

// formatNames lists the formats, as errors do.
func formatNames() string {
	var names []string
	for _, c := range codecs {
		names = append(names, c.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// HasExtension reports whether a file name has the extension of one of the Formats.
func HasExtension(name string) bool {
	extension := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(codecs, func(c codec) bool { return slices.Contains(c.Extensions, extension) })
}

// The portable graymap and pixmap of Netpbm, plain (P2, P3) and raw (P5, P6):
// https://netpbm.sourceforge.net/doc/pgm.html and ppm.html.

// netpbmMagic recognizes P, one of the digits, and white space or a comment, so that
// a text that begins with P5 is rarely taken for an image.
func netpbmMagic(digits ...byte) func(head []byte) bool {
	return func(head []byte) bool {
		return len(head) >= 3 && head[0] == 'P' && slices.Contains(digits, head[1]) && (head[2] == ' ' || head[2] == '#' || head[2] >= '\t' && head[2] <= '\r')
	}
}

// netpbmHeader reports whether a number or a comment follows the magic number, which
// distinguishes an image from a text that begins with P5.
func netpbmHeader(head []byte) bool {
	return len(head) > 3 && (head[2] == '#' || head[3] == '#' || head[3] >= '0' && head[3] <= '9' || head[3] == ' ' || head[3] >= '\t' && head[3] <= '\r')
}

// netpbm is an image file whose header has been read.
type netpbm struct {
	in            *bufio.Reader
	plain, color  bool
	width, height int
	maximum       int // the value of full intensity, 1 to 65535
}

func readNetpbmHeader(r io.Reader) (*netpbm, error) {
	n := &netpbm{in: bufio.NewReader(r)}
	magic := make([]byte, 2)
	if _, err := io.ReadFull(n.in, magic); err != nil {
		return nil, errors.Wrap(err, "netpbm: read magic number")
	}
	n.plain = magic[1] == '2' || magic[1] == '3'
	n.color = magic[1] == '3' || magic[1] == '6'
	for _, field := range []struct {
		name  string
		value *int
	}{{"width", &n.width}, {"height", &n.height}, {"maximum value", &n.maximum}} {
		value, err := n.number()
		if err != nil {
			return nil, errors.Wrapf(err, "netpbm: read %s", field.name)
		}
		*field.value = value
	}
	if n.maximum < 1 || n.maximum > 0xffff {
		return nil, errors.Errorf("netpbm: found maximum value %d, expected 1 to 65535", n.maximum)
	}
	return n, nil
}

// number reads a decimal number and the one byte of white space that ends it,
// skipping white space and comments (# to the end of the line) before it.
func (n *netpbm) number() (int, error) {
	value, digits, comment := 0, 0, false
	for {
		c, err := n.in.ReadByte()
		if err == io.EOF && digits > 0 {
			return value, nil
		}
		if err == io.EOF {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		switch {
		case comment:
			comment = c != '\n' && c != '\r'
		case c >= '0' && c <= '9':
			value, digits = value*10+int(c-'0'), digits+1
			if value > MaxPixels {
				return 0, errors.Errorf("found a number above %d", MaxPixels)
			}
		case c == '#':
			comment = true
		case c != ' ' && (c < '\t' || c > '\r'):
			return 0, errors.Errorf("found the byte %q, expected a decimal number", c)
		}
		if digits > 0 && !comment && (c < '0' || c > '9') {
			return value, nil
		}
	}
}

// raw reads a number of one byte, or of two when the maximum needs them.
func (n *netpbm) raw() (int, error) {
	high := byte(0)
	if n.maximum > 0xff {
		var err error
		if high, err = n.in.ReadByte(); err != nil {
			return 0, unexpected(err)
		}
	}
	low, err := n.in.ReadByte()
	return int(high)<<8 | int(low), unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sample reads one intensity and scales it to 0 to 65535.
func (n *netpbm) sample() (uint16, error) {
	read := n.raw
	if n.plain {
		read = n.number
	}
	value, err := read()
	if err != nil {
		return 0, err
	}
	if value > n.maximum {
		return 0, errors.Errorf("found the value %d, expected at most the maximum %d", value, n.maximum)
	}
	return uint16((value*0xffff + n.maximum/2) / n.maximum), nil
}

func (n *netpbm) config() image.Config {
	model := color.RGBA64Model
	if !n.color {
		model = color.Gray16Model
	}
	return image.Config{ColorModel: model, Width: n.width, Height: n.height}
}

func decodeNetpbmConfig(r io.Reader) (image.Config, error) {
	n, err := readNetpbmHeader(r)
	if err != nil {
		return image.Config{}, err
	}
	return n.config(), nil
}

// decodeNetpbm makes an image of 16 bits for all files: 8-bit values v become 257·v,
// which is converted back to v.
func decodeNetpbm(r io.Reader) (image.Image, error) {
	n, err := readNetpbmHeader(r)
	if err != nil {
		return nil, err
	}
	if err := checkPixels(n.width, n.height); err != nil {
		return nil, errors.Wrap(err, "netpbm")
	}
	bounds := image.Rect(0, 0, n.width, n.height)
	var pixels []uint8
	var img image.Image
	if n.color {
		rgba := image.NewRGBA64(bounds)
		img, pixels = rgba, rgba.Pix
	} else {
		gray := image.NewGray16(bounds)
		img, pixels = gray, gray.Pix
	}
	samples := 0
	for at := 0; at < len(pixels); at += 2 {
		value := uint16(0xffff) // opaque: the alpha of a color image
		if !n.color || at%8 != 6 {
			if value, err = n.sample(); err != nil {
				return nil, errors.Wrapf(err, "netpbm: read value %d of the raster", samples)
			}
			samples++
		}
		pixels[at], pixels[at+1] = uint8(value>>8), uint8(value)
	}
	return img, nil
}

// decodeWebP decodes a WebP image. Lossy ones have brightness of 16 to 235 and colors
// of 16 to 240 (ITU-R BT.601, as RFC 6386, section 9.2, says), where image.YCbCr is
// JPEG's, of 0 to 255 in both: taken as such, white would be a light gray.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		result := image.NewRGBA(image.Rectangle{Max: img.Rect.Size()})
		fromStudioRange(result.Pix, img, nil, 0)
		return result, nil
	case *image.NYCbCrA:
		result := image.NewNRGBA(image.Rectangle{Max: img.Rect.Size()})
		fromStudioRange(result.Pix, &img.YCbCr, img.A, img.AStride)
		return result, nil
	}
	return img, nil
}

// fromStudioRange writes red, green, blue and alpha, by the integers of libwebp
// (src/dsp/yuv.h). If alpha is nil the image is opaque.
func fromStudioRange(pix []uint8, img *image.YCbCr, alpha []uint8, alphaStride int) {
	multiply := func(v uint8, by int) int { return int(v) * by >> 8 }
	clip := func(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
	width, height := img.Rect.Dx(), img.Rect.Dy()
	for y := range height {
		for x := range width {
			at := img.COffset(img.Rect.Min.X+x, img.Rect.Min.Y+y)
			u, v := img.Cb[at], img.Cr[at]
			light := multiply(img.Y[y*img.YStride+x], 19077)
			to := pix[4*(y*width+x):][:4]
			to[0] = clip(light + multiply(v, 26149) - 14234)
			to[1] = clip(light - multiply(u, 6419) - multiply(v, 13320) + 8708)
			to[2] = clip(light + multiply(u, 33050) - 17685)
			if to[3] = 255; alpha != nil {
				to[3] = alpha[y*alphaStride+x]
			}
		}
	}
}
