package collective

import (
	"math/bits"
	"runtime"
	"time"

	"github.com/pkg/errors"
)

// Network is a network of a given cost between the ranks of a job: it keeps each message back for the time that it would take there.
// So a job on one machine measures what a network of that kind costs. Each rank sends and receives at the same time.
type Network struct {
	Latency time.Duration // of a message, however short; at least 0
	Rate    float64       // bytes per second in each direction, above 0
}

// Local is the function Local over the network.
func (n Network) Local(ranks int, work func(*Communicator) error) []error {
	if err := n.check(); err != nil {
		return []error{err}
	}
	return runLocal(ranks, n.over, work)
}

// Connect is the function Connect over the network, in addition to the cost of the real one.
func (n Network) Connect() (*Communicator, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	return connectOver(n.over)
}

func (n Network) check() error {
	if n.Latency < 0 || !(n.Rate > 0) {
		return errors.Errorf("network: found a latency of %v and %v bytes per second, expected at least 0 and above 0", n.Latency, n.Rate)
	}
	return nil
}

func (n Network) over(t transport) transport { return &delayed{t, n} }

// delayed is a transport over a network. A call of the transport beneath returns when all messages are there, and
// this one when they would be.
type delayed struct {
	transport
	network Network
}

// wait waits for messages one after another, and for so many bytes of this rank's link.
func (d *delayed) wait(messages, bytes int) {
	until := time.Now().Add(time.Duration(messages)*d.network.Latency + time.Duration(float64(bytes)/d.network.Rate*1e9))
	const imprecision = 2 * time.Millisecond // by which a sleep may be longer
	if left := time.Until(until); left > imprecision {
		time.Sleep(left - imprecision)
	}
	for time.Now().Before(until) {
		runtime.Gosched()
	}
}

// levels is the number of messages after which all ranks have heard of each other.
func (d *delayed) levels() int { return bits.Len(uint(d.size() - 1)) }

// gather takes the messages of recursive doubling.
func (d *delayed) gather(all, own []byte) error {
	err := d.transport.gather(all, own)
	d.wait(d.levels(), len(all)-len(own))
	return err
}

// broadcast takes those of a binomial tree.
func (d *delayed) broadcast(data []byte) error {
	err := d.transport.broadcast(data)
	d.wait(d.levels(), d.levels()*len(data))
	return err
}

func (d *delayed) exchange(partner int, send, receive []byte) error {
	err := d.transport.exchange(partner, send, receive)
	if len(receive) > 0 {
		d.wait(1, max(len(send), len(receive)))
	}
	return err
}

// sum takes those of recursive halving and doubling.
func (d *delayed) sum(values []float32) error {
	err := d.transport.sum(values)
	d.wait(2*d.levels(), 2*4*len(values)*(d.size()-1)/d.size())
	return err
}
