package kernel

import (
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// fourier is a convolution by the discrete Fourier transform. A direct convolution with a
// K×K kernel takes K² products for each pixel, channel and filter; the product of spectra
// takes one complex product for each frequency, for any K. One period is the input with
// its border: the results to which pixels from the opposite edge would contribute are
// not among those of the convolution. So there are no tiles, and the gradients of the
// input and of the weights are products of the same spectra:
//
//	result = X·conj(W), gradient of the input = G·W, of the weights = X·conj(G).
//
// The transforms themselves are products with small matrices, for all channels at once,
// which work for any period. They pay for many channels and filters.
type fourier[T Float] struct {
	engine      vector.Engine[T]
	shape       ConvShape
	period      period
	input       packed[T] // the division of channels and of filters into panels
	output      packed[T]
	images      int // the largest number at a time
	transforms  transforms[T]
	spectra     *spectra[T] // of the images that are being computed; nil between calls
	first, last int         // the range of these images
}

// transforms are the transforms of all planes of a convolution.
type transforms[T Float] struct {
	input, output, kernel                    *transform[T]
	inputGradient, convolved, kernelGradient *transform[T] // from spectra to planes
}

var noFourier atomic.Bool

// SetFourier sets whether layers that are made from now on may use the Fourier transform
// where it is faster. The default is on.
func SetFourier(on bool) { noFourier.Store(!on) }

// FourierAllowed returns the setting of SetFourier or of the environment.
func FourierAllowed() bool { return !noFourier.Load() }

const (
	// fourierImages is the largest number of images that are transformed at a time; the
	// spectra of the weights are read once for all of them.
	fourierImages = 64
	// elementCost is the number of products that take as long as computing and reading one
	// element of the spectra of the weights, which are too large for a cache.
	elementCost = 60
	// maxSpectrumElements is the largest number of elements of the spectra of the weights,
	// and of those of the images that are transformed at a time: 128 MiB of float32.
	maxSpectrumElements = 1 << 25
)

// fourierPays reports whether the transform applies and is clearly faster than the given
// number of products for each image, channel and filter: it must take less than three
// quarters of them, because the count leaves out some of its work. It is not used for a
// few images, whose blocks are divided by filters.
func fourierPays(s ConvShape, products int) bool {
	return !noFourier.Load() && fourierSaves(s, products)
}

// fourierSaves is fourierPays if the transform is allowed.
func fourierSaves(s ConvShape, products int) bool {
	if !fourierApplies(s) || fourierGroup(s) <= fewImages {
		return false
	}
	if fourierPeriod(s).size()*s.Channels*s.Filters > maxSpectrumElements {
		return false
	}
	return 4*fourierProducts(s) < 3*s.Batch*products*s.Channels*s.Filters
}

// fourierProducts returns the number of products that take as long as the transform of a batch.
func fourierProducts(s ConvShape) int {
	p := fourierPeriod(s)
	height, width := s.Output()
	image := 2*p.size()*s.Channels*s.Filters +
		s.Channels*p.products(s.Height, s.Width) + s.Filters*p.products(height, width)
	return s.Batch*image + elementCost*p.size()*s.Channels*s.Filters
}

func fourierApplies(s ConvShape) bool {
	return s.Stride == 1 && max(s.Padding.Top, s.Padding.Bottom) < s.KernelHeight && max(s.Padding.Left, s.Padding.Right) < s.KernelWidth
}

// fourierGroup returns the largest number of images to transform at a time.
func fourierGroup(s ConvShape) int {
	each := fourierPeriod(s).size() * max(s.Channels, s.Filters)
	return min(s.Batch, fourierImages, maxSpectrumElements/each)
}

func fourierPeriod(s ConvShape) period { return periodOf(s.padded()) }

// newFourier returns the convolution of a shape to which the transform applies.
func newFourier[T Float](engine vector.Engine[T], s ConvShape) *fourier[T] {
	f := &fourier[T]{engine: engine, shape: s, period: fourierPeriod(s)}
	f.images = ceilDiv(s.Batch, ceilDiv(s.Batch, max(1, fourierGroup(s))))
	f.input.layout(engine, 0, s.Channels)
	f.output.layout(engine, 0, s.Filters)
	height, width := s.Output()
	f.transforms = transforms[T]{
		input:  forwardTransform[T](f.period, s.Padding.Top, s.Padding.Left, s.Height, s.Width),
		output: forwardTransform[T](f.period, 0, 0, height, width),
		kernel: forwardTransform[T](f.period, 0, 0, s.KernelHeight, s.KernelWidth),

		inputGradient:  inverseTransform[T](f.period, s.Padding.Top, s.Padding.Left, s.Height, s.Width),
		convolved:      inverseTransform[T](f.period, 0, 0, height, width),
		kernelGradient: inverseTransform[T](f.period, 0, 0, s.KernelHeight, s.KernelWidth),
	}
	return f
}

// multiply writes the rows of c at the given offsets: the products of the rows of a
// matrix, which begin at starts and have the given number of columns, with a panel b.
func (f *fourier[T]) multiply(w *workspace[T], c []T, offsets []int32, matrix []T, starts []int32, columns int, b []T, q panel[T], initial []T) {
	p := &w.product
	*p = vector.Rows[T]{
		C: c, COffsets: offsets, A: matrix, AOffsets: starts[:len(offsets)], Length: columns, Segments: 1,
		B: b, Width: q.width, Columns: q.columns, Initial: initial,
	}
	f.engine.Rows(p)
}

// spectra is the memory of the spectra of a convolution. They are large and needed only
// while a layer computes, so all layers share them. None are stored from Forward to
// Backward, which computes those of the input again.
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

// frequenciesPerUnit is the number of rows of frequencies in one unit of work.
const frequenciesPerUnit = 8

// forEachSpan calls work in parallel for each span, in which convolve may be called. The
// weights must be packed.
func (c *Conv[T]) forEachSpan(spans []span, x []T, work func(w *workspace[T], i int)) {
	if c.fourier == nil {
		divide(len(spans), work)
		return
	}
	f := c.fourier
	f.spectra = borrowSpectra[T]()
	defer f.release()
	f.weightSpectra(grow(&f.spectra.weights, f.weights(&f.input, &f.output)), &c.forward)
	next := 0
	for image := 0; image < c.shape.Batch; image += f.images {
		f.resultSpectra(x, image, min(image+f.images, c.shape.Batch))
		begin := next
		for next < len(spans) && spans[next].image < f.last {
			next++
		}
		divide(next-begin, func(w *workspace[T], i int) { work(w, begin+i) })
	}
}

// release ends the use of the spectra.
func (f *fourier[T]) release() {
	f.spectra.release()
	f.spectra = nil
}

// weights returns the number of elements of the spectra of the weights.
func (f *fourier[T]) weights(depth, columns *packed[T]) int {
	return f.period.size() * depth.columns * columns.paddedColumns()
}

// resultSpectra computes the spectra of the results of images [first, last).
func (f *fourier[T]) resultSpectra(x []T, first, last int) {
	f.first, f.last = first, last
	s, images := f.spectra, last-first
	f.imageSpectra(grow(&s.input, images*f.period.size()*f.input.columns), x, first, images)
	result := grow(&s.output, images*f.period.size()*f.output.paddedColumns())
	f.forEachFrequency(func(w *workspace[T], kx, ky int) {
		gathered := grow(&w.results, images*3*f.input.columns)
		f.gather(gathered, s.input, f.input.columns, images, kx, ky, 0)
		f.multiplySpectra(w, result, gathered, s.weights, images, f.input.columns, &f.output, kx, ky, 0)
	})
}

// imageSpectra writes the spectra of some images of the input.
func (f *fourier[T]) imageSpectra(to, x []T, first, images int) {
	size := f.shape.Height * f.shape.Width * f.shape.Channels
	divide(images, func(w *workspace[T], i int) {
		f.transformPlanes(w, to, x[(first+i)*size:][:size], f.transforms.input, &f.input, i, images)
	})
}

// forEachFrequency calls work, in parallel, for each frequency.
func (f *fourier[T]) forEachFrequency(work func(w *workspace[T], kx, ky int)) {
	bands := ceilDiv(f.period.height, frequenciesPerUnit)
	divide(f.period.half*bands, func(w *workspace[T], unit int) {
		first := unit % bands * frequenciesPerUnit
		for ky := first; ky < min(first+frequenciesPerUnit, f.period.height); ky++ {
			work(w, unit/bands, ky)
		}
	})
}

// gather writes three rows for each image: one part (real or imaginary) of a frequency,
// the other part, and the first part negated.
func (f *fourier[T]) gather(to, from []T, columns, images, kx, ky, firstPart int) {
	for image := range images {
		parts := from[((kx*images+image)*f.period.height+ky)*2*columns:][:2*columns]
		row := to[image*3*columns:][:3*columns]
		copy(row, parts[firstPart*columns:][:columns])
		copy(row[columns:], parts[(1-firstPart)*columns:][:columns])
		f.engine.Scale(row[2*columns:], row[:columns], -1)
	}
}

// multiplySpectra multiplies one frequency of the images, as gathered, with that of the
// weights. The real parts are products of the two gathered rows that begin with row
// number real, the imaginary parts of those that begin with row number 1 − real.
func (f *fourier[T]) multiplySpectra(w *workspace[T], to, gathered, weights []T, images, depth int, channels *packed[T], kx, ky, real int) {
	p, all := f.period, channels.paddedColumns()
	space := grow(&w.offsets, 4*images)
	starts, offsets := space[:2*images], space[2*images:]
	for image := range images {
		starts[image] = int32((3*image + real) * depth)
		starts[images+image] = int32((3*image + 1 - real) * depth)
	}
	for i := range channels.panels {
		q := channels.panelLayout(i)
		wide := q.width * channels.lanes
		for image := range images {
			offsets[image] = int32(image * p.size() * all)
			offsets[images+image] = int32(image*p.size()*all + p.height*wide)
		}
		f.multiply(w, to[q.left*p.size()+(2*kx*p.height+p.foldedIndex(ky))*wide:], offsets, gathered, starts, 2*depth,
			weights[((kx*p.height+ky)*all+q.left)*2*depth:], q, nil)
	}
}

// convolve writes the results of a span of the images whose spectra are computed.
func (f *fourier[T]) convolve(w *workspace[T], y, bias []T, span span) {
	_, width := f.shape.Output()
	rows, size := span.bottom-span.top, f.period.size()*f.output.paddedColumns()
	for i := range span.images {
		f.invertPlanes(w, y[i*rows*width*f.output.columns:], f.spectra.output[(span.image-f.first+i)*size:][:size],
			bias, f.transforms.convolved, &f.output, span.top, span.bottom)
	}
}

// backward writes the gradients that are not nil, and returns the gradient of the weights,
// (patch size, filters), if it is wanted.
func (f *fourier[T]) backward(c *Conv[T], dx, dbias, x, weight []T, wanted bool, dy source[T]) (dweight []T) {
	f.spectra = borrowSpectra[T]()
	defer f.release()
	s, batch := f.spectra, f.shape.Batch
	if dx != nil {
		f.packGradient(c, weight)
		f.weightSpectra(grow(&s.weights, f.weights(&f.output, &f.input)), &c.gradient.packed)
	}
	sums := make([]float64, batch*f.shape.Filters)
	for first := 0; first < batch; first += f.images {
		images := min(f.images, batch-first)
		gradient := grow(&s.output, images*f.period.size()*f.output.columns)
		divide(images, func(w *workspace[T], i int) {
			f.gradientSpectra(c, w, gradient, sums[(first+i)*f.shape.Filters:][:f.shape.Filters], dy, first+i, i, images)
		})
		if wanted {
			f.imageSpectra(grow(&s.input, images*f.period.size()*f.input.columns), x, first, images)
			grow(&s.weightGradient, f.period.size()*f.input.columns*f.output.columns)
		}
		if dx != nil {
			grow(&s.inputGradient, images*f.period.size()*f.input.paddedColumns())
		}
		if wanted || dx != nil {
			f.forEachFrequency(func(w *workspace[T], kx, ky int) {
				gathered := grow(&w.gradient, images*3*f.output.columns)
				f.gather(gathered, gradient, f.output.columns, images, kx, ky, 1)
				if dx != nil {
					f.multiplySpectra(w, s.inputGradient, gathered, s.weights, images, f.output.columns, &f.input, kx, ky, 1)
				}
				if wanted {
					f.addProducts(w, gathered, images, kx, ky, first > 0)
				}
			})
		}
		if dx != nil {
			plane, size := f.shape.Height*f.shape.Width*f.shape.Channels, f.period.size()*f.input.paddedColumns()
			divide(images, func(w *workspace[T], i int) {
				f.invertPlanes(w, dx[(first+i)*plane:][:plane], s.inputGradient[i*size:][:size],
					nil, f.transforms.inputGradient, &f.input, 0, f.shape.Height)
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
	f.invertWeights(total, s.weightGradient)
	return total
}

// packGradient packs the weights for the gradient of the input, (taps·filters, channels).
func (f *fourier[T]) packGradient(c *Conv[T], weight []T) {
	s, p := f.shape, &c.gradient.packed
	c.orderWeights(weight)
	taps, size := s.KernelHeight*s.KernelWidth, s.patchSize()
	p.resize(f.engine, taps*s.Filters, s.Channels)
	parallel.For(taps, func(tap int) {
		for i := range p.panels {
			q := p.panel(i)
			for filter := range s.Filters {
				p.put(q, tap*s.Filters+filter, c.ordered[filter*size+tap*s.Channels:][:s.Channels])
			}
		}
	})
}

// gradientSpectra computes the gradient of an image's results, adds it up for the gradient
// of the bias, and writes its spectra.
func (f *fourier[T]) gradientSpectra(c *Conv[T], w *workspace[T], to []T, sum []float64, dy source[T], image, i, images int) {
	height, width := f.shape.Output()
	at := halo{images: 1, height: height, width: width, channels: f.shape.Filters}
	whole := span{image: image, images: 1, bottom: height}
	gradient := grow(&w.gradient, at.size())
	dy(w, gradient, at, whole)
	c.addBias(sum, gradient, at, whole)
	f.transformPlanes(w, to, gradient, f.transforms.output, &f.output, i, images)
}

// addProducts computes the sum over all images of the products of one frequency of the
// input and of the gradient, as gathered. If add is set, it adds to the earlier sum.
func (f *fourier[T]) addProducts(w *workspace[T], gradient []T, images, kx, ky int, add bool) {
	in, out := f.input.columns, f.output.columns
	gathered := grow(&w.results, images*3*in)
	f.gather(gathered, f.spectra.input, in, images, kx, ky, 0)
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
			A: gathered, AOffsets: a, B: gradient, BOffsets: b,
		}
		f.engine.Outer(o)
	}
}

// depthPerUnit is the number of rows of the spectra of the weights in one unit of work.
const depthPerUnit = 8

// weightSpectra writes the spectra of packed weights, whose rows are (taps, depth).
func (f *fourier[T]) weightSpectra(to []T, weights *packed[T]) {
	p, t, all := f.period, f.transforms.kernel, weights.paddedColumns()
	depth := weights.depth / (t.height * t.width)
	groups := ceilDiv(depth, depthPerUnit)
	divide(weights.panels*groups, func(w *workspace[T], unit int) {
		q := weights.panel(unit / groups)
		first := unit % groups * depthPerUnit
		last := min(first+depthPerUnit, depth)
		wide := q.width * weights.lanes
		plane := t.halfSize() * wide
		half := grow(&w.values, (last-first)*plane)
		for k := first; k < last; k++ {
			f.transformRows(w, half[(k-first)*plane:], t, q, func(row []T, y int) {
				for x := range t.width {
					copy(row[x*wide:][:wide], q.data[((y*t.width+x)*depth+k)*wide:])
				}
			})
		}
		offsets := multiples(&w.offsets, p.height, 2*depth*all)
		for kx := range p.half {
			for k := first; k < last; k++ {
				f.transformColumns(w, to[kx*p.height*2*depth*all+q.left*2*depth+k*wide:], depth*wide, offsets,
					half[(k-first)*plane:], t, q, kx)
			}
		}
	})
}

// invertWeights writes the gradient of the weights (kernel height, kernel width, channels,
// filters), given its spectra (half, height, part, channels, filters).
func (f *fourier[T]) invertWeights(y, from []T) {
	p, t, all := f.period, f.transforms.kernelGradient, f.output.columns
	channels := f.input.columns
	divide(channels, func(w *workspace[T], channel int) {
		half := grow(&w.values, t.height*2*p.half*f.output.paddedColumns())
		gathered := grow(&w.results, 2*p.height*f.output.paddedColumns())
		for kx := range p.half {
			for ky := range p.height {
				for part := range 2 {
					row := from[(((kx*p.height+ky)*2+part)*channels+channel)*all:][:all]
					for i := range f.output.panels {
						q := f.output.panelLayout(i)
						at := part*p.height + p.foldedIndex(ky)
						copy(gathered[q.left*2*p.height+at*q.width*f.output.lanes:], row[q.left:][:q.columns])
					}
				}
			}
			for i := range f.output.panels {
				q := f.output.panelLayout(i)
				at := q.left*t.height*2*p.half + 2*kx*q.width*f.output.lanes
				f.invertColumns(w, half[at:], gathered[q.left*2*p.height:], t, q, 0, t.height)
			}
		}
		for i := range f.output.panels {
			q := f.output.panelLayout(i)
			f.invertRows(w, y[channel*all+q.left:], channels*all, t.width*channels*all,
				half[q.left*t.height*2*p.half:], t, q, t.height, nil)
		}
	})
}
