package fetch

import (
	"context"
	"encoding/json"
	"io"
	"os"

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
