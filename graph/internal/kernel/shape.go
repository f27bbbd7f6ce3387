package kernel

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Float is the element type of every array.
type Float = vector.Float

// checkLength panics unless an array has the length that its shape requires. Every
// entry point checks, so that the inner loops need not, and the message names the
// argument that is wrong.
func checkLength[T Float](name string, array []T, want int) {
	if len(array) != want {
		panic(fmt.Sprintf("kernel: %s has %d elements, its shape requires %d", name, len(array), want))
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

// atLeastOne returns an error unless the named value is at least one.
func atLeastOne(name string, value int) error {
	return inRange(name, value, 1)
}

// inRange returns an error unless the named value is between minimum and MaxInt32, so
// that neither a sum nor a product of two values overflows.
func inRange(name string, value, minimum int) error {
	if value < minimum {
		return errors.Errorf("%s is %d, it must be at least %d", name, value, minimum)
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

// halo describes images with a border of zeros (padding), so that windows that reach
// over the edge of the image are read like all others.
type halo struct {
	images, height, width, channels int // without the border
	top, left, bottom, right        int // of the border
}

func (h halo) rows() int      { return h.top + h.height + h.bottom }
func (h halo) rowSize() int   { return (h.left + h.width + h.right) * h.channels }
func (h halo) imageSize() int { return h.rows() * h.rowSize() }
func (h halo) size() int      { return h.images * h.imageSize() }

// withoutBorder returns the images without a border.
func (h halo) withoutBorder() halo {
	h.top, h.left, h.bottom, h.right = 0, 0, 0, 0
	return h
}

// row returns the offset of the first pixel of row y of an image, after the border.
func (h halo) row(image, y int) int {
	return image*h.imageSize() + (y+h.top)*h.rowSize() + h.left*h.channels
}

// windows returns the offsets of height × width windows of each image, which begin at
// every stride-th row and column.
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

// pixels returns the offset of each pixel of the images.
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

// clearBorder sets the border in rows [first, last) of an image to zero; row 0 is the
// first of the border.
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

// copyWithBorder writes rows [first, last) of the images x with their border; row 0 is
// the first of the border.
func copyWithBorder[T Float](h halo, to, x []T, first, last int) {
	run := h.width * h.channels
	for image := range h.images {
		clearBorder(h, to, image, first, last)
		for y := max(first-h.top, 0); y < min(last-h.top, h.height); y++ {
			copy(to[h.row(image, y):][:run], x[(image*h.height+y)*run:])
		}
	}
}

// copyInterior writes to x (images, height, width, channels) the pixels inside the
// border.
func copyInterior[T Float](h halo, x, from []T) {
	run := h.width * h.channels
	for image := range h.images {
		for y := range h.height {
			copy(x[(image*h.height+y)*run:][:run], from[h.row(image, y):])
		}
	}
}

// span is a unit of work of a layer: some images, or some rows of one image.
type span struct {
	image, images int
	top, bottom   int // rows of the result
}

// spanElements is about the number of elements of a layer's result that are computed
// at a time, so that they stay in the level 2 cache, and spanPixels the number of rows
// below which a product is inefficient.
const (
	spanElements = 64 << 10
	spanPixels   = 96
)

// spansOf divides the results of a batch into spans, by shape alone: groups of images
// or, if images are large or few, bands of rows. rows is the number of rows of an
// image; elements and pixels are those of a row.
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

// bandsOf divides the rows of some images into bands.
func bandsOf(image, images, rows, bands int) []span {
	spans := make([]span, bands)
	for band := range spans {
		spans[band] = span{image: image, images: images, top: band * rows / bands, bottom: (band + 1) * rows / bands}
	}
	return spans
}
