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

// part is a file that is not whole yet: its bytes are in NAME.part, and where they
// come from in NAME.part.json, so that another process can go on.
type part struct {
	path   string // of the whole file
	file   *os.File
	size   int64 // bytes that are there
	origin origin
}

// origin is where the bytes of a part come from.
type origin struct {
	URL string `json:"url"`
	// Validator is what the server called the file's state, for If-Range; empty if
	// it said nothing by which a changed file can be told.
	Validator string `json:"validator"`
}

// openPart goes on with what an earlier attempt left, or begins anew. Bytes
// without an origin, and more of them than the whole file has, are of no use.
func openPart(path string, most int64) (*part, error) {
	file, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	p := &part{path: path, file: file}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, errors.WithStack(err)
	}
	text, err := os.ReadFile(p.originPath())
	if err != nil || json.Unmarshal(text, &p.origin) != nil || info.Size() > most {
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

// Write adds bytes. Its errors are the disk's, which no other attempt mends.
func (p *part) Write(bytes []byte) (int, error) {
	n, err := p.file.Write(bytes)
	p.size += int64(n)
	if err != nil {
		return n, diskError{err}
	}
	return n, nil
}

// begin throws away what is there for bytes of another origin.
func (p *part) begin(from origin) error {
	// In this order: a part without bytes may have any origin, but bytes must not
	// have a wrong one.
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
	p.origin = from
	return nil
}

// discard throws away what is there.
func (p *part) discard() error {
	p.size, p.origin = 0, origin{}
	err := p.file.Truncate(0)
	if err == nil {
		_, err = p.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return diskError{err}
	}
	return nil
}

// check compares the whole with a checksum.
func (p *part) check(ctx context.Context, sum string) error {
	return checkSum(ctx, io.NewSectionReader(p.file, 0, p.size), sum)
}

// keep gives the file its own name.
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
	os.Remove(p.originPath()) // nothing reads it any more
	return nil
}

// close leaves the part for later, or nothing if it has no bytes.
func (p *part) close() {
	p.file.Close()
	if p.size == 0 {
		os.Remove(p.file.Name())
		os.Remove(p.originPath())
	}
}

// diskError is a failure of this machine.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

// receive asks a place for what the part lacks and adds what comes. began says
// whether the file was begun anew. Errors that are no refusal may pass.
func (c Client) receive(ctx context.Context, file File, address string, part *part) (began bool, err error) {
	silence := cmp.Or(c.Stall, usualStall)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(errors.Errorf("nothing came for %v", silence)) })
	defer watch.Stop()

	response, err := c.ask(ctx, address, part)
	if err != nil {
		return false, cause(ctx, err)
	}
	defer response.Body.Close()
	if began, err = part.prepare(response, file, address); err != nil {
		return began, err
	}
	c.progress(file, part.size)
	body := observed{response.Body, func() { watch.Reset(silence) }}
	room := observedWriter{part, func() { c.progress(file, part.size) }}
	if _, err := io.CopyN(room, body, file.Size-part.size); err == io.EOF {
		return began, errors.Errorf("the connection ended after %d of %d bytes", part.size, file.Size)
	} else if err != nil {
		return began, errors.WithMessagef(cause(ctx, err), "after %d of %d bytes", part.size, file.Size)
	}
	if n, _ := io.ReadFull(body, make([]byte, 1)); n > 0 {
		if err := part.discard(); err != nil {
			return began, err
		}
		return began, refusal{errors.Wrapf(ErrSize, "found more than the expected %d bytes", file.Size)}
	}
	return began, nil
}

// ask requests the file, or the rest of it if the place still has the one that
// the part began with.
func (c Client) ask(ctx context.Context, address string, part *part) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, refusal{err}
	}
	request.Header.Set("User-Agent", "likeness")
	request.Header.Set("Accept-Encoding", "identity") // bytes as they are published
	if part.size > 0 && part.origin.URL == address && part.origin.Validator != "" {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.size))
		request.Header.Set("If-Range", part.origin.Validator)
	}
	response, err := cmp.Or(c.HTTP, usualHTTP).Do(request)
	if failure := new(url.Error); errors.As(err, &failure) {
		err = failure.Err // the caller adds the address
	}
	return response, err
}

// prepare readies the part for the body of a response.
func (p *part) prepare(response *http.Response, file File, address string) (began bool, err error) {
	switch code := response.StatusCode; {
	case code == http.StatusOK:
		if found := response.ContentLength; found >= 0 && found != file.Size {
			return true, refusal{errors.Wrapf(ErrSize, "found %d bytes, expected %d", found, file.Size)}
		}
		return true, p.begin(origin{URL: address, Validator: validator(response.Header)})
	case code == http.StatusPartialContent:
		// A server that ignores If-Range is caught by its own validator.
		state, found := validator(response.Header), response.Header.Get("Content-Range")
		whole := fmt.Sprintf("bytes %d-%d/%d", p.size, file.Size-1, file.Size)
		if found == whole && p.size > 0 && (state == "" || state == p.origin.Validator) {
			return false, nil
		}
		err = errors.Errorf("found the part %q of the file %s, expected %q of the file %s", found, state, whole, p.origin.Validator)
	case code == http.StatusRequestedRangeNotSatisfiable:
		err = errors.Errorf("the server has nothing after byte %d", p.size)
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		return false, errors.Errorf("the server answers %s", response.Status)
	default:
		return false, refusal{errors.Errorf("the server answers %s", response.Status)}
	}
	if disk := p.discard(); disk != nil {
		return false, disk
	}
	return false, err
}

// validator is what tells two states of a file apart, byte by byte: a strong
// entity tag, or a date, which servers compare exactly (RFC 9110, section 13.1.5).
func validator(header http.Header) string {
	if tag := header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return header.Get("Last-Modified")
}

// cause is why the context ended, if that is why there is an error.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// observed is a reader that tells of each read that brings something.
type observed struct {
	io.Reader
	tell func()
}

func (o observed) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if n > 0 {
		o.tell()
	}
	return n, err
}

// observedWriter is a writer that tells of each write.
type observedWriter struct {
	io.Writer
	tell func()
}

func (o observedWriter) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	o.tell()
	return n, err
}
