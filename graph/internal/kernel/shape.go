package kernel

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Float is the element type of every array.
type Float = vector.Float

// checkLength panics unless an array has the length that its shape asks for.
// Every entry point checks, so that the inner loops need not and a mistake is
// named where it was made.
func checkLength[T Float](name string, array []T, want int) {
	if len(array) != want {
		panic(fmt.Sprintf("kernel: %s has %d elements, its shape asks for %d", name, len(array), want))
	}
}

// checkOptional is checkLength for an array that may be nil.
func checkOptional[T Float](name string, array []T, want int) {
	if array != nil {
		checkLength(name, array, want)
	}
}

// mustBeValid panics on a shape that the caller should have validated.
func mustBeValid(err error) {
	if err != nil {
		panic("kernel: " + err.Error())
	}
}

// positive returns an error unless the named dimension is at least one.
func positive(name string, value int) error {
	return between(name, value, 1)
}

// between bounds a value from above so that no sum and no product of two overflows.
func between(name string, value, least int) error {
	if value < least {
		return errors.Errorf("%s is %d, it must be at least %d", name, value, least)
	}
	if value > math.MaxInt32 {
		return errors.Errorf("%s is %d, it must be at most %d", name, value, math.MaxInt32)
	}
	return nil
}

// dimension is a named number of a shape.
type dimension struct {
	name  string
	value int
}

// halo is images with a border of zeros, so that windows that hang over the
// edge are read like all others.
type halo struct {
	images, height, width, channels int // without the border
	top, left, bottom, right        int // of the border
}

func (h halo) rows() int      { return h.top + h.height + h.bottom }
func (h halo) rowSize() int   { return (h.left + h.width + h.right) * h.channels }
func (h halo) imageSize() int { return h.rows() * h.rowSize() }
func (h halo) size() int      { return h.images * h.imageSize() }

// bare returns the images without a border.
func (h halo) bare() halo {
	h.top, h.left, h.bottom, h.right = 0, 0, 0, 0
	return h
}

// row returns where row y of an image begins, behind the border.
func (h halo) row(image, y int) int {
	return image*h.imageSize() + (y+h.top)*h.rowSize() + h.left*h.channels
}

// windows returns where the windows that begin at each stride-th row and
// column begin, for height × width windows an image.
func (h halo) windows(height, width, stride int) []int32 {
	offsets := make([]int32, 0, h.images*height*width)
	for image := range h.images {
		for y := range height {
			for x := range width {
				offsets = append(offsets, int32(image*h.imageSize()+y*stride*h.rowSize()+x*stride*h.channels))
			}
		}
	}
	return offsets
}

// pixels returns where each pixel of the images begins.
func (h halo) pixels() []int32 {
	offsets := make([]int32, 0, h.images*h.height*h.width)
	for image := range h.images {
		for y := range h.height {
			for x := range h.width {
				offsets = append(offsets, int32(h.row(image, y)+x*h.channels))
			}
		}
	}
	return offsets
}

// clearBorder makes the border of rows [first, last) of an image zero; rows
// count from the border's first.
func clearBorder[T Float](h halo, to []T, image, first, last int) {
	left, right := h.left*h.channels, (h.left+h.width)*h.channels
	for y := first; y < last; y++ {
		row := to[image*h.imageSize()+y*h.rowSize():][:h.rowSize()]
		if y < h.top || y >= h.top+h.height {
			clear(row)
			continue
		}
		clear(row[:left])
		clear(row[right:])
	}
}

// copyWithBorder writes rows [first, last) of the images x with their border; rows
// count from the border's first.
func copyWithBorder[T Float](h halo, to, x []T, first, last int) {
	run := h.width * h.channels
	for image := range h.images {
		clearBorder(h, to, image, first, last)
		for y := max(first-h.top, 0); y < min(last-h.top, h.height); y++ {
			copy(to[h.row(image, y):][:run], x[(image*h.height+y)*run:])
		}
	}
}

// copyInterior writes to x (images, height, width, channels) what is inside the
// border.
func copyInterior[T Float](h halo, x, from []T) {
	run := h.width * h.channels
	for image := range h.images {
		for y := range h.height {
			copy(x[(image*h.height+y)*run:][:run], from[h.row(image, y):])
		}
	}
}

// span is a unit of work of a layer: some images, or some rows of one.
type span struct {
	image, images int
	top, bottom   int // rows of the result
}

// spanElements is about how many elements of a layer's result are worked on at a
// time, so that they stay in the level 2 cache, and spanPixels how many rows
// of a product are worth their while.
const (
	spanElements = 64 << 10
	spanPixels   = 96
)

// spansOf divides a batch of results of so many rows, each of so many elements
// and pixels, into spans, by shape alone: groups of images, or where an image
// is large or images are few, bands of rows.
func spansOf(batch, group, rows, elements, pixels int) []span {
	bands := 1
	if group == 1 {
		bands = min(max(rows*elements/spanElements, ceilDiv(units, batch)), max(1, rows*pixels/spanPixels), rows)
	}
	spans := make([]span, 0, ceilDiv(batch, group)*bands)
	for image := 0; image < batch; image += group {
		spans = append(spans, bandsOf(image, min(group, batch-image), rows, max(1, bands))...)
	}
	return spans
}

// bandsOf divides the rows of some images.
func bandsOf(image, images, rows, bands int) []span {
	spans := make([]span, bands)
	for band := range spans {
		spans[band] = span{image: image, images: images, top: band * rows / bands, bottom: (band + 1) * rows / bands}
	}
	return spans
}
