package kernel

// spectra are large, and needed only while a layer is at work: layers and towers
// share them. None are kept from Forward to Backward, which makes those of the input
// again.
type spectra[T Float] struct {
	input, output, weights        []T // of the images, of their results or the gradient of these
	inputGradient, weightGradient []T
}

// borrowSpectra returns spectra of unspecified contents.
func borrowSpectra[T Float]() *spectra[T] {
	s := shelvesOf[T]()
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

func (p *spectra[T]) giveBack() {
	s := shelvesOf[T]()
	s.Lock()
	defer s.Unlock()
	if retained.Load() > 0 {
		s.spectra = append(s.spectra, p)
	}
}
