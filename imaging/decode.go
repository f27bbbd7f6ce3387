package imaging

import (
	"bytes"
	"image"
	"image/color"
	_ "image/gif" // the formats that Decode recognises
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
	_ "golang.org/x/image/bmp"
)

// What Decode accepts, so that a small file does not take much memory. All of it is
// known from the header, before anything is decoded.
const (
	// MaxPixels is the largest width × height: 8192 × 8192, which takes 256 MB as
	// RGBA, twice that at 16 bits a channel and, while a progressive JPEG is decoded,
	// 1 GB.
	MaxPixels = 1 << 26
	// MaxSide is the largest width and the largest height. To be resized an image
	// takes 32 bytes for each of its rows and each column of the new size.
	MaxSide = 1 << 16
	// MaxHeader is how many bytes of a file may come before its size is known, and
	// its palette: cameras and editors put texts and previews there.
	MaxHeader = 1 << 24
)

var (
	// ErrFormat says that the bytes are no image of a known format.
	ErrFormat = errors.New("not an image of a known format (PNG, JPEG, GIF, BMP, PGM or PPM)")
	// ErrTooLarge says that an image has more than MaxPixels pixels, or more than
	// MaxSide along one side.
	ErrTooLarge = errors.Errorf("more than %d pixels, or more than %d along one side", MaxPixels, MaxSide)
)

// Decode reads a PNG, JPEG, GIF (its first frame), BMP, PGM or PPM image (plain
// or raw, of 8 or 16 bits), recognised by its content. The name is used in
// errors only. An orientation that a camera noted in EXIF is not applied.
//
// The errors are ErrFormat, ErrTooLarge and those of the decoders, wrapped.
func Decode(r io.Reader, name string) (image.Image, error) {
	var header bytes.Buffer
	if _, err := decodeHeader(io.TeeReader(r, &header), name); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(io.MultiReader(&header, r))
	if err != nil {
		return nil, errors.Wrapf(err, "decode image %s", name)
	}
	return img, nil
}

// HasExtension says whether a file is named as an image that Decode reads.
func HasExtension(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".ppm":
		return true
	}
	return false
}

// DecodeFile reads the image file at path; see Decode.
func DecodeFile(path string) (image.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "read image")
	}
	defer file.Close()
	return Decode(file, path)
}

// DecodeSize reads no more than the header of an image. Its size has one channel
// if the format stores greys only, three otherwise. The errors are Decode's.
func DecodeSize(r io.Reader, name string) (Size, error) {
	config, err := decodeHeader(r, name)
	if err != nil {
		return Size{}, err
	}
	size := Size{Height: config.Height, Width: config.Width, Channels: 3}
	if isGrey(config.ColorModel) {
		size.Channels = 1
	}
	return size, nil
}

func decodeHeader(r io.Reader, name string) (image.Config, error) {
	limited := &io.LimitedReader{R: r, N: MaxHeader}
	config, _, err := image.DecodeConfig(limited)
	switch {
	case err != nil && limited.N == 0:
		err = errors.Errorf("found no size in the first %d bytes", MaxHeader)
	case errors.Is(err, image.ErrFormat):
		err = ErrFormat
	}
	if err == nil {
		err = checkPixels(config.Width, config.Height)
	}
	return config, errors.Wrapf(err, "decode image %s", name)
}

func checkPixels(width, height int) error {
	if width < 1 || height < 1 {
		return errors.Errorf("found %d x %d pixels, expected at least one", width, height)
	}
	if width > MaxPixels/height || max(width, height) > MaxSide {
		return errors.Wrapf(ErrTooLarge, "found %d x %d pixels", width, height)
	}
	return nil
}

func isGrey(model color.Model) bool {
	switch model := model.(type) {
	case color.Palette:
		for _, c := range model {
			if r, g, b, _ := c.RGBA(); r != g || g != b {
				return false
			}
		}
		return true
	default:
		return model == color.GrayModel || model == color.Gray16Model
	}
}
