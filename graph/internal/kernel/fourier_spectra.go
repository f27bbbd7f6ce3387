package kernel

import "sync"

// spectra are large, and needed only while a layer is at work: layers and towers
// share them.
type spectra[T Float] struct {
	input, output, weights        []T // of the images, of their results or the gradient of these
	inputGradient, weightGradient []T
}

// spectraShelf keeps those that nobody uses, as many as layers were at work at once.
type spectraShelf[T Float] struct {
	sync.Mutex
	idle []*spectra[T]
}

var (
	singleSpectra spectraShelf[float32]
	doubleSpectra spectraShelf[float64]
)

func spectraShelfOf[T Float]() *spectraShelf[T] {
	if s, single := any(&singleSpectra).(*spectraShelf[T]); single {
		return s
	}
	return any(&doubleSpectra).(*spectraShelf[T])
}

// borrowSpectra returns spectra of unspecified contents.
func borrowSpectra[T Float]() *spectra[T] {
	s := spectraShelfOf[T]()
	s.Lock()
	defer s.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return &spectra[T]{}
	}
	borrowed := s.idle[last]
	s.idle = s.idle[:last]
	return borrowed
}

func (p *spectra[T]) giveBack() {
	s := spectraShelfOf[T]()
	s.Lock()
	defer s.Unlock()
	s.idle = append(s.idle, p)
}
