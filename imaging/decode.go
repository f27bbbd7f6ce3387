package imaging

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/pkg/errors"
)

// What Decode accepts, so that a small file does not take much memory. All of it is
// known from the header, before anything is decoded.
const (
	// MaxPixels is the largest width × height: 8192 × 8192, which takes 256 MB as
	// RGBA, twice that at 16 bits a channel, twice that again while it is turned by an
	// EXIF orientation and, while a progressive JPEG is decoded, 1 GB.
	MaxPixels = 1 << 26
	// MaxSide is the largest width and the largest height. To be resized an image
	// takes 32 bytes for each of its rows and each column of the new size.
	MaxSide = 1 << 16
	// MaxHeader is how many bytes of a file may come before its size is known, and
	// its palette: cameras and editors put texts and previews there.
	MaxHeader = 1 << 24
)

var (
	// ErrUndecodable says that a file was read, and that its content is not an image
	// that can be decoded: it is of another format, damaged, cut short or too large. All
	// errors of Decode that are about the content are this one, and none is that is about
	// reading: that the file is not there, that permission is denied, that too many files
	// are open, that the disk failed. These say nothing about the image.
	ErrUndecodable = errors.New("not an image that can be decoded")
	// ErrFormat says that the bytes are no image of a known format.
	ErrFormat = errors.Errorf("not an image of a known format (%s)", formatNames())
	// ErrTooLarge says that an image has more than MaxPixels pixels, or more than
	// MaxSide along one side.
	ErrTooLarge = errors.Errorf("more than %d pixels (8192 x 8192), or more than %d along one side", MaxPixels, MaxSide)
)

// undecodable is an error about the content of an image.
type undecodable struct{ error }

func (u undecodable) Is(target error) bool { return target == ErrUndecodable }
func (u undecodable) Unwrap() error        { return u.error }

// Decode reads an image of one of the Formats, recognized by its content: of a GIF
// its first frame, of a TIFF its first page, of a PGM or PPM the plain or the raw
// form of 8 or 16 bits. It is turned as its EXIF orientation says, or the tag
// Orientation of a TIFF; broken EXIF is ignored. The name is used in errors only.
//
// The errors about the content are ErrUndecodable: ErrFormat, ErrTooLarge and those
// of the decoders, wrapped. Those of r are not.
func Decode(r io.Reader, name string) (img image.Image, err error) {
	defer readerPanics(&err, name)
	if r == nil {
		return nil, errors.Errorf("read image %s: the reader is nil", name)
	}
	s := newSource(r)
	f, err := s.open()
	if err != nil {
		return nil, s.wrap(err, name)
	}
	if img, err = f.decode(); err != nil {
		return nil, s.wrap(err, name)
	}
	return turned(img, f.orientation), nil
}

// DecodeFile reads the image file at path; see Decode.
func DecodeFile(path string) (image.Image, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return Decode(file, path)
}

// DecodeSize reads no more than it needs of an image to tell its size, as it is when
// it is turned: the header and, where EXIF may come after the pixels, the lengths of
// the file's parts. The size has one channel if the format stores gray levels only, three
// otherwise. The errors are Decode's.
func DecodeSize(r io.Reader, name string) (size Size, err error) {
	defer readerPanics(&err, name)
	if r == nil {
		return Size{}, errors.Errorf("read image %s: the reader is nil", name)
	}
	s := newSource(r)
	f, err := s.open()
	if err != nil {
		return Size{}, s.wrap(err, name)
	}
	size = Size{Height: f.config.Height, Width: f.config.Width, Channels: 3}
	if f.orientation >= 5 {
		size.Height, size.Width = size.Width, size.Height
	}
	if isGrey(f.config.ColorModel) {
		size.Channels = 1
	}
	return size, nil
}

// OpenFile opens an image file to be read. A folder is an error that says so.
func OpenFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(explained(err), "read image")
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.Errorf("%s is a folder, expected an image file (%s)", path, formatNames())
	}
	if err != nil {
		_ = file.Close()
		return nil, errors.Wrap(err, "read image")
	}
	return file, nil
}

// explained says what to do about an error of the operating system.
func explained(err error) error {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: this program may open no more files at a time; raise its limit, such as by ulimit -n 4096", err)
	case errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("%w: all programs of this machine have too many files open; close some of them", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: this user may not read the file", err)
	}
	return err
}

// opened is an image whose header has been read.
type opened struct {
	source      *source
	codec       *codec
	config      image.Config
	orientation int // 1 to 8
}

// open reads the header.
func (s *source) open() (f *opened, err error) {
	defer unexpectedPanic(&err)
	head := make([]byte, headLength)
	n, _ := s.ReadAt(head, 0)
	f = &opened{source: s, codec: codecOf(head[:n]), orientation: upright}
	if f.codec == nil {
		err = ErrFormat
		if n == 0 {
			err = errors.WithMessage(err, "the file is empty")
		} else if kind := otherKind(head[:n]); kind != "" {
			err = errors.WithMessage(err, "found "+kind)
		}
		return nil, err
	}
	if f.codec.check != nil {
		s.keep(maxKept)
		err = f.codec.check(s.section())
	}
	if err == nil {
		err = f.readConfig()
	}
	if err == nil {
		err = checkPixels(f.config.Width, f.config.Height)
	}
	if err != nil {
		return nil, err
	}
	if f.codec.orientation != nil {
		s.keep(MaxHeader + 8*f.config.Width*f.config.Height)
		f.orientation = f.codec.orientation(s.section())
	}
	return f, s.failure
}

func (f *opened) readConfig() (err error) {
	if f.codec.check != nil {
		f.config, err = f.codec.config(f.source.section())
		return err
	}
	limited := &io.LimitedReader{R: f.source.section(), N: MaxHeader}
	f.config, err = f.codec.config(limited)
	if err != nil && limited.N == 0 {
		err = errors.Errorf("found no size in the first %d bytes", MaxHeader)
	}
	return err
}

func (f *opened) decode() (img image.Image, err error) {
	defer unexpectedPanic(&err)
	if f.codec.check != nil {
		return f.codec.decode(f.source.section())
	}
	return f.codec.decode(f.source.fromStart())
}

// unexpectedPanic makes an error of a decoder's panic at a hostile file.
func unexpectedPanic(err *error) {
	if r := recover(); r != nil {
		*err = errors.Errorf("the decoder failed: %v", r)
	}
}

// readerPanics makes an error of a panic of the reader, such as of a nil *bytes.Reader.
func readerPanics(err *error, name string) {
	if r := recover(); r != nil {
		*err = errors.Errorf("read image %s: the reader panics: %v", name, r)
	}
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
