package fetch

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pkg/errors"
)

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
