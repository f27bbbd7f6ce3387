package graph

// A weight that several towers use has a gradient from each of them, and its
// gradient is their sum. Where a function can add to what there is, they have
// one buffer: each backward pass after the first of a run adds to it. For the
// large weights of fully connected layers this saves memory and a pass through
// it; other gradients are added up at the end of a run (see Parameter).

// accumulating is a function that can add the gradient of one of its inputs to
// what its memory holds.
type accumulating[T Float] interface {
	// accumulates is the input's index.
	accumulates() int
	// backwardAdding is Backward, but for that.
	backwardAdding(dx, x [][]T, y, dy []T)
}

// sharedBuffer returns the buffer of the gradients of all uses of a weight that
// is input i of a function; it is nil where they are better apart.
func sharedBuffer[T Float](b *Builder, f Function[T], i int, input *Node) *buffer[T] {
	name, isWeight := b.leaves[input]
	a, ok := f.(accumulating[T])
	if !ok || !isWeight || a.accumulates() != i || b.graph.To(input.ID()).Len() != 1 {
		return nil // of a leaf that others use too, Gorgonia adds up the gradients
	}
	b.sharers[input] = true
	if shared, ok := b.shared[name].(*buffer[T]); ok {
		return shared
	}
	shared := newBuffer[T](input.Shape())
	b.shared[name] = shared
	return shared
}

// begin notes that a buffer is written to in the present run, and says whether
// it has been before.
func (b *buffer[T]) begin(runs *runState) (again bool) {
	again = b.run == runs.attempt
	b.run = runs.attempt
	return again
}

// sharing names the weight in whose shared buffer the gradient of a leaf is; it
// is empty for all others.
func (b *Builder) sharing(leaf *Node) string {
	if !b.sharers[leaf] {
		return ""
	}
	return b.leaves[leaf]
}
