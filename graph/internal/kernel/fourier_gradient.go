package kernel

import "github.com/likeness-go/likeness/internal/vector"

// backward writes the gradients that are not nil. That of the weights comes back
// in the order (patch, filters).
func (f *fourier[T]) backward(c *Conv[T], dx, dbias, x, weight []T, wanted bool, dy source[T]) (dweight []T) {
	f.spectra = borrowSpectra[T]()
	defer f.giveBack()
	s, batch := f.spectra, f.shape.Batch
	if dx != nil {
		f.packGradient(c, weight)
		f.enterWeights(grow(&s.weights, f.weights(&f.output, &f.input)), &c.gradient.packed)
	}
	sums := make([]float64, batch*f.shape.Filters)
	for first := 0; first < batch; first += f.images {
		images := min(f.images, batch-first)
		gradient := grow(&s.output, images*f.period.size()*f.output.columns)
		parallel(images, func(w *workspace[T], i int) {
			f.enterGradient(c, w, gradient, sums[(first+i)*f.shape.Filters:][:f.shape.Filters], dy, first+i, i, images)
		})
		if wanted {
			f.enterImages(grow(&s.input, images*f.period.size()*f.input.columns), x, first, images)
			grow(&s.weightGradient, f.period.size()*f.input.columns*f.output.columns)
		}
		if dx != nil {
			grow(&s.inputGradient, images*f.period.size()*f.input.wide())
		}
		if wanted || dx != nil {
			f.overFrequencies(func(w *workspace[T], kx, ky int) {
				near := grow(&w.gradient, images*3*f.output.columns)
				f.gather(near, gradient, f.output.columns, images, kx, ky, 1)
				if dx != nil {
					f.multiplySpectra(w, s.inputGradient, near, s.weights, images, f.output.columns, &f.input, kx, ky, 1)
				}
				if wanted {
					f.addProducts(w, near, images, kx, ky, first > 0)
				}
			})
		}
		if dx != nil {
			plane, size := f.shape.Height*f.shape.Width*f.shape.Channels, f.period.size()*f.input.wide()
			parallel(images, func(w *workspace[T], i int) {
				f.leave(w, dx[(first+i)*plane:][:plane], s.inputGradient[i*size:][:size],
					nil, f.of.inputGradient, &f.input, 0, f.shape.Height)
			})
		}
	}
	if dbias != nil {
		total := make([]float64, f.shape.Filters)
		for i, v := range sums {
			total[i%len(total)] += v
		}
		round(dbias, total)
	}
	if !wanted {
		return nil
	}
	total := grow(&c.gradient.sum, f.shape.weights())
	f.leaveWeights(total, s.weightGradient)
	return total
}

// packGradient packs the weights for the input's gradient, (taps, filters;
// channels).
func (f *fourier[T]) packGradient(c *Conv[T], weight []T) {
	s, p := f.shape, &c.gradient.packed
	c.order(weight)
	taps, size := s.KernelHeight*s.KernelWidth, s.patchSize()
	p.shape(f.engine, taps*s.Filters, s.Channels)
	Parallel(taps, func(tap int) {
		for i := range p.panels {
			q := p.panel(i)
			for filter := range s.Filters {
				p.put(q, tap*s.Filters+filter, c.ordered[filter*size+tap*s.Channels:][:s.Channels])
			}
		}
	})
}

// enterGradient makes the gradient of an image's results, adds up that of the bias
// and writes its spectra.
func (f *fourier[T]) enterGradient(c *Conv[T], w *workspace[T], to []T, sum []float64, dy source[T], image, i, images int) {
	height, width := f.shape.Output()
	at := halo{images: 1, height: height, width: width, channels: f.shape.Filters}
	whole := span{image: image, images: 1, bottom: height}
	gradient := grow(&w.gradient, at.size())
	dy(w, gradient, at, whole)
	c.addBias(sum, gradient, at, whole)
	f.enter(w, to, gradient, f.of.output, &f.output, i, images)
}

// addProducts adds up, over all images, the products of a frequency of the input
// and of the gradient, as gathered, or begins fresh sums.
func (f *fourier[T]) addProducts(w *workspace[T], gradient []T, images, kx, ky int, add bool) {
	in, out := f.input.columns, f.output.columns
	near := grow(&w.results, images*3*in)
	f.gather(near, f.spectra.input, in, images, kx, ky, 0)
	offsets := grow(&w.offsets, 4*images)
	a, b := offsets[:2*images], offsets[2*images:]
	for part := range 2 {
		for image := range images {
			// The real part is Xr·Gr + Xi·Gi, the imaginary one Xi·Gr − Xr·Gi.
			a[image], b[image] = int32((3*image+part)*in), int32((3*image+1)*out)
			a[images+image], b[images+image] = int32((3*image+part+1)*in), int32(3*image*out)
		}
		o := &w.outer
		*o = vector.Outer[T]{
			C: f.spectra.weightGradient[((kx*f.period.height+ky)*2+part)*in*out:], CStride: out,
			Run: in, Columns: out, Add: add,
			A: near, AOffsets: a, B: gradient, BOffsets: b,
		}
		f.engine.Outer(o)
	}
}
