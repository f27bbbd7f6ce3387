package serve

import (
	"io"
	"net"
	"sync/atomic"

	"github.com/pkg/errors"
)

var errCrowded = errors.New("the bodies of requests take all the memory that there is for them")

// memory bounds what the bodies of all requests take together. Bytes count when
// they have come and not when a header promises them, so that slow clients, of
// which there may be many, take little of it.
type memory struct{ left atomic.Int64 }

func newMemory(bytes int64) *memory {
	m := &memory{}
	m.left.Store(bytes)
	return m
}

// counted is a body whose bytes are taken from the memory until they are released.
// Reading it beyond what is left is errCrowded.
type counted struct {
	io.ReadCloser
	memory *memory
	taken  int64
	gone   bool // the connection ended before the body did
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.taken += int64(n)
	var network *net.OpError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) && !network.Timeout() {
		c.gone = true
	}
	if c.memory.left.Add(-int64(n)) < 0 {
		return 0, errCrowded
	}
	return n, err
}

func (c *counted) release() {
	c.memory.left.Add(c.taken)
	c.taken = 0
}
