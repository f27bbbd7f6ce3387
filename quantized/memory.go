package quantized

import (
	"runtime"
	"slices"

	"github.com/likeness-go/likeness/internal/integer"
)

// buffers are the arrays of the values of images: values that are not needed at the same time share
// one, so that an image takes little memory.
type buffers struct {
	of    []int // the buffer of each value; -1 for none
	sizes []int // in elements of an image
	kinds []kind
}

// bytes is the size of the buffers of an image.
func (b buffers) bytes() int {
	size := 1
	for _, elements := range b.sizes {
		size += elements
	}
	return size
}

// assign assigns buffers to the results of steps, except those that are kept.
func (p *plan) assign(steps []step, keep []bool) buffers {
	b := buffers{of: make([]int, len(p.values))}
	last := make([]int, len(p.values)) // the last step that reads each value
	for i := range b.of {
		b.of[i] = -1
	}
	for i, s := range steps {
		for _, x := range s.at().in {
			last[x] = i
		}
	}
	var free []int
	for i, s := range steps {
		out := s.at().out
		v := p.values[out]
		if !keep[out] {
			at := slices.IndexFunc(free, func(f int) bool { return b.kinds[f] == v.kind })
			if at < 0 {
				b.of[out] = len(b.sizes)
				b.sizes, b.kinds = append(b.sizes, v.len()), append(b.kinds, v.kind)
			} else {
				b.of[out] = free[at]
				b.sizes[free[at]] = max(b.sizes[free[at]], v.len())
				free = slices.Delete(free, at, at+1)
			}
		}
		for _, x := range slices.Compact(slices.Sorted(slices.Values(s.at().in))) {
			if last[x] == i && b.of[x] >= 0 {
				free = append(free, b.of[x])
			}
		}
	}
	return b
}

// newMemory is memory for some images, for the values that are chosen, each with an array of its own.
func (n *Network) newMemory(images int, chosen []bool) *memory {
	m := n.emptyMemory(images)
	for i, v := range n.plan.values {
		if !chosen[i] {
			continue
		}
		switch v.kind {
		case bytes:
			m.bytes[i] = make([]uint8, images*v.len())
		case words:
			m.words[i] = make([]uint16, images*v.len())
		default:
			m.sums[i] = make([]int64, images*v.len())
		}
	}
	return m
}

// emptyMemory is memory without arrays.
func (n *Network) emptyMemory(images int) *memory {
	values := len(n.plan.values)
	return &memory{images: images, bytes: make([][]uint8, values), words: make([][]uint16, values), sums: make([][]int64, values)}
}

// groupMemory is the memory of a group of images.
type groupMemory struct {
	images, threads int
	crossing        *memory
	parts           []partMemory
}

// partMemory is the memory of a part, for as many images as it computes at a time, or for fewer.
type partMemory struct {
	bytes  [][]uint8 // of each buffer of bytes
	memory *memory
}

func (n *Network) newGroupMemory(images, threads int) *groupMemory {
	g := &groupMemory{images: images, threads: threads, crossing: n.newMemory(images, n.crossing)}
	for _, p := range n.parts {
		count := min(images, threads*p.images)
		var m partMemory
		for i, size := range p.buffers.sizes {
			m.bytes = append(m.bytes, nil)
			if p.buffers.kinds[i] == bytes {
				m.bytes[i] = make([]uint8, count*size)
			}
		}
		g.parts = append(g.parts, m)
	}
	return g
}

// of returns the memory of a part for a number of images.
func (m *partMemory) of(n *Network, p *part, images int) *memory {
	if m.memory != nil && m.memory.images == images {
		return m.memory
	}
	m.memory = n.emptyMemory(images)
	for i, v := range n.plan.values {
		switch at := p.buffers.of[i]; {
		case at < 0:
		case v.kind == bytes:
			m.memory.bytes[i] = m.bytes[at][:images*v.len()]
		case v.kind == words:
			m.memory.words[i] = make([]uint16, images*v.len())
		default:
			m.memory.sums[i] = make([]int64, images*v.len())
		}
	}
	return m.memory
}

// share sets a value to that of other memory, from an image on.
func (m *memory) share(i int, v *value, other *memory, image int) {
	switch size := v.len(); v.kind {
	case bytes:
		m.bytes[i] = other.bytes[i][image*size:][:m.images*size]
	case words:
		m.words[i] = other.words[i][image*size:][:m.images*size]
	default:
		m.sums[i] = other.sums[i][image*size:][:m.images*size]
	}
}

// borrow returns memory for the first steps.
func (n *Network) borrow(images, threads int) *groupMemory {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.release == nil {
		n.release = integer.Retain()
		runtime.AddCleanup(n, func(release func()) { release() }, n.release)
	}
	if at := slices.IndexFunc(n.idle, func(m *groupMemory) bool { return m.images == images && m.threads == threads }); at >= 0 {
		m := n.idle[at]
		n.idle = slices.Delete(n.idle, at, at+1)
		return m
	}
	return n.newGroupMemory(images, threads)
}

// borrowTail returns memory for the steps of the tail.
func (n *Network) borrowTail(images, group int) *memory {
	if images == group {
		n.mutex.Lock()
		defer n.mutex.Unlock()
		if at := slices.IndexFunc(n.tails, func(m *memory) bool { return m.images == images }); at >= 0 {
			m := n.tails[at]
			n.tails = slices.Delete(n.tails, at, at+1)
			return m
		}
	}
	return n.newMemory(images, n.keep)
}

// giveBackTail keeps the memory of the tail for later calls, unless it is that of more images than are computed at a
// time.
func (n *Network) giveBackTail(m *memory, group int) {
	if m.pixels, m.result = nil, nil; m.images != group {
		return
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if len(n.tails) == maxIdle {
		n.tails = slices.Delete(n.tails, 0, 1)
	}
	n.tails = append(n.tails, m)
}

// maxIdle limits the memory that is kept between calls.
const maxIdle = 4

func (n *Network) giveBack(m *groupMemory) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if len(n.idle) == maxIdle {
		n.idle = slices.Delete(n.idle, 0, 1)
	}
	n.idle = append(n.idle, m)
}
