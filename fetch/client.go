package fetch

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pkg/errors"
)

var (
	// ErrChecksum is the error for a file that is not the published one.
	ErrChecksum = errors.New("wrong checksum")
	// ErrSize is the error for a file that does not have the published size.
	ErrSize = errors.New("wrong size")
)

// Client downloads sets. The zero value is ready to use. A Client is safe for concurrent
// use with different folders.
type Client struct {
	// HTTP sends the requests; nil means a client with a timeout of 30 s for connecting
	// and for the header of the answer.
	HTTP *http.Client
	// Attempts is the maximum number of attempts to download a file in spite of temporary
	// failures; 0 means 6.
	Attempts int
	// Pause is the time to wait after the first failure. It doubles with each further
	// failure, up to 16 times the first. 0 means one second.
	Pause time.Duration
	// Stall is the maximum time without receiving any byte, after which a connection
	// counts as lost; 0 means 30 s.
	Stall time.Duration
	// OnProgress, unless it is nil, is called with the number of bytes of a file that have
	// been received. The Size of a file of unknown size is the one that the server
	// announced.
	OnProgress func(file File, done int64)
	// OnRetry, unless it is nil, is called before an attempt is repeated, with the reason
	// and the time to wait.
	OnRetry func(file File, reason error, pause time.Duration)
}

const (
	defaultAttempts = 6
	defaultPause    = time.Second
	maxDoublings    = 4
	defaultStall    = 30 * time.Second
)

// defaultHTTP is http.DefaultClient with timeouts for connecting and for the header of the answer.
var defaultHTTP = &http.Client{Transport: func() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: defaultStall, KeepAlive: defaultStall}).DialContext
	transport.ResponseHeaderTimeout = defaultStall
	return transport
}()}

// Fetch downloads the files of the set that are missing in the folder, which it creates if
// needed. A file without a size and a checksum, or what stands for them, is an error. Existing files are verified; it is an error if one is not the published file,
// because Fetch overwrites no files. The error wraps ErrChecksum or ErrSize if a server
// sends another file than the published one, which is not kept.
//
// When the context ends, Fetch returns its error. The bytes received so far are kept, and
// another Fetch resumes the download.
func (c Client) Fetch(ctx context.Context, set Set, folder string) error {
	for _, file := range set.Files {
		if err := file.validate(); err != nil {
			return errors.Wrapf(err, "fetch %s", set.Name)
		}
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.Wrapf(err, "fetch %s", set.Name)
	}
	for _, file := range set.Files {
		if err := c.fetch(ctx, file, folder); err != nil {
			return errors.Wrapf(err, "fetch %s", set.Name)
		}
	}
	return nil
}

// fetch downloads one file if it or its members are missing.
func (c Client) fetch(ctx context.Context, file File, folder string) error {
	complete := true
	for _, w := range file.wanted() {
		there, err := w.in(ctx, folder)
		if err != nil {
			return err
		}
		complete = complete && there
	}
	if complete {
		size := file.Size
		if info, err := os.Stat(filepath.Join(folder, file.Name)); err == nil && size == 0 {
			size = info.Size()
		}
		c.progress(file, size, size)
		return nil
	}
	if there, err := file.itself().in(ctx, folder); err != nil {
		return err
	} else if !there {
		if err := c.download(ctx, file, filepath.Join(folder, file.Name)); err != nil {
			return errors.Wrap(err, file.Name)
		}
	}
	if len(file.Members) == 0 {
		return nil
	}
	path := filepath.Join(folder, file.Name)
	if err := unpack(ctx, path, file.Members, folder); err != nil {
		return errors.Wrapf(err, "unpack %s", path)
	}
	return errors.Wrap(os.Remove(path), "remove the unpacked archive")
}

// progress reports that of a file of the given size.
func (c Client) progress(file File, done, size int64) {
	if c.OnProgress != nil {
		file.Size = size
		c.OnProgress(file, done)
	}
}

// download downloads a file to path from the first URL that has it. A URL that refuses the
// request is not tried again. After a temporary failure it is tried again, but after the
// other URLs if it has sent nothing.
func (c Client) download(ctx context.Context, file File, path string) error {
	part, err := openPart(path, file)
	if err != nil {
		return err
	}
	urls := slices.Clone(file.URLs)
	if at := slices.Index(urls, part.origin.URL); at > 0 { // resume there first
		urls[0], urls[at] = urls[at], urls[0]
	}
	var reasons failures
	for failed := 0; ; {
		before := part.size
		err := c.attempt(ctx, file, urls[0], part)
		if err == nil {
			return part.keep()
		}
		if err, stop := stops(ctx, err); stop {
			part.close()
			return err
		}
		reasons = append(reasons, errors.WithMessage(err, urls[0]))
		if errors.As(err, new(refusal)) {
			if urls = urls[1:]; len(urls) == 0 {
				part.close()
				return reasons
			}
			continue
		}
		if failed++; failed == cmp.Or(c.Attempts, defaultAttempts) {
			part.close()
			return errors.WithMessagef(reasons, "gave up after %d attempts", failed)
		}
		if part.size <= before {
			urls = append(urls[1:], urls[0])
		}
		if err := c.pause(ctx, file, err, failed); err != nil {
			part.close()
			return err
		}
	}
}

// stops reports whether an error ends all attempts, and returns that error: that of the
// context or of the disk.
func stops(ctx context.Context, err error) (error, bool) {
	if ctx.Err() != nil {
		return ctx.Err(), true
	}
	return err, errors.As(err, new(diskError))
}

// attempt downloads the missing bytes from one URL and verifies the file.
func (c Client) attempt(ctx context.Context, file File, url string, part *part) error {
	resumed := part.size > 0
	if part.total == 0 || part.size < part.total {
		began, err := c.receive(ctx, file, url, part)
		if err != nil {
			return err
		}
		resumed = !began
	}
	err := part.check(ctx, file.itself().sum)
	if !errors.Is(err, ErrChecksum) {
		return err
	}
	if disk := part.discard(); disk != nil {
		return disk
	}
	if resumed {
		return err // bytes of an earlier attempt may be wrong
	}
	return refusal{err}
}

// pause waits before the next attempt, twice as long after each failure.
func (c Client) pause(ctx context.Context, file File, reason error, failed int) error {
	pause := cmp.Or(c.Pause, defaultPause) << min(failed-1, maxDoublings)
	if c.OnRetry != nil {
		c.OnRetry(file, reason, pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusal is the error of a URL that does not have the file, so that retrying is pointless.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// failures are the errors of all attempts.
type failures []error

// Error returns the different reasons in one line.
func (f failures) Error() string {
	var texts []string
	for _, err := range f {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

// Unwrap makes errors.Is match any of them.
func (f failures) Unwrap() []error { return f }
