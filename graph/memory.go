package graph

import (
	"cmp"
	"math"
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Results and their gradients are needed until the last operation that reads them has run. The
// order of the operations is known when a graph is built, so that all of them get places in one
// array, and those that are needed at the same time do not overlap. The array is little larger than
// what is needed at one time, and stays in the cache longer. Outputs, gradients of weights, and what
// Gorgonia keeps have memory of their own.

// buffer is memory that an operation owns and reuses in every run. Each run returns
// it under a new header, because Gorgonia may change the header.
type buffer[T Float] struct {
	shape   tensor.Shape
	backing []T
	shared  *arena[T] // of which it is a part; nil if it has memory of its own
	offset  int
	run     uint64 // the last run that wrote to it, if several gradients are added up in it
}

// arena is an array that buffers share.
type arena[T Float] struct {
	size int
	data []T // nil before its first use
}

func newBuffer[T Float](shape tensor.Shape) *buffer[T] { return &buffer[T]{shape: shape.Clone()} }

// data returns the memory, which is allocated when it is first needed.
func (b *buffer[T]) data() []T {
	if b.backing == nil {
		size := b.shape.TotalSize()
		if b.shared == nil {
			b.backing = make([]T, size)
		} else {
			if b.shared.data == nil {
				b.shared.data = make([]T, b.shared.size)
			}
			b.backing = b.shared.data[b.offset:][:size:size]
		}
	}
	return b.backing
}

// shareable is a buffer of either element type.
type shareable interface {
	elements() int
	share(arena any, offset int)
}

func (b *buffer[T]) elements() int { return b.shape.TotalSize() }

func (b *buffer[T]) share(shared any, offset int) { b.shared, b.offset = shared.(*arena[T]), offset }

// selective is a Function whose Backward does not read the values of all operands or not those of
// the result, which then need not be kept for it.
type selective interface {
	// backwardReads is given the index of an operand, or result.
	backwardReads(operand int) bool
}

// result is the index of a Function's result in selective.
const result = -1

// span is memory that is needed from one position in the order of the operations to another.
type span struct {
	memory      shareable
	first, last int // both included
	offset      int
}

// arrange chooses the offsets of spans, so that those that are needed at the same position do not
// overlap, and returns the size of the array. The largest are placed first, each as low as
// possible, which wastes little (Pisarchyk & Lee 2020, "Efficient memory management for deep neural
// net inference", greedy by size).
func arrange(spans []span) (size int) {
	const alignment = 16 // elements: a cache line of float32
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(b.memory.elements(), a.memory.elements()), cmp.Compare(a.first, b.first))
	})
	var placed []*span // by offset
	for i := range spans {
		s := &spans[i]
		for _, other := range placed {
			if other.last < s.first || s.last < other.first {
				continue
			}
			if s.offset+s.memory.elements() <= other.offset {
				break // it fits before the other
			}
			s.offset = max(s.offset, (other.offset+other.memory.elements()+alignment-1)/alignment*alignment)
		}
		size = max(size, s.offset+s.memory.elements())
		at, _ := slices.BinarySearchFunc(placed, s, func(a, b *span) int { return cmp.Compare(a.offset, b.offset) })
		placed = slices.Insert(placed, at, s)
	}
	return size
}

// shareMemory places the spans in one array.
func (b *Builder) shareMemory(spans []span) {
	size := arrange(spans)
	var shared any = &arena[float32]{size: size}
	if b.Dtype() == Float64 {
		shared = &arena[float64]{size: size}
	}
	for _, s := range spans {
		s.memory.share(shared, s.offset)
	}
}

// shareResults shares the memory of the results of nodes, which are in the order of their
// computation, except for those that are kept.
func (b *Builder) shareResults(nodes []*Node, kept map[*Node]bool) {
	last := map[*Node]int{} // the last reader of each
	for i, node := range nodes {
		for _, operand := range b.calculations[node].operands() {
			last[operand] = i
		}
	}
	var spans []span
	for i, node := range nodes {
		if !kept[node] {
			spans = append(spans, span{memory: b.calculations[node].memory(), first: i, last: max(i, last[node])})
		}
	}
	b.shareMemory(spans)
}

// shareAll shares the memory of results and gradients in training. It follows Gorgonia's order of the nodes; that the
// operations run in this order is checked in each run.
func (b *Builder) shareAll() error {
	sorted, err := gorgonia.Sort(b.graph)
	if err != nil {
		return errors.Wrap(err, "sort graph")
	}
	position := map[*Node]int{}
	for i, node := range sorted { // results before their operands
		position[node] = len(sorted) - i
		if op, own := node.Op().(*operation); own {
			op.position = position[node]
		}
	}
	ends := map[*Node]int{}
	var spans []span
	for _, node := range sorted {
		memory, ok := b.gradients[node]
		if calculated := b.calculations[node]; calculated != nil {
			memory, ok = calculated.memory(), true
		}
		if !ok {
			continue
		}
		first := node // the operation that writes to the memory
		if op := node.Op().(*operation); op.tap {
			operands := b.graph.From(node.ID())
			operands.Next()
			first = operands.Node().(*Node)
		}
		if end := b.lastUse(node, position, ends); end != forever {
			spans = append(spans, span{memory: memory, first: position[first], last: end})
		}
	}
	b.shareMemory(spans)
	return nil
}

// forever is the last use of a value that is kept.
const forever = math.MaxInt

// lastUse returns the position of the last operation that reads the value of a node, or the value
// of an operation of Gorgonia on it, which may be in the same memory. A value that no operation
// reads is kept.
func (b *Builder) lastUse(node *Node, position, known map[*Node]int) int {
	if end, ok := known[node]; ok {
		return end
	}
	end := -1
	readers := b.graph.To(node.ID())
	for readers.Next() {
		reader := readers.Node().(*Node)
		switch op, own := reader.Op().(*operation); {
		case !own:
			end = max(end, b.lastUse(reader, position, known))
		case !op.tap && b.readsValue(reader, op, node): // a tap returns another gradient
			end = max(end, position[reader])
		}
	}
	if end < 0 {
		end = forever
	}
	known[node] = end
	return end
}

// readsValue reports whether an operation reads the values of a node that is among its operands.
func (b *Builder) readsValue(reader *Node, op *operation, node *Node) bool {
	if op.reads == nil {
		return true
	}
	operands := b.graph.From(reader.ID())
	for i := 0; operands.Next(); i++ {
		if operands.Node().(*Node) == node && op.reads(i) {
			return true
		}
	}
	return false
}

// inOrder returns an error if an operation runs before one that it follows in the order by which
// memory was shared.
func (r *runState) inOrder(op *operation) error {
	if op.position <= r.position {
		return errors.Errorf("%s: it was computed out of order, so that its memory may be in use: this is a mistake of this program", op.name)
	}
	r.position = op.position
	return nil
}
