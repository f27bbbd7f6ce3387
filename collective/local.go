package collective

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

// Local runs a job of several ranks in goroutines of this process, for tests and for programs that
// want to see what several processes do. It calls work once for each rank, closes the communicators
// and returns the error of each rank. A panic of work is an error.
func Local(ranks int, work func(*Communicator) error) []error {
	return runLocal(ranks, directly, work)
}

// directly is the transport itself.
func directly(t transport) transport { return t }

func runLocal(ranks int, over func(transport) transport, work func(*Communicator) error) []error {
	if ranks < 1 || work == nil {
		return []error{errors.Errorf("local job: found %d ranks, expected at least 1 and a function", ranks)}
	}
	h := &hub{ranks: ranks, posted: make([][]byte, ranks), mail: map[[2]int][]byte{}}
	h.changed = sync.NewCond(&h.mutex)
	failures := make([]error, ranks)
	var all sync.WaitGroup
	for rank := range ranks {
		all.Go(func() {
			c, err := newCommunicator(over(&local{h, rank}))
			if err == nil {
				err = guarded(c, work)
				if closing := c.Close(err); err == nil {
					err = closing
				}
			}
			failures[rank] = err
		})
	}
	all.Wait()
	return failures
}

func guarded(c *Communicator, work func(*Communicator) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("panic: %s", guard.Text(cause))
		}
	}()
	return work(c)
}

// hub is what the ranks of a local job share.
type hub struct {
	ranks   int
	mutex   sync.Mutex
	changed *sync.Cond
	posted  [][]byte // of the present gather
	arrived int
	leaving int
	mail    map[[2]int][]byte // by sender and receiver
	ended   error
}

// wait waits until the condition holds or the job is aborted.
func (h *hub) wait(condition func() bool) error {
	for !condition() && h.ended == nil {
		h.changed.Wait()
	}
	return h.ended
}

// local is the transport of one rank.
type local struct {
	*hub
	own int
}

func (l *local) rank() int { return l.own }
func (l *local) size() int { return l.ranks }

func (l *local) gather(all, own []byte) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err := l.wait(func() bool { return l.leaving == 0 }); err != nil {
		return err
	}
	l.posted[l.own] = slices.Clone(own)
	if l.arrived++; l.arrived == l.ranks {
		l.arrived, l.leaving = 0, l.ranks
		l.changed.Broadcast()
	} else if err := l.wait(func() bool { return l.leaving > 0 }); err != nil {
		return err
	}
	for rank, data := range l.posted {
		copy(all[rank*len(own):], data)
	}
	if l.leaving--; l.leaving == 0 {
		l.changed.Broadcast()
	}
	return nil
}

func (l *local) broadcast(data []byte) error {
	if l.own != 0 {
		return l.exchange(0, nil, data)
	}
	for rank := 1; rank < l.ranks; rank++ {
		if err := l.exchange(rank, data, nil); err != nil {
			return err
		}
	}
	return nil
}

func (l *local) exchange(partner int, send, receive []byte) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(send) > 0 {
		box := [2]int{l.own, partner}
		if err := l.wait(func() bool { return l.mail[box] == nil }); err != nil {
			return err
		}
		l.mail[box] = slices.Clone(send)
		l.changed.Broadcast()
	}
	if len(receive) == 0 {
		return nil
	}
	box := [2]int{partner, l.own}
	if err := l.wait(func() bool { return l.mail[box] != nil }); err != nil {
		return err
	}
	defer l.changed.Broadcast()
	data := l.mail[box]
	delete(l.mail, box)
	if len(data) != len(receive) {
		return errors.Errorf("rank %d sent %d bytes, expected %d", partner, len(data), len(receive))
	}
	copy(receive, data)
	return nil
}

// sum adds in the order of the ranks.
func (l *local) sum(values []float32) error {
	own := bytesOf(values)
	all := make([]byte, len(own)*l.ranks)
	if err := l.gather(all, own); err != nil {
		return err
	}
	clear(values)
	for data := range slices.Chunk(all, max(1, len(own))) {
		for i := range values {
			values[i] += math.Float32frombits(binary.NativeEndian.Uint32(data[4*i:]))
		}
	}
	return nil
}

func (l *local) finalize() error { return nil }

func (l *local) abort(message string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.ended == nil {
		l.ended = errors.Errorf("the job was aborted: %s", message)
	}
	l.changed.Broadcast()
}
