package kernel

// Backward writes the gradients that are not nil, given x, weight and the
// gradient dy of y.
func (c *Conv[T]) Backward(dx, dweight, dbias, x, weight, dy []T) {
	s := c.shape
	checkLength("dy", dy, s.outputs())
	if dx != nil {
		checkLength("dx", dx, s.inputs())
		checkLength("weight", weight, s.weights())
		c.inputGradient(dx, weight, dy)
	}
	if dweight != nil {
		checkLength("dweight", dweight, s.weights())
		checkLength("x", x, s.inputs())
		c.weightGradient(dweight, x, dy)
	}
	if dbias != nil {
		sumRows(dbias, dy, s.pixels(), s.Filters)
	}
}

// inputGradient makes the gradient of the matrix of columns, dy·weight, one
// kernel row at a time, and adds it up in dx. A unit is a range of rows of an
// image of dx: each output pixel and kernel row contributes to one of them.
func (c *Conv[T]) inputGradient(dx, weight, dy []T) {
	s := c.shape
	c.packBackward(weight)
	height, width := s.Output()
	run := s.patchStart(1)
	size := panelCount(run) * s.Filters
	bands := min(ceilDiv(units, s.Batch), s.Height)
	step := max(1, blockElements/(width*run)) // output rows at a time
	Parallel(s.Batch*bands, func(unit int) {
		image, band := unit/bands, unit%bands
		top, bottom := band*s.Height/bands, (band+1)*s.Height/bands
		clear(dx[(image*s.Height+top)*s.Width*s.Channels : (image*s.Height+bottom)*s.Width*s.Channels])
		work := borrow[T]()
		defer work.giveBack()
		for ky := range s.KernelHeight {
			// Output row y touches input row y·stride + ky − padding.
			first := ceilDiv(max(top+s.Padding-ky, 0), s.Stride)
			last := min(ceilDiv(max(bottom+s.Padding-ky, 0), s.Stride), height)
			for ; first < last; first += step {
				pixels := min(step, last-first) * width
				start := (image*height + first) * width
				columns := grow(&work.rows, pixels*run)
				clear(columns)
				multiply(matrix[T]{columns, run}, matrix[T]{dy[start*s.Filters:], s.Filters},
					c.backward[ky*size:], s.Filters, pixels, run, s.Filters)
				scatterColumns(s, columns, dx, start, pixels, ky)
			}
		}
	})
}

// packBackward packs, for each kernel row, the weights (filters, kernel
// width·channels).
func (c *Conv[T]) packBackward(weight []T) {
	s := c.shape
	size := panelCount(s.patchStart(1)) * s.Filters
	clear(grow(&c.backward, s.KernelHeight*size))
	Parallel(s.KernelHeight, func(ky int) {
		row := c.backward[ky*size:][:size]
		for filter := range s.Filters {
			for channel := range s.Channels {
				for kx, v := range weight[((filter*s.Channels+channel)*s.KernelHeight+ky)*s.KernelWidth:][:s.KernelWidth] {
					column := kx*s.Channels + channel
					row[column/tileColumns*s.Filters+filter][column%tileColumns] = v
				}
			}
		}
	})
}

// weightGradient multiplies the transpose of dy by the matrix of columns. A
// unit is some rows of the kernel and a group of output pixels; the groups'
// sums are added up in order.
func (c *Conv[T]) weightGradient(dweight, x, dy []T) {
	s := c.shape
	pixels, size, height := s.pixels(), s.patchSize(), s.kernelRows()
	step, bands := s.pixelsPerBlock(), ceilDiv(s.KernelHeight, height)
	groups := max(1, min(ceilDiv(units, bands), pixels/128))
	grow(&c.partial, groups*s.weights())
	Parallel(groups*bands, func(unit int) {
		group, top := unit/bands, unit%bands*height
		bottom := min(top+height, s.KernelHeight)
		start, width := s.patchStart(top), s.patchStart(bottom)-s.patchStart(top)
		sum := matrix[T]{c.partial[group*s.weights()+start:], size}
		for filter := range s.Filters {
			clear(sum.data[filter*size:][:width])
		}
		work := borrow[T]()
		defer work.giveBack()
		for first := group * pixels / groups; first < (group+1)*pixels/groups; first += step {
			count := min(step, (group+1)*pixels/groups-first)
			gradient := grow(&work.transposed, count*s.Filters)
			transpose(gradient, dy[first*s.Filters:], count, s.Filters, s.Filters)
			columns := grow(&work.rows, count*width)
			gatherColumns(s, columns, x, first, count, top, bottom)
			packed := grow(&work.panels, panelCount(width)*count)
			pack(packed, matrix[T]{columns, width}, count, width)
			multiply(sum, matrix[T]{gradient, count}, packed, count, s.Filters, width, count)
		}
	})
	c.addGroups(dweight, groups)
}

// addGroups adds the partial sums up, and brings them from (filters, kernel
// height, kernel width, channels) to the order of the weights.
func (c *Conv[T]) addGroups(dweight []T, groups int) {
	s := c.shape
	size := s.patchSize()
	Parallel(s.Filters, func(filter int) {
		total := c.partial[filter*size:][:size]
		for group := 1; group < groups; group++ {
			for i, v := range c.partial[group*s.weights()+filter*size:][:size] {
				total[i] += v
			}
		}
		transpose(dweight[filter*size:][:size], total, size/s.Channels, s.Channels, s.Channels)
	})
}
