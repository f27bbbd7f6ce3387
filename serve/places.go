package serve

import "net/http"

// places are those of the requests that are computed. A request takes one when it
// has been read and gives it back before its answer is written, so that a client
// that sends or reads slowly keeps nobody out.
type places chan struct{}

// check refuses a request for which there would be no place if it had been read.
func (p places) check() error {
	if len(p) == cap(p) {
		return p.refuse()
	}
	return nil
}

// enter takes a place, which leave gives back, or refuses at once.
func (p places) enter() error {
	select {
	case p <- struct{}{}:
		return nil
	default:
		return p.refuse()
	}
}

func (p places) leave() { <-p }

func (p places) refuse() error {
	return refuse(http.StatusTooManyRequests, "found %d requests at a time, which is the most that are taken: try again", cap(p))
}
