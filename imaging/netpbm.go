package imaging

import (
	"bufio"
	"image"
	"image/color"
	"io"
	"slices"

	"github.com/pkg/errors"
)

// The portable graymap and pixmap of Netpbm, plain (P2, P3) and raw (P5, P6):
// https://netpbm.sourceforge.net/doc/pgm.html and ppm.html.

// netpbmMagic recognizes P, one of the digits, and white space or a comment, so that
// a text that begins with P5 is not easily taken for an image.
func netpbmMagic(digits ...byte) func(head []byte) bool {
	return func(head []byte) bool {
		return len(head) >= 3 && head[0] == 'P' && slices.Contains(digits, head[1]) && (head[2] == ' ' || head[2] == '#' || head[2] >= '\t' && head[2] <= '\r')
	}
}

// netpbmHeader says whether a number or a comment follows the magic number, as no
// text that only begins like one has.
func netpbmHeader(head []byte) bool {
	return len(head) > 3 && (head[2] == '#' || head[3] == '#' || head[3] >= '0' && head[3] <= '9' || head[3] == ' ' || head[3] >= '\t' && head[3] <= '\r')
}

// netpbm is an image file read up to its raster.
type netpbm struct {
	in            *bufio.Reader
	plain, colour bool
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
	n.colour = magic[1] == '3' || magic[1] == '6'
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
// passing over white space and comments (# to the end of the line) before it.
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
	if !n.colour {
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

// decodeNetpbm keeps 16 bits whatever the file has: 8-bit values v become 257·v,
// and come back as v.
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
	if n.colour {
		rgba := image.NewRGBA64(bounds)
		img, pixels = rgba, rgba.Pix
	} else {
		grey := image.NewGray16(bounds)
		img, pixels = grey, grey.Pix
	}
	samples := 0
	for at := 0; at < len(pixels); at += 2 {
		value := uint16(0xffff) // opaque: the alpha of a colour image
		if !n.colour || at%8 != 6 {
			if value, err = n.sample(); err != nil {
				return nil, errors.Wrapf(err, "netpbm: read value %d of the raster", samples)
			}
			samples++
		}
		pixels[at], pixels[at+1] = uint8(value>>8), uint8(value)
	}
	return img, nil
}
