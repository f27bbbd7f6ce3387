package imaging

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"strings"

	"github.com/pkg/errors"
)

// maxKept is how many bytes of a stream are kept where a format is read in any order.
const maxKept = 1 << 28

// source is the bytes of an image file, to be read from any place and any number of
// times. Of a stream, such as a pipe or a file in an archive, what has been read is
// kept for that, up to a limit.
type source struct {
	file   io.ReaderAt // nil for a stream
	size   int64
	stream io.Reader
	kept   []byte
	limit  int
	// failure is the first error of reading. That a file ends, or ends early, is none.
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

// keep says how many bytes of a stream may be kept.
func (s *source) keep(limit int) { s.limit = max(s.limit, limit) }

// section is the file from its beginning.
func (s *source) section() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// fromStart reads the file in order, a stream without keeping more of it.
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

// watch keeps an error of reading.
func (s *source) watch(err error) {
	if err != nil && s.failure == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.failure = err
	}
}

// wrap says of an error of decoding whether it is about the content.
func (s *source) wrap(err error, name string) error {
	if s.failure != nil {
		return errors.Wrapf(explained(s.failure), "read image %s", name)
	}
	// Some decoders keep only the text of an error.
	if errors.Is(err, io.EOF) || strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()) {
		err = errors.WithMessage(err, "the file is cut short")
	}
	return errors.Wrapf(undecodable{err}, "decode image %s", name)
}
