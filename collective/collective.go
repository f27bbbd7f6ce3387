package collective

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// transport moves bytes between the ranks of a job. Its methods are called by one goroutine at a
// time, and in the same order on all ranks.
type transport interface {
	rank() int
	size() int
	// gather writes own of all ranks, which have one length, to all, in the order of the ranks.
	gather(all, own []byte) error
	// broadcast copies data of rank 0 to the others.
	broadcast(data []byte) error
	// exchange sends to the partner and receives from it; either may be empty.
	exchange(partner int, send, receive []byte) error
	// sum adds up the values of all ranks in an order of its choice.
	sum(values []float32) error
	// finalize ends the transport. Other ranks may wait for it.
	finalize() error
	// abort ends the job: every rank that waits fails.
	abort(message string)
}

// Communicator is the connection of one rank to the others of its job. A nil Communicator is
// the only rank of a job. Its methods are not safe for concurrent use.
type Communicator struct {
	transport transport
	sequence  uint64
	hosts     []string // of the ranks
	over      error    // why no call is possible any more
	closed    bool
	spare     []float32
}

// PeerError is an error of another rank.
type PeerError struct {
	Rank    int
	Host    string
	Message string
}

func (e *PeerError) Error() string {
	if e == nil {
		return "an unknown rank failed"
	}
	return fmt.Sprintf("rank %d on %s: %s", e.Rank, e.Host, e.Message)
}

// ErrMismatch is the error of ranks that do not make the same calls.
var ErrMismatch = errors.New("the ranks of the job do not do the same")

// ErrClosed is the error of a call after Close, and of the ranks that still work when another has
// ended without an error.
var ErrClosed = errors.New("a rank has ended")

// newCommunicator connects the ranks and learns their hosts.
func newCommunicator(t transport) (*Communicator, error) {
	c := &Communicator{transport: t}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	const length = 64
	own := make([]byte, length)
	copy(own, host)
	all := make([]byte, length*t.size())
	if err := t.gather(all, own); err != nil {
		return nil, errors.Wrap(err, "connect the ranks")
	}
	for each := range slices.Chunk(all, length) {
		c.hosts = append(c.hosts, string(bytes.TrimRight(each, "\x00")))
	}
	return c, nil
}

// Rank is the number of this process, from 0.
func (c *Communicator) Rank() int {
	if c == nil || c.transport == nil {
		return 0
	}
	return c.transport.rank()
}

// Size is the number of processes of the job.
func (c *Communicator) Size() int {
	if c == nil || c.transport == nil {
		return 1
	}
	return c.transport.size()
}

// Root reports whether this is rank 0, which writes files and reports progress.
func (c *Communicator) Root() bool { return c.Rank() == 0 }

// alone reports whether there is no other rank.
func (c *Communicator) alone() bool { return c == nil || c.transport == nil }

// Agree waits for all ranks. It returns the error of this rank or else that of the lowest rank that has one,
// and otherwise whether a rank is to stop. All ranks return an error, or none does.
func (c *Communicator) Agree(name string, stop bool, err error) (bool, error) {
	if c.alone() {
		return stop, err
	}
	return c.begin(call{kind: "agree", name: name, stop: stop}, err)
}

// Gather returns the values of all ranks in their order. All ranks must have the same number of
// values.
func (c *Communicator) Gather(name string, own []float32) ([]float32, error) {
	if c.alone() {
		return slices.Clone(own), nil
	}
	if _, err := c.begin(call{kind: "gather", name: name, size: len(own)}, nil); err != nil {
		return nil, err
	}
	all := make([]float32, len(own)*c.Size())
	return all, c.failed(c.transport.gather(bytesOf(all), bytesOf(own)))
}

// Sum replaces the values by their sums over all ranks, which are added in a binary tree over
// the ranks, see the package documentation.
func (c *Communicator) Sum(name string, values []float32) error {
	if c.alone() {
		return nil
	}
	if _, err := c.begin(call{kind: "sum", name: name, size: len(values)}, nil); err != nil {
		return err
	}
	return c.failed(treeSum(c, values))
}

// SumFloat64s is Sum of float64 values.
func (c *Communicator) SumFloat64s(name string, values []float64) error {
	if c.alone() {
		return nil
	}
	if _, err := c.begin(call{kind: "sum of float64", name: name, size: len(values)}, nil); err != nil {
		return err
	}
	return c.failed(treeSum(c, values))
}

// FastSum is Sum in an order that the MPI library chooses. The sums are equal on all ranks in practice, but
// depend on the number of ranks and on the library.
func (c *Communicator) FastSum(name string, values []float32) error {
	if c.alone() {
		return nil
	}
	if _, err := c.begin(call{kind: "fast sum", name: name, size: len(values)}, nil); err != nil {
		return err
	}
	return c.failed(c.transport.sum(values))
}

// FromRoot calls f on rank 0 and returns its result on all ranks. An error of f is an error of all.
func (c *Communicator) FromRoot(name string, f func() ([]byte, error)) (data []byte, err error) {
	if f == nil {
		return nil, errors.Errorf("%s: found no function, expected one for rank 0 to call", name)
	}
	if c.alone() {
		return f()
	}
	if c.over != nil {
		return nil, c.over
	}
	if c.Root() {
		data, err = f()
	}
	if _, err := c.begin(call{kind: "from root", name: name}, err); err != nil {
		return nil, err
	}
	length := make([]byte, 8)
	binary.LittleEndian.PutUint64(length, uint64(len(data)))
	if err := c.failed(c.transport.broadcast(length)); err != nil {
		return nil, err
	}
	if !c.Root() {
		data = make([]byte, binary.LittleEndian.Uint64(length))
	}
	if len(data) == 0 {
		return data, nil
	}
	return data, c.failed(c.transport.broadcast(data))
}

// Broadcast replaces the values by those of rank 0. All ranks must have the same number of values.
func (c *Communicator) Broadcast(name string, values []float32) error {
	if c.alone() {
		return nil
	}
	if _, err := c.begin(call{kind: "broadcast", name: name, size: len(values)}, nil); err != nil || len(values) == 0 {
		return err
	}
	return c.failed(c.transport.broadcast(bytesOf(values)))
}

// ToRoot returns the data of all ranks, in their order, on rank 0, and nil on the others. Their lengths may differ.
func (c *Communicator) ToRoot(name string, own []byte) ([][]byte, error) {
	if c.alone() {
		return [][]byte{slices.Clone(own)}, nil
	}
	if _, err := c.begin(call{kind: "to root", name: name}, nil); err != nil {
		return nil, err
	}
	length, lengths := make([]byte, 8), make([]byte, 8*c.Size())
	binary.LittleEndian.PutUint64(length, uint64(len(own)))
	if err := c.failed(c.transport.gather(lengths, length)); err != nil {
		return nil, err
	}
	if !c.Root() {
		return nil, c.failed(c.transport.exchange(0, own, nil))
	}
	all := [][]byte{slices.Clone(own)}
	for rank := 1; rank < c.Size(); rank++ {
		all = append(all, make([]byte, binary.LittleEndian.Uint64(lengths[8*rank:])))
		if err := c.failed(c.transport.exchange(rank, nil, all[rank])); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// patience is how long a rank that has failed waits for the others to learn of it before it ends
// the job.
const patience = 5 * time.Second

// Close ends the communicator with the error of this rank, or nil. Without an error it waits for
// all ranks. If this rank has an error that the others do not know of, they get it from their next call,
// or are aborted if they make none within five seconds. Close returns the error of
// another rank that ended while this one did not fail. It does nothing on a nil or closed communicator.
func (c *Communicator) Close(err error) error {
	if c.alone() || c.closed {
		return nil
	}
	c.closed = true
	var found error
	if c.over == nil {
		told := make(chan error, 1)
		go func() {
			_, err := c.begin(call{kind: "close"}, err)
			told <- err
		}()
		if err == nil {
			found = <-told
		} else {
			select {
			case <-told:
			case <-time.After(patience):
				c.transport.abort(fmt.Sprintf("rank %d on %s: %v", c.Rank(), c.hosts[c.Rank()], err))
				<-told
			}
		}
	}
	c.over = ErrClosed
	if err := c.transport.finalize(); found == nil && err != nil {
		found = errors.Wrap(err, "end the job")
	}
	return found
}

// failed ends the communicator after an error of the transport.
func (c *Communicator) failed(err error) error {
	if err != nil && c.over == nil {
		c.over = errors.WithStack(err)
	}
	return err
}

// call describes a call in the header.
type call struct {
	kind, name string
	size       int
	stop       bool
}

func (d call) String() string {
	text := d.kind
	if d.name != "" {
		text += fmt.Sprintf(" %q", d.name)
	}
	if d.size > 0 {
		text += fmt.Sprintf(" of %d values", d.size)
	}
	return text
}

// Lengths of the header and of the message that follows if a rank has failed.
const (
	headerLength  = 128
	nameLength    = headerLength - 19
	messageLength = 2048
)

// begin exchanges the headers of a call. It returns whether a rank is to stop.
func (c *Communicator) begin(d call, failure error) (stop bool, err error) {
	if c.over != nil {
		return false, c.over
	}
	if c.closed && d.kind != "close" {
		return false, ErrClosed
	}
	c.sequence++
	own := make([]byte, headerLength)
	binary.LittleEndian.PutUint64(own, c.sequence)
	binary.LittleEndian.PutUint64(own[8:], uint64(d.size))
	if failure != nil {
		own[16] = 1
	}
	if d.stop {
		own[17] = 1
	}
	own[18] = byte(copy(own[19:], d.kind+"\x00"+d.name))
	headers := make([]byte, headerLength*c.Size())
	if err := c.failed(c.transport.gather(headers, own)); err != nil {
		return false, errors.WithMessage(err, d.String())
	}
	anyFailed := false
	for header := range slices.Chunk(headers, headerLength) {
		anyFailed = anyFailed || header[16] != 0
		stop = stop || header[17] != 0
	}
	if anyFailed {
		return false, c.learn(headers, failure)
	}
	for rank, header := range slices.Collect(slices.Chunk(headers, headerLength)) {
		if !bytes.Equal(header[:17], own[:17]) || !bytes.Equal(header[18:], own[18:]) {
			c.over = mismatch(headers, rank, c)
			return false, c.over
		}
	}
	return stop, nil
}

// learn gets the errors of the ranks that have failed.
func (c *Communicator) learn(headers []byte, failure error) error {
	own := make([]byte, messageLength)
	if failure != nil {
		copy(own, strings.ToValidUTF8(failure.Error(), ""))
	}
	all := make([]byte, messageLength*c.Size())
	if err := c.failed(c.transport.gather(all, own)); err != nil {
		return err
	}
	for rank := range c.Size() {
		if headers[rank*headerLength+16] != 0 {
			message := bytes.TrimRight(all[rank*messageLength:][:messageLength], "\x00")
			c.over = &PeerError{Rank: rank, Host: c.hosts[rank], Message: strings.ToValidUTF8(string(message), "")}
			break
		}
	}
	if failure != nil {
		return failure
	}
	return c.over
}

// mismatch describes the calls of this rank and of another.
func mismatch(headers []byte, other int, c *Communicator) error {
	describe := func(rank int) string {
		header := headers[rank*headerLength:][:headerLength]
		kind, name, _ := strings.Cut(string(header[19:][:min(int(header[18]), nameLength)]), "\x00")
		return fmt.Sprintf("rank %d on %s is at call %d, %s", rank, c.hosts[rank], binary.LittleEndian.Uint64(header),
			call{kind: kind, name: name, size: int(binary.LittleEndian.Uint64(header[8:]))})
	}
	mine, others := describe(c.Rank()), describe(other)
	err := ErrMismatch
	if strings.Contains(mine, ", close") || strings.Contains(others, ", close") {
		err = ErrClosed
	}
	return errors.Wrapf(err, "%s; %s", mine, others)
}

// number is the type of a value.
type number interface{ float32 | float64 }

// treeSum is Sum after the header.
func treeSum[T number](c *Communicator, values []T) error {
	spare := make([]T, 0) // for received values
	if spare32, ok := any(&spare).(*[]float32); ok {
		*spare32 = c.spare
		defer func() { c.spare = *spare32 }()
	}
	if size := c.Size(); size&(size-1) == 0 {
		return halve(c, values, 1, &spare)
	}
	return climb(c, values, &spare)
}

// halve adds the values of ranks whose numbers differ in the bit of distance and in higher ones: each of two partners adds one
// half, halves it with the partners of the next distance, and gets the other half when it is done.
func halve[T number](c *Communicator, values []T, distance int, spare *[]T) error {
	if distance == c.Size() {
		return nil
	}
	partner := c.Rank() ^ distance
	kept, given := values[:len(values)/2], values[len(values)/2:]
	if c.Rank()&distance != 0 {
		kept, given = given, kept
	}
	received := grow(spare, len(kept))
	if err := c.transport.exchange(partner, bytesOf(given), bytesOf(received)); err != nil {
		return err
	}
	add(kept, received)
	if err := halve(c, kept, 2*distance, spare); err != nil {
		return err
	}
	return c.transport.exchange(partner, bytesOf(kept), bytesOf(given))
}

// climb adds whole vectors along the tree to rank 0, which sends the sum to all.
func climb[T number](c *Communicator, values []T, spare *[]T) error {
	for distance := 1; distance < c.Size(); distance *= 2 {
		if c.Rank()&distance != 0 {
			if err := c.transport.exchange(c.Rank()-distance, bytesOf(values), nil); err != nil {
				return err
			}
			break
		}
		if other := c.Rank() + distance; other < c.Size() {
			received := grow(spare, len(values))
			if err := c.transport.exchange(other, nil, bytesOf(received)); err != nil {
				return err
			}
			add(values, received)
		}
	}
	return c.transport.broadcast(bytesOf(values))
}

// grow returns memory for n values, which may be that of before.
func grow[T number](spare *[]T, n int) []T {
	if cap(*spare) < n {
		*spare = make([]T, n)
	}
	return (*spare)[:n]
}

// TreeSum adds vectors of one length in the binary tree of Sum: neighbors first. The sum is in the first vector;
// the others are overwritten. It does nothing without vectors, and returns an error if their lengths differ.
func TreeSum[T float32 | float64](vectors ...[]T) error {
	for i, each := range vectors {
		if len(each) != len(vectors[0]) {
			return errors.Errorf("tree sum: found %d values in vector %d, expected %d as in the first", len(each), i, len(vectors[0]))
		}
	}
	for distance := 1; distance < len(vectors); distance *= 2 {
		for i := 0; i+distance < len(vectors); i += 2 * distance {
			add(vectors[i], vectors[i+distance])
		}
	}
	return nil
}

// add adds x to y on all threads. Each sum is of two numbers, so it is the same for any number of threads.
func add[T number](y, x []T) {
	const chunk = 1 << 14
	engine := vector.For[T]()
	parallel.For((len(y)+chunk-1)/chunk, func(i int) {
		first, last := i*chunk, min((i+1)*chunk, len(y))
		engine.Add(y[first:last], x[first:last])
	})
}

// bytesOf is the memory of values. Ranks of one job have processors of one byte order.
func bytesOf[T number](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), int(unsafe.Sizeof(values[0]))*len(values))
}
