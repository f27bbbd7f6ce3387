package serve

import "github.com/pkg/errors"

var errBusy = errors.New("too many requests at a time")

// places are those of the requests that are computed. A request takes one when it
// has been read and gives it back before its answer is written, so that a client
// that sends or reads slowly keeps nobody out.
type places chan struct{}

// full says whether a request that comes now would be refused.
func (p places) full() bool { return len(p) == cap(p) }

// enter takes a place, which leave gives back, or is errBusy at once.
func (p places) enter() error {
	select {
	case p <- struct{}{}:
		return nil
	default:
		return errBusy
	}
}

func (p places) leave() { <-p }
