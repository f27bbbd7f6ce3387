package kernel

import (
	"sync/atomic"

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
	// mostElements is how many the spectra of the weights, or of the images that are
	// worked on at a time, may have: 128 MiB of float32s.
	mostElements = 1 << 25
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
	if p.size()*s.Channels*s.Filters > mostElements {
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
	return min(s.Batch, fourierImages, mostElements/each)
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
