package vector

// WinogradInput writes V, the transform of tiles of pixels.
func (s *Set) WinogradInput(w *Winograd[float32]) {
	if s == avx512 {
		winograd_input_avx512(prepare(w, s.lanes))
	} else {
		winograd_input_avx2(prepare(w, s.lanes))
	}
}

// WinogradWeights writes V, the transform of weights.
func (s *Set) WinogradWeights(w *Winograd[float32]) {
	if s == avx512 {
		winograd_weights_avx512(prepare(w, s.lanes))
	} else {
		winograd_weights_avx2(prepare(w, s.lanes))
	}
}

// WinogradOutput writes X, tiles of results.
func (s *Set) WinogradOutput(w *Winograd[float32]) {
	if s == avx512 {
		winograd_output_avx512(prepare(w, s.lanes))
	} else {
		winograd_output_avx2(prepare(w, s.lanes))
	}
}

//go:noescape
func winograd_input_avx512(call *winogradCall)

//go:noescape
func winograd_input_avx2(call *winogradCall)

//go:noescape
func winograd_weights_avx512(call *winogradCall)

//go:noescape
func winograd_weights_avx2(call *winogradCall)

//go:noescape
func winograd_output_avx512(call *winogradCall)

//go:noescape
func winograd_output_avx2(call *winogradCall)
