package kernel

import (
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// fourier is a convolution by the discrete Fourier transform. A kernel of K×K
// taps costs K² products for each pixel, channel and filter; of the spectra it is
// one complex product for each frequency, whatever K. The input with its border is
// one period: what would come round from its other side belongs to no result, so
// that there are no tiles, and the gradients of the input and of the weights are
// products of the same spectra:
//
//	result = X·conj(W), gradient of the input = G·W, of the weights = X·conj(G).
//
// The transforms themselves are products by small matrices, of all channels at
// once, which any period can have. They pay where channels and filters are many.
type fourier[T Float] struct {
	engine      vector.Engine[T]
	shape       ConvShape
	period      period
	input       packed[T] // the layouts of channels and of filters in panels
	output      packed[T]
	images      int // at most, at a time
	of          transforms[T]
	spectra     *spectra[T] // of the images that are at work
	first, last int         // which these are
}

// transforms are those of the planes that a convolution has to do with.
type transforms[T Float] struct {
	input, output, kernel                    *transform[T]
	inputGradient, convolved, kernelGradient *transform[T] // back from their spectra
}

var noFourier atomic.Bool

// SetFourier says whether layers made from now on may use the Fourier transform
// where it is faster. They do unless told otherwise.
func SetFourier(on bool) { noFourier.Store(!on) }

// FourierAllowed is what SetFourier or the environment said.
func FourierAllowed() bool { return !noFourier.Load() }

const (
	// fourierImages is how many images are worked on at a time: the spectra of
	// the weights are read once for all of them.
	fourierImages = 64
	// elementCost is how many products take as long as an element of the weights'
	// spectra, which are too large for a cache.
	elementCost = 60
	// maxSpectrumElements is how many the spectra of the weights, or of the images that are
	// worked on at a time, may have: 128 MiB of float32s.
	maxSpectrumElements = 1 << 25
)

// fourierPays says whether the transform applies, and is faster than so many products
// for each image, channel and filter, by a good deal: at a quarter less it is, with
// all that is not counted. Of a few images, whose blocks are divided by filters, it
// never is.
func fourierPays(s ConvShape, products int) bool {
	if noFourier.Load() || !fourierApplies(s) || fourierGroup(s) <= fewImages {
		return false
	}
	p := fourierPeriod(s)
	if p.size()*s.Channels*s.Filters > maxSpectrumElements {
		return false
	}
	height, width := s.Output()
	image := 2*p.size()*s.Channels*s.Filters +
		s.Channels*p.products(s.Height, s.Width) + s.Filters*p.products(height, width)
	cost := s.Batch*image + elementCost*p.size()*s.Channels*s.Filters
	return 4*cost < 3*s.Batch*products*s.Channels*s.Filters
}

func fourierApplies(s ConvShape) bool {
	return s.Stride == 1 && s.Padding < min(s.KernelHeight, s.KernelWidth)
}

// fourierGroup returns how many images to work on at a time.
func fourierGroup(s ConvShape) int {
	each := fourierPeriod(s).size() * max(s.Channels, s.Filters)
	return min(s.Batch, fourierImages, maxSpectrumElements/each)
}

func fourierPeriod(s ConvShape) period { return periodOf(s.Height+2*s.Padding, s.Width+2*s.Padding) }

// newFourier returns the convolution of a shape to which it applies.
func newFourier[T Float](engine vector.Engine[T], s ConvShape) *fourier[T] {
	f := &fourier[T]{engine: engine, shape: s, period: fourierPeriod(s)}
	f.images = ceilDiv(s.Batch, ceilDiv(s.Batch, max(1, fourierGroup(s))))
	f.input.layout(engine, 0, s.Channels)
	f.output.layout(engine, 0, s.Filters)
	height, width := s.Output()
	f.of = transforms[T]{
		input:  forward[T](f.period, s.Padding, s.Height, s.Width),
		output: forward[T](f.period, 0, height, width),
		kernel: forward[T](f.period, 0, s.KernelHeight, s.KernelWidth),

		inputGradient:  backward[T](f.period, s.Padding, s.Height, s.Width),
		convolved:      backward[T](f.period, 0, height, width),
		kernelGradient: backward[T](f.period, 0, s.KernelHeight, s.KernelWidth),
	}
	return f
}

// multiply writes rows of c, the products of a matrix of so many columns and a
// panel b.
func (f *fourier[T]) multiply(w *workspace[T], c []T, places []int32, matrix []T, starts []int32, columns int, b []T, q panel[T], initial []T) {
	p := &w.product
	*p = vector.Rows[T]{
		C: c, COffsets: places, A: matrix, AOffsets: starts[:len(places)], Length: columns, Segments: 1,
		B: b, Width: q.width, Columns: q.columns, Initial: initial,
	}
	f.engine.Rows(p)
}

// spectra are large, and needed only while a layer is at work: layers and towers
// share them. None are kept from Forward to Backward, which makes those of the input
// again.
type spectra[T Float] struct {
	input, output, weights        []T // of the images, of their results or the gradient of these
	inputGradient, weightGradient []T
}

// borrowSpectra returns spectra of unspecified contents.
func borrowSpectra[T Float]() *spectra[T] {
	s := scratchOf[T]()
	s.Lock()
	defer s.Unlock()
	last := len(s.spectra) - 1
	if last < 0 {
		return &spectra[T]{}
	}
	borrowed := s.spectra[last]
	s.spectra = s.spectra[:last]
	return borrowed
}

func (p *spectra[T]) release() {
	s := scratchOf[T]()
	s.Lock()
	defer s.Unlock()
	if retained.Load() > 0 {
		s.spectra = append(s.spectra, p)
	}
}

// frequenciesAtATime is how many rows of frequencies are one unit of work.
const frequenciesAtATime = 8

// forEachSpan calls work, in parallel, for spans of results, which convolve can then
// be asked for. The weights are packed.
func (c *Conv[T]) forEachSpan(spans []span, x []T, work func(w *workspace[T], i int)) {
	if c.fourier == nil {
		divide(len(spans), work)
		return
	}
	f := c.fourier
	f.spectra = borrowSpectra[T]()
	defer f.release()
	f.enterWeights(grow(&f.spectra.weights, f.weights(&f.input, &f.output)), &c.forward)
	next := 0
	for image := 0; image < c.shape.Batch; image += f.images {
		f.transform(x, image, min(image+f.images, c.shape.Batch))
		begin := next
		for next < len(spans) && spans[next].image < f.last {
			next++
		}
		divide(next-begin, func(w *workspace[T], i int) { work(w, begin+i) })
	}
}

// release says that the spectra are not needed any more.
func (f *fourier[T]) release() {
	f.spectra.release()
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
	f.forEachFrequency(func(w *workspace[T], kx, ky int) {
		near := grow(&w.results, images*3*f.input.columns)
		f.gather(near, s.input, f.input.columns, images, kx, ky, 0)
		f.multiplySpectra(w, result, near, s.weights, images, f.input.columns, &f.output, kx, ky, 0)
	})
}

// enterImages writes the spectra of some images of the input.
func (f *fourier[T]) enterImages(to, x []T, first, images int) {
	size := f.shape.Height * f.shape.Width * f.shape.Channels
	divide(images, func(w *workspace[T], i int) {
		f.enter(w, to, x[(first+i)*size:][:size], f.of.input, &f.input, i, images)
	})
}

// forEachFrequency calls work, in parallel, for each frequency.
func (f *fourier[T]) forEachFrequency(work func(w *workspace[T], kx, ky int)) {
	bands := ceilDiv(f.period.height, frequenciesAtATime)
	divide(f.period.half*bands, func(w *workspace[T], unit int) {
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

// backward writes the gradients that are not nil. That of the weights comes back
// in the order (patch, filters).
func (f *fourier[T]) backward(c *Conv[T], dx, dbias, x, weight []T, wanted bool, dy source[T]) (dweight []T) {
	f.spectra = borrowSpectra[T]()
	defer f.release()
	s, batch := f.spectra, f.shape.Batch
	if dx != nil {
		f.packGradient(c, weight)
		f.enterWeights(grow(&s.weights, f.weights(&f.output, &f.input)), &c.gradient.packed)
	}
	sums := make([]float64, batch*f.shape.Filters)
	for first := 0; first < batch; first += f.images {
		images := min(f.images, batch-first)
		gradient := grow(&s.output, images*f.period.size()*f.output.columns)
		divide(images, func(w *workspace[T], i int) {
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
			f.forEachFrequency(func(w *workspace[T], kx, ky int) {
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
			divide(images, func(w *workspace[T], i int) {
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
	parallel.For(taps, func(tap int) {
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

// depthAtATime is how many rows of the weights' spectra are written together.
const depthAtATime = 8

// enterWeights writes the spectra of packed weights, whose rows are (taps, depth).
func (f *fourier[T]) enterWeights(to []T, weights *packed[T]) {
	p, t, all := f.period, f.of.kernel, weights.wide()
	depth := weights.depth / (t.height * t.width)
	groups := ceilDiv(depth, depthAtATime)
	divide(weights.panels*groups, func(w *workspace[T], unit int) {
		q := weights.panel(unit / groups)
		first := unit % groups * depthAtATime
		last := min(first+depthAtATime, depth)
		wide := q.width * weights.lanes
		plane := t.halfSize() * wide
		half := grow(&w.values, (last-first)*plane)
		for k := first; k < last; k++ {
			f.enterRows(w, half[(k-first)*plane:], t, q, func(row []T, y int) {
				for x := range t.width {
					copy(row[x*wide:][:wide], q.data[((y*t.width+x)*depth+k)*wide:])
				}
			})
		}
		places := multiples(&w.offsets, p.height, 2*depth*all)
		for kx := range p.half {
			for k := first; k < last; k++ {
				f.enterColumns(w, to[kx*p.height*2*depth*all+q.left*2*depth+k*wide:], depth*wide, places,
					half[(k-first)*plane:], t, q, kx)
			}
		}
	})
}

// leaveWeights writes the gradient of the weights (kernel height, kernel width,
// channels, filters), from its spectra (half, height, part, channels, filters).
func (f *fourier[T]) leaveWeights(y, from []T) {
	p, t, all := f.period, f.of.kernelGradient, f.output.columns
	channels := f.input.columns
	divide(channels, func(w *workspace[T], channel int) {
		half := grow(&w.values, t.height*2*p.half*f.output.wide())
		near := grow(&w.results, 2*p.height*f.output.wide())
		for kx := range p.half {
			for ky := range p.height {
				for part := range 2 {
					row := from[(((kx*p.height+ky)*2+part)*channels+channel)*all:][:all]
					for i := range f.output.panels {
						q := f.output.bare(i)
						at := part*p.height + p.place(ky)
						copy(near[q.left*2*p.height+at*q.width*f.output.lanes:], row[q.left:][:q.columns])
					}
				}
			}
			for i := range f.output.panels {
				q := f.output.bare(i)
				at := q.left*t.height*2*p.half + 2*kx*q.width*f.output.lanes
				f.leaveColumns(w, half[at:], near[q.left*2*p.height:], t, q, 0, t.height)
			}
		}
		for i := range f.output.panels {
			q := f.output.bare(i)
			f.leaveRows(w, y[channel*all+q.left:], channels*all, t.width*channels*all,
				half[q.left*t.height*2*p.half:], t, q, t.height, nil)
		}
	})
}
