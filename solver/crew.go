package solver

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// chunkSize is the number of elements a goroutine takes at a time: enough for
// taking it to cost nothing, few enough to share a small network out. It is
// fixed, so that sums over chunks do not depend on the number of threads.
const chunkSize = 1 << 14

// chunk is the elements [from, to) of one item.
type chunk struct{ item, from, to int }

// crew shares chunks out among goroutines.
type crew struct {
	chunks []chunk

	work   func(i int)
	member func() // kept, so that starting a goroutine allocates no closure
	next   atomic.Int64
	done   sync.WaitGroup
}

// divide cuts items of the given sizes into chunks.
func (c *crew) divide(sizes []int) {
	c.chunks = c.chunks[:0]
	for item, size := range sizes {
		for from := 0; from < size; from += chunkSize {
			c.chunks = append(c.chunks, chunk{item, from, min(from+chunkSize, size)})
		}
	}
	c.member = func() {
		defer c.done.Done()
		c.takeChunks()
	}
}

// run calls work for the index of every chunk, in any order.
func (c *crew) run(work func(i int)) {
	c.work = work
	c.next.Store(0)
	for range min(runtime.GOMAXPROCS(0), len(c.chunks)) - 1 {
		c.done.Add(1)
		go c.member()
	}
	c.takeChunks()
	c.done.Wait()
}

func (c *crew) takeChunks() {
	for {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.chunks) {
			return
		}
		c.work(i)
	}
}
