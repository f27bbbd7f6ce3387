package kernel

// frequenciesAtATime is how many rows of frequencies are one unit of work.
const frequenciesAtATime = 8

// overSpans calls work, in parallel, for spans of results, which convolve can then
// be asked for. The weights are packed.
func (c *Conv[T]) overSpans(spans []span, x []T, work func(w *workspace[T], i int)) {
	if c.fourier == nil {
		parallel(len(spans), work)
		return
	}
	f := c.fourier
	f.spectra = borrowSpectra[T]()
	defer f.giveBack()
	f.enterWeights(grow(&f.spectra.weights, f.weights(&f.input, &f.output)), &c.forward)
	next := 0
	for image := 0; image < c.shape.Batch; image += f.images {
		f.transform(x, image, min(image+f.images, c.shape.Batch))
		begin := next
		for next < len(spans) && spans[next].image < f.last {
			next++
		}
		parallel(next-begin, func(w *workspace[T], i int) { work(w, begin+i) })
	}
}

// giveBack says that the spectra are not needed any more.
func (f *fourier[T]) giveBack() {
	f.spectra.giveBack()
	f.spectra = nil
}

// weights is the number of elements of the weights' spectra.
func (f *fourier[T]) weights(depth, columns *packed[T]) int {
	return f.period.size() * depth.columns * columns.wide()
}

// transform makes the spectra of the results of images [first, last).
func (f *fourier[T]) transform(x []T, first, last int) {
	f.first, f.last = first, last
	s, images := f.spectra, last-first
	f.enterImages(grow(&s.input, images*f.period.size()*f.input.columns), x, first, images)
	result := grow(&s.output, images*f.period.size()*f.output.wide())
	f.overFrequencies(func(w *workspace[T], kx, ky int) {
		near := grow(&w.results, images*3*f.input.columns)
		f.gather(near, s.input, f.input.columns, images, kx, ky, 0)
		f.multiplySpectra(w, result, near, s.weights, images, f.input.columns, &f.output, kx, ky, 0)
	})
}

// enterImages writes the spectra of some images of the input.
func (f *fourier[T]) enterImages(to, x []T, first, images int) {
	size := f.shape.Height * f.shape.Width * f.shape.Channels
	parallel(images, func(w *workspace[T], i int) {
		f.enter(w, to, x[(first+i)*size:][:size], f.of.input, &f.input, i, images)
	})
}

// overFrequencies calls work, in parallel, for each frequency.
func (f *fourier[T]) overFrequencies(work func(w *workspace[T], kx, ky int)) {
	bands := ceilDiv(f.period.height, frequenciesAtATime)
	parallel(f.period.half*bands, func(w *workspace[T], unit int) {
		first := unit % bands * frequenciesAtATime
		for ky := first; ky < min(first+frequenciesAtATime, f.period.height); ky++ {
			work(w, unit/bands, ky)
		}
	})
}

// gather writes three rows for each image: one part of a frequency, the other part,
// and the first with its sign changed.
func (f *fourier[T]) gather(to, from []T, columns, images, kx, ky, firstPart int) {
	for image := range images {
		parts := from[((kx*images+image)*f.period.height+ky)*2*columns:][:2*columns]
		row := to[image*3*columns:][:3*columns]
		copy(row, parts[firstPart*columns:][:columns])
		copy(row[columns:], parts[(1-firstPart)*columns:][:columns])
		f.engine.Scale(row[2*columns:], row[:columns], -1)
	}
}

// multiplySpectra multiplies a frequency of the images, as gathered, and of the
// weights. Real parts are products of the two rows that begin with row number real,
// imaginary ones of those that begin with the other of the first two.
func (f *fourier[T]) multiplySpectra(w *workspace[T], to, near, weights []T, images, depth int, channels *packed[T], kx, ky, real int) {
	p, all := f.period, channels.wide()
	offsets := grow(&w.offsets, 4*images)
	starts, places := offsets[:2*images], offsets[2*images:]
	for image := range images {
		starts[image] = int32((3*image + real) * depth)
		starts[images+image] = int32((3*image + 1 - real) * depth)
	}
	for i := range channels.panels {
		q := channels.bare(i)
		wide := q.width * channels.lanes
		for image := range images {
			places[image] = int32(image * p.size() * all)
			places[images+image] = int32(image*p.size()*all + p.height*wide)
		}
		f.multiply(w, to[q.left*p.size()+(2*kx*p.height+p.place(ky))*wide:], places, near, starts, 2*depth,
			weights[((kx*p.height+ky)*all+q.left)*2*depth:], q, nil)
	}
}

// convolve writes rows of the results of a span's images, which the spectra are of.
func (f *fourier[T]) convolve(w *workspace[T], y, bias []T, span span) {
	_, width := f.shape.Output()
	rows, size := span.bottom-span.top, f.period.size()*f.output.wide()
	for i := range span.images {
		f.leave(w, y[i*rows*width*f.output.columns:], f.spectra.output[(span.image-f.first+i)*size:][:size],
			bias, f.of.convolved, &f.output, span.top, span.bottom)
	}
}
