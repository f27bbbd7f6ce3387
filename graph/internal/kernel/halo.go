package kernel

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

// fillHalo writes rows [first, last) of the images x with their border; rows
// count from the border's first.
func fillHalo[T Float](h halo, to, x []T, first, last int) {
	run := h.width * h.channels
	for image := range h.images {
		clearBorder(h, to, image, first, last)
		for y := max(first-h.top, 0); y < min(last-h.top, h.height); y++ {
			copy(to[h.row(image, y):][:run], x[(image*h.height+y)*run:])
		}
	}
}

// emptyHalo writes to x (images, height, width, channels) what is inside the
// border.
func emptyHalo[T Float](h halo, x, from []T) {
	run := h.width * h.channels
	for image := range h.images {
		for y := range h.height {
			copy(x[(image*h.height+y)*run:][:run], from[h.row(image, y):])
		}
	}
}
