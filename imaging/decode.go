package imaging

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"syscall"

	"github.com/likeness-go/likeness/internal/filekind"
	"github.com/pkg/errors"
)

// The limits of Decode, so that a small file cannot use much memory. They are checked
// when the header is read, before anything is decoded.
const (
	// MaxPixels is the largest width × height: 8192 × 8192, which takes 256 MB as
	// RGBA, twice that at 16 bits a channel, twice that again while it is turned by an
	// EXIF orientation and, while a progressive JPEG is decoded, 1 GB.
	MaxPixels = 1 << 26
	// MaxSide is the largest width and the largest height. Scaling an image needs 32
	// bytes for each of its rows and each column of the new size.
	MaxSide = 1 << 16
	// MaxHeader is the largest number of bytes before the size and the palette of an
	// image: cameras and editors write texts and previews there.
	MaxHeader = 1 << 24
)

var (
	// ErrUndecodable is the error if a file was read, but its content is not an image
	// that can be decoded: it has another format, or is damaged, truncated or too large.
	// All errors of Decode about the content are ErrUndecodable. Errors of reading are
	// not: the file does not exist, permission is denied, too many files are open, or the
	// disk failed.
	ErrUndecodable = errors.New("not an image that can be decoded")
	// ErrFormat is the error if the bytes are not an image of a known format.
	ErrFormat = errors.Errorf("not an image of a known format (%s)", formatNames())
	// ErrTooLarge is the error for an image with more than MaxPixels pixels, or with a
	// side longer than MaxSide.
	ErrTooLarge = errors.Errorf("more than %d pixels (8192 x 8192), or more than %d along one side", MaxPixels, MaxSide)
)

// undecodable is an error about the content of an image.
type undecodable struct{ error }

func (u undecodable) Is(target error) bool { return target == ErrUndecodable }
func (u undecodable) Unwrap() error        { return u.error }

// Skippable reports whether an error of Decode or DecodeFile is about one image file alone,
// so that a program that reads many of them may list it and go on: the file is
// ErrUndecodable, does not exist or no longer exists, is a link to such a file, or may not
// be read by this user. Other errors, such as too many open files, a disk that fails or the
// end of a context, would meet the other files as well.
func Skippable(err error) bool {
	return errors.Is(err, ErrUndecodable) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// Decode reads an image of one of the Formats, recognized by its content: of a GIF its
// first frame, of a TIFF its first page, of a PGM or PPM the plain or the raw form of 8
// or 16 bits. The image is rotated and mirrored according to its EXIF orientation or the
// tag Orientation of a TIFF; invalid EXIF is ignored. The name is used in errors only.
//
// The errors about the content are ErrUndecodable: ErrFormat, ErrTooLarge and those
// of the decoders, wrapped. Those of r are not.
func Decode(r io.Reader, name string) (image.Image, error) {
	return Preprocessing{}.Decode(r, name)
}

// Decode is the function Decode for an image that p will convert. With ScaledJPEG, a large
// JPEG image is returned at a half, a quarter or an eighth of its size: the smallest of
// which both sides are at least those of Size, or at least ShorterSide unless that is 0.
func (p Preprocessing) Decode(r io.Reader, name string) (img image.Image, err error) {
	defer readerPanics(&err, name)
	if r == nil {
		return nil, errors.Errorf("read image %s: the reader is nil", name)
	}
	s := newSource(r)
	f, err := s.open()
	if err != nil {
		return nil, s.wrap(err, name)
	}
	if img, err = f.decode(p); err != nil {
		return nil, s.wrap(err, name)
	}
	return turned(img, f.orientation), nil
}

// DecodeFile reads the image file at path; see Decode.
func DecodeFile(path string) (image.Image, error) {
	return Preprocessing{}.DecodeFile(path)
}

// DecodeFile reads the image file at path; see Preprocessing.Decode.
func (p Preprocessing) DecodeFile(path string) (image.Image, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return p.Decode(file, path)
}

// DecodeSize returns the size of an image after its EXIF orientation is applied. It reads
// only the header and, if EXIF may come after the pixels, the lengths of the parts of the
// file. The size has one channel if the format stores gray levels only, three otherwise.
// The errors are those of Decode.
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
	size = f.size()
	if isGray(f.config.ColorModel) {
		size.Channels = 1
	}
	return size, nil
}

// OpenFile opens an image file for reading. It returns an error for a folder.
func OpenFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if target, link := os.Readlink(path); errors.Is(err, fs.ErrNotExist) && link == nil {
		err = fmt.Errorf("%w: it is a link to %s, which does not exist", err, target)
	}
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

// explained adds to an error of the operating system what to do about it.
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
		} else if kind := filekind.Of(head[:n]); kind != "" {
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

// size is the size of the image after its EXIF orientation is applied.
func (f *opened) size() Size {
	size := Size{Height: f.config.Height, Width: f.config.Width, Channels: 3}
	if f.orientation >= 5 {
		size.Height, size.Width = size.Width, size.Height
	}
	return size
}

func (f *opened) decode(p Preprocessing) (img image.Image, err error) {
	defer unexpectedPanic(&err)
	if denominator := p.denominator(f.size()); f.codec.Name == "JPEG" && denominator > 1 {
		longest := int64(MaxHeader + 8*f.config.Width*f.config.Height)
		return decodeJPEG(io.LimitReader(f.fromStart(), longest), denominator)
	}
	if f.codec.check != nil {
		return f.codec.decode(f.source.section())
	}
	return f.codec.decode(f.fromStart())
}

// fromStart reads the file in order. A JPEG file of four components is given a marker of
// Adobe, without which image/jpeg refuses it and other decoders take it for CMYK values that
// are stored inverted, as the marker says. One in the file itself comes later and counts.
func (f *opened) fromStart() io.Reader {
	const (
		start = "\xff\xd8"
		adobe = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" // version 100, no flags, no transformation
	)
	r := f.source.fromStart()
	if f.codec.Name != "JPEG" || f.config.ColorModel != color.CMYKModel {
		return r
	}
	if _, err := io.CopyN(io.Discard, r, int64(len(start))); err != nil {
		return r // and decoding reports it
	}
	return io.MultiReader(strings.NewReader(start+adobe), r)
}

// unexpectedPanic converts a panic of a decoder, such as at a malicious file, to an error.
func unexpectedPanic(err *error) {
	if r := recover(); r != nil {
		*err = errors.Errorf("the decoder failed: %v", r)
	}
}

// readerPanics converts a panic of the reader, such as of a nil *bytes.Reader, to an error.
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

func isGray(model color.Model) bool {
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

// maxKept is the largest number of bytes of a stream that are buffered for a format
// whose decoder reads in any order.
const maxKept = 1 << 28

// source reads the bytes of an image file at any offset and any number of times. Of a
// stream, such as a pipe or a file in an archive, the bytes read are buffered for that,
// up to a limit.
type source struct {
	file   io.ReaderAt // nil for a stream
	size   int64
	stream io.Reader
	kept   []byte
	limit  int
	// failure is the first error of reading, except the end of the file.
	failure error
}

func newSource(r io.Reader) *source {
	if file, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	}); ok {
		start, err := file.Seek(0, io.SeekCurrent)
		if err == nil {
			var end int64
			end, err = file.Seek(0, io.SeekEnd)
			_, back := file.Seek(start, io.SeekStart)
			if err == nil && back == nil && end > start {
				return &source{file: io.NewSectionReader(file, start, end-start), size: end - start}
			}
		}
	}
	return &source{stream: bufio.NewReader(r), size: math.MaxInt64, limit: MaxHeader}
}

// keep raises the number of bytes of a stream that may be buffered.
func (s *source) keep(limit int) { s.limit = max(s.limit, limit) }

// section is the file from its beginning.
func (s *source) section() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// fromStart reads the file in order; more bytes of a stream are not buffered.
func (s *source) fromStart() io.Reader {
	if s.file != nil {
		return bufio.NewReaderSize(s.section(), int(min(s.size, 1<<16)))
	}
	return io.MultiReader(bytes.NewReader(s.kept), readerFunc(func(p []byte) (int, error) {
		n, err := s.stream.Read(p)
		s.watch(err)
		return n, err
	}))
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// ReadAt reads from an offset; see io.ReaderAt.
func (s *source) ReadAt(p []byte, offset int64) (n int, err error) {
	if s.file != nil {
		n, err = s.file.ReadAt(p, offset)
		s.watch(err)
		return n, err
	}
	if offset < 0 || offset > int64(s.limit) {
		return 0, io.ErrUnexpectedEOF
	}
	end := min(int(offset)+len(p), s.limit)
	for err == nil && len(s.kept) < end {
		from := len(s.kept)
		s.kept = append(s.kept, make([]byte, min(end-from, 1<<16))...)
		var read int
		read, err = io.ReadFull(s.stream, s.kept[from:])
		s.kept = s.kept[:from+read]
		s.watch(err)
	}
	n = copy(p, s.kept[min(int(offset), len(s.kept)):])
	if n < len(p) && (err == nil || err == io.ErrUnexpectedEOF) {
		err = io.EOF
	} else if n == len(p) {
		err = nil
	}
	return n, err
}

// watch records an error of reading.
func (s *source) watch(err error) {
	if err != nil && s.failure == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.failure = err
	}
}

// wrap adds the name to an error, which is ErrUndecodable if reading did not fail.
func (s *source) wrap(err error, name string) error {
	if s.failure != nil {
		return errors.Wrapf(explained(s.failure), "read image %s", name)
	}
	// Some decoders keep only the text of an error.
	text := err.Error()
	switch {
	case errors.Is(err, io.EOF) || strings.HasSuffix(text, io.ErrUnexpectedEOF.Error()) || strings.HasSuffix(text, "not enough pixel data"):
		err = errors.WithMessage(err, "the file is truncated")
	case strings.HasSuffix(text, "short Huffman data") || strings.HasSuffix(text, "missing 0xff00 sequence"): // a JPEG file that ends early
		err = errors.WithMessage(err, "the file is truncated or damaged")
	}
	return errors.Wrapf(undecodable{err}, "decode image %s", name)
}
