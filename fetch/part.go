package fetch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// part is an incomplete file: its bytes are in NAME.part and their origin in
// NAME.part.json, so that another process can resume the download.
type part struct {
	path   string // path of the complete file
	file   *os.File
	size   int64 // bytes received so far
	known  int64 // File.Size
	total  int64 // bytes of the complete file; 0 until the server has announced them
	origin origin
}

// origin is the origin of the bytes of a part.
type origin struct {
	URL string `json:"url"`
	// Validator identifies the version of the file, for the header If-Range; empty if the
	// server sent no strong validator.
	Validator string `json:"validator"`
	// Size is the number of bytes that the server announced, if it was not known before.
	Size int64 `json:"size,omitempty"`
}

// openPart opens the part of an earlier attempt or creates it. A part without an origin or
// with more bytes than the complete file is discarded.
func openPart(path string, wanted File) (*part, error) {
	file, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	p := &part{path: path, file: file, known: wanted.Size, total: wanted.Size}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, errors.WithStack(err)
	}
	text, err := os.ReadFile(p.originPath())
	if err == nil {
		err = json.Unmarshal(text, &p.origin)
	}
	if err == nil && wanted.Size == 0 {
		if err = wanted.itself().checkSize(p.origin.Size); err == nil {
			p.total = p.origin.Size
		}
	}
	if err != nil || info.Size() > p.total {
		err = p.discard()
	} else {
		p.size, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		file.Close()
	}
	return p, errors.WithStack(err)
}

func (p *part) originPath() string { return p.path + ".part.json" }

// Write appends bytes. Its errors are those of the disk, so that retrying is pointless.
func (p *part) Write(bytes []byte) (int, error) {
	n, err := p.file.Write(bytes)
	p.size += int64(n)
	if err != nil {
		return n, diskError{err}
	}
	return n, nil
}

// begin discards the part and starts one of another origin.
func (p *part) begin(from origin) error {
	// The bytes are discarded first, because an empty part may have any origin, but bytes
	// must not have a wrong one.
	if err := p.discard(); err != nil {
		return err
	}
	text, err := json.Marshal(from)
	if err == nil {
		err = atomicfile.WriteFile(p.originPath(), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		return diskError{err}
	}
	p.origin, p.total = from, cmp.Or(p.known, from.Size)
	return nil
}

// discard removes the bytes of the part, and its total if a server announced it.
func (p *part) discard() error {
	p.size, p.total, p.origin = 0, p.known, origin{}
	err := p.file.Truncate(0)
	if err == nil {
		_, err = p.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return diskError{err}
	}
	return nil
}

// check compares the complete file with a checksum.
func (p *part) check(ctx context.Context, sum checksum) error {
	return sum.check(ctx, io.NewSectionReader(p.file, 0, p.size))
}

// keep renames the complete file.
func (p *part) keep() error {
	if err := p.file.Sync(); err != nil {
		return errors.WithStack(err)
	}
	if err := p.file.Close(); err != nil {
		return errors.WithStack(err)
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return errors.WithStack(err)
	}
	os.Remove(p.originPath()) // the origin is not needed any more
	return nil
}

// close closes the part, and removes it if it is empty.
func (p *part) close() {
	p.file.Close()
	if p.size == 0 {
		os.Remove(p.file.Name())
		os.Remove(p.originPath())
	}
}

// diskError is an error of writing to the disk.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

// receive requests the missing bytes from a URL and appends them. began reports whether the
// file was started again. Errors other than refusal are temporary.
func (c Client) receive(ctx context.Context, file File, address string, part *part) (began bool, err error) {
	stall := cmp.Or(c.Stall, defaultStall)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(errors.Errorf("received nothing for %v", stall)) })
	defer watch.Stop()

	response, err := c.request(ctx, address, part)
	if err != nil {
		return false, cause(ctx, err)
	}
	defer response.Body.Close()
	if began, err = part.prepare(response, file, address); err != nil {
		return began, err
	}
	c.progress(file, part.size, part.total)
	body := observed{response.Body, func() { watch.Reset(stall) }}
	target := observedWriter{part, func() { c.progress(file, part.size, part.total) }}
	if _, err := io.CopyN(target, body, part.total-part.size); err == io.EOF {
		return began, errors.Errorf("the connection ended after %d of %d bytes", part.size, part.total)
	} else if err != nil {
		return began, errors.WithMessagef(cause(ctx, err), "after %d of %d bytes", part.size, part.total)
	}
	if n, _ := io.ReadFull(body, make([]byte, 1)); n > 0 {
		total := part.total
		if err := part.discard(); err != nil {
			return began, err
		}
		return began, refusal{errors.Wrapf(ErrSize, "found more than the expected %d bytes", total)}
	}
	return began, nil
}

// ask requests the file, or the rest of it if the place still has the one that
// the part began with.
func (c Client) request(ctx context.Context, address string, part *part) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, refusal{err}
	}
	request.Header.Set("User-Agent", "likeness")
	request.Header.Set("Accept-Encoding", "identity") // the file without content coding
	if part.size > 0 && part.origin.URL == address && part.origin.Validator != "" {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.size))
		request.Header.Set("If-Range", part.origin.Validator)
	}
	response, err := cmp.Or(c.HTTP, defaultHTTP).Do(request)
	if failure := new(url.Error); errors.As(err, &failure) {
		err = failure.Err // the caller adds the URL
	}
	return response, err
}

// prepare prepares the part for the body of a response.
func (p *part) prepare(response *http.Response, file File, address string) (began bool, err error) {
	switch code := response.StatusCode; {
	case code == http.StatusOK:
		from := origin{URL: address, Validator: validator(response.Header)}
		found := response.ContentLength
		if found < 0 && file.Size == 0 {
			return true, refusal{errors.Wrapf(ErrSize, "found no Content-Length, expected 1 to %d bytes", file.MaxSize)}
		}
		if found >= 0 {
			if err := file.itself().checkSize(found); err != nil {
				return true, refusal{err}
			}
		}
		if file.Size == 0 {
			from.Size = found
		}
		return true, p.begin(from)
	case code == http.StatusPartialContent:
		// The validator reveals a server that ignores If-Range.
		state, found := validator(response.Header), response.Header.Get("Content-Range")
		whole := fmt.Sprintf("bytes %d-%d/%d", p.size, p.total-1, p.total)
		if found == whole && p.size > 0 && (state == "" || state == p.origin.Validator) {
			return false, nil
		}
		err = errors.Errorf("found the range %q of version %s of the file, expected %q of version %s", found, state, whole, p.origin.Validator)
	case code == http.StatusRequestedRangeNotSatisfiable:
		err = errors.Errorf("the server has no bytes after byte %d", p.size)
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		return false, errors.Errorf("the server answered %s", response.Status)
	default:
		return false, refusal{errors.Errorf("the server answered %s", response.Status)}
	}
	if disk := p.discard(); disk != nil {
		return false, disk
	}
	return false, err
}

// validator returns the strong validator of a version of the file: a strong entity tag or
// the date of modification, which servers compare exactly (RFC 9110, section 13.1.5).
func validator(header http.Header) string {
	if tag := header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return header.Get("Last-Modified")
}

// cause returns the cause of the context's end, if it has ended, instead of an error.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// observed is a reader that calls a function after each read of at least one byte.
type observed struct {
	io.Reader
	call func()
}

func (o observed) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if n > 0 {
		o.call()
	}
	return n, err
}

// observedWriter is a writer that calls a function after each write.
type observedWriter struct {
	io.Writer
	call func()
}

func (o observedWriter) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	o.call()
	return n, err
}
