package kernel

// The matrix of columns of a convolution has a row for each output pixel and
// in it the patch of the input that the pixel sees, (kernel height, kernel
// width, channels), with zeros for the padding. The convolution is the product
// of this matrix and the weights, the gradient of the weights is the product
// of its transpose and the gradient of the result. (Chellapilla, Puri & Simard,
// "High Performance Convolutional Neural Networks for Document Processing",
// 2006, section 2.1.)

// blockElements is about how many elements of the matrix are made at a time.
// Blocks of it stay in the level 2 cache.
const blockElements = 32 << 10

// patchSize returns the length of a patch.
func (s ConvShape) patchSize() int { return s.patchStart(s.KernelHeight) }

// patchStart returns where the patch's kernel row begins.
func (s ConvShape) patchStart(row int) int { return row * s.KernelWidth * s.Channels }

// pixels returns the number of output pixels of the batch.
func (s ConvShape) pixels() int {
	height, width := s.Output()
	return s.Batch * height * width
}

// kernelRows returns how many rows of the kernel are taken at a time: so many
// that a panel of their weights stays in the level 1 cache, and that sums of
// products are no longer than some hundreds before they are added up.
func (s ConvShape) kernelRows() int { return min(s.KernelHeight, max(1, 256/s.patchStart(1))) }

// pixelsPerBlock returns how many output pixels are taken at a time.
func (s ConvShape) pixelsPerBlock() int {
	fit := min(256, blockElements/s.patchStart(s.kernelRows()))
	return ceilDiv(max(fit, 8), tileRows) * tileRows
}

// gatherColumns writes kernel rows [top, bottom) of the matrix of columns of
// the images x, for count output pixels from first on.
func gatherColumns[T Float](s ConvShape, columns, x []T, first, count, top, bottom int) {
	run := s.patchStart(1)
	s.eachPixel(first, count, func(image, row, left int) {
		from, to := s.clip(left)
		for y := row + top; y < row+bottom; y++ {
			patch := columns[:run]
			columns = columns[run:]
			if y < 0 || y >= s.Height || from == to {
				clear(patch)
				continue
			}
			clear(patch[:from])
			copy(patch[from:to], x[((image*s.Height+y)*s.Width+left)*s.Channels+from:])
			clear(patch[to:])
		}
	})
}

// scatterColumns adds kernel row ky of the matrix of columns to the images x
// that it was gathered from; all pixels' rows must be inside the images.
func scatterColumns[T Float](s ConvShape, columns, x []T, first, count, ky int) {
	run := s.patchStart(1)
	s.eachPixel(first, count, func(image, row, left int) {
		patch := columns[:run]
		columns = columns[run:]
		if from, to := s.clip(left); from < to {
			patch = patch[from:to]
			sum := x[((image*s.Height+row+ky)*s.Width+left)*s.Channels+from:][:len(patch)]
			for i, v := range patch {
				sum[i] += v
			}
		}
	})
}

// eachPixel visits count output pixels from first on, with the input row and
// column, possibly in the padding, at which their patches begin.
func (s ConvShape) eachPixel(first, count int, visit func(image, row, left int)) {
	height, width := s.Output()
	row, column := first/width, first%width
	for range count {
		visit(row/height, row%height*s.Stride-s.Padding, column*s.Stride-s.Padding)
		if column++; column == width {
			row, column = row+1, 0
		}
	}
}

// clip returns which part of a patch's row, if it begins at input column left,
// lies inside the image.
func (s ConvShape) clip(left int) (from, to int) {
	first := min(max(0, -left), s.KernelWidth)
	last := max(first, min(s.KernelWidth, s.Width-left))
	return first * s.Channels, last * s.Channels
}
