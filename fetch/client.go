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
	// ErrChecksum says that a file is not the published one.
	ErrChecksum = errors.New("wrong checksum")
	// ErrSize says that a file does not have the published size.
	ErrSize = errors.New("wrong size")
)

// Client fetches sets. The zero value is ready to use, and a Client may be used
// by several goroutines at once, for different folders.
type Client struct {
	// HTTP sends the requests; nil is a client that gives up on a server that does
	// not answer within half a minute.
	HTTP *http.Client
	// Attempts is how often a file is tried whose server fails in a way that may
	// pass; 0 means 6.
	Attempts int
	// Pause is how long to wait after the first failure; it doubles with each
	// further one, up to 16 times as long. 0 means one second.
	Pause time.Duration
	// Stall is after how long without a byte a connection counts as cut; 0 means
	// half a minute.
	Stall time.Duration
	// OnProgress is told how many bytes of a file are there, as they come; nil asks
	// for nothing.
	OnProgress func(file File, done int64)
	// OnRetry is told why a file is tried again, and after which pause.
	OnRetry func(file File, reason error, pause time.Duration)
}

const (
	usualAttempts = 6
	usualPause    = time.Second
	mostDoublings = 4
	usualStall    = 30 * time.Second
)

// usualHTTP is http.DefaultClient with limits on how long a server may be silent.
var usualHTTP = &http.Client{Transport: func() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: usualStall, KeepAlive: usualStall}).DialContext
	transport.ResponseHeaderTimeout = usualStall
	return transport
}()}

// Fetch makes the folder hold the set, and makes the folder if there is none.
// Files that are there are checked; one that is not as published is an error, for
// somebody may need it. ErrChecksum and ErrSize say that what a server sends is not
// the published file, of which nothing is kept.
//
// When the context ends, so does Fetch, with the context's error. What has come so
// far is kept, and another Fetch goes on from there.
func (c Client) Fetch(ctx context.Context, set Set, folder string) error {
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

// fetch makes the folder hold one file, or its members.
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
		c.progress(file, file.Size)
		return nil
	}
	archive := wanted{file.Name, file.SHA256, file.Size}
	if there, err := archive.in(ctx, folder); err != nil {
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
	return errors.Wrap(os.Remove(path), "remove what is unpacked")
}

func (c Client) progress(file File, done int64) {
	if c.OnProgress != nil {
		c.OnProgress(file, done)
	}
}

// download fetches a file to path, from the first of its places that has it. A
// place that refuses is not asked again; one that fails in a way that may pass is,
// and if it had sent nothing, another goes first.
func (c Client) download(ctx context.Context, file File, path string) error {
	part, err := openPart(path, file.Size)
	if err != nil {
		return err
	}
	places := slices.Clone(file.URLs)
	if at := slices.Index(places, part.origin.URL); at > 0 { // where the part goes on
		places[0], places[at] = places[at], places[0]
	}
	var reasons failures
	for failed := 0; ; {
		before := part.size
		err := c.attempt(ctx, file, places[0], part)
		if err == nil {
			return part.keep()
		}
		if err, stop := stops(ctx, err); stop {
			part.close()
			return err
		}
		reasons = append(reasons, errors.WithMessage(err, places[0]))
		if errors.As(err, new(refusal)) {
			if places = places[1:]; len(places) == 0 {
				part.close()
				return reasons
			}
			continue
		}
		if failed++; failed == cmp.Or(c.Attempts, usualAttempts) {
			part.close()
			return errors.WithMessagef(reasons, "gave up after %d attempts", failed)
		}
		if part.size <= before {
			places = append(places[1:], places[0])
		}
		if err := c.pause(ctx, file, err, failed); err != nil {
			part.close()
			return err
		}
	}
}

// stops says whether an error ends all attempts, and with which error: the
// context's or the disk's.
func stops(ctx context.Context, err error) (error, bool) {
	if ctx.Err() != nil {
		return ctx.Err(), true
	}
	return err, errors.As(err, new(diskError))
}

// attempt fetches what is missing from one place and checks the whole.
func (c Client) attempt(ctx context.Context, file File, url string, part *part) error {
	resumed := part.size > 0
	if part.size < file.Size {
		began, err := c.receive(ctx, file, url, part)
		if err != nil {
			return err
		}
		resumed = !began
	}
	err := part.check(ctx, file.SHA256)
	if !errors.Is(err, ErrChecksum) {
		return err
	}
	if disk := part.discard(); disk != nil {
		return disk
	}
	if resumed {
		return err // what was there before may have been at fault
	}
	return refusal{err}
}

// pause waits, twice as long after each failure.
func (c Client) pause(ctx context.Context, file File, reason error, failed int) error {
	pause := cmp.Or(c.Pause, usualPause) << min(failed-1, mostDoublings)
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

// refusal says that a place does not have the file, so that it is of no use to
// ask again.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// failures are why each attempt failed.
type failures []error

// Error gives each reason once, in one line.
func (f failures) Error() string {
	var texts []string
	for _, err := range f {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

// Unwrap makes errors.Is find what any of them is.
func (f failures) Unwrap() []error { return f }
