package graph

import (
	"math"

	"gorgonia.org/tensor"
)

// What a description of a few bytes may ask for is bounded before memory is
// taken: both limits are errors of Build.
const (
	// MaxParameters is how many elements all weights of a network have at most:
	// 268 million, 1 GiB of float32.
	MaxParameters = 1 << 28
	// MaxElements is how many an input or the result of a layer has at most, for
	// all images of a batch; kernels count them in 32 bits.
	MaxElements = math.MaxInt32
)

// bounded is the number of a shape's elements. It fails where there are more than
// the limit, and where an extent is not positive.
func (b *Builder) bounded(what string, shape tensor.Shape, limit int) int {
	if !extents(shape) {
		b.Fail("%s: found shape %v, expected extents of at least 1", what, shape)
	}
	elements := 1
	for _, extent := range shape {
		if extent > limit/elements {
			b.Fail("%s: shape %v has too many elements, expected at most %d", what, shape, limit)
		}
		elements *= extent
	}
	return elements
}
