package vector

// WinogradInput writes V, the transform of tiles of pixels.
func (s *Set) WinogradInput(w *Winograd[float32]) {
	call := prepare(w, s.lanes)
	if s == avx512 {
		winograd_input_avx512(call)
	} else {
		winograd_input_avx2(call)
	}
}

// WinogradWeights writes V, the transform of weights.
func (s *Set) WinogradWeights(w *Winograd[float32]) {
	call := prepare(w, s.lanes)
	switch {
	case s == avx512 && w.Kernel == 3:
		winograd_weights_avx512(call)
	case s == avx512:
		winograd_weights4_avx512(call)
	case w.Kernel == 3:
		winograd_weights_avx2(call)
	default:
		winograd_weights4_avx2(call)
	}
}

// WinogradOutput writes X, tiles of results.
func (s *Set) WinogradOutput(w *Winograd[float32]) {
	call := prepare(w, s.lanes)
	switch {
	case s == avx512 && w.Kernel == 3:
		winograd_output_avx512(call)
	case s == avx512:
		winograd_output3_avx512(call)
	case w.Kernel == 3:
		winograd_output_avx2(call)
	default:
		winograd_output3_avx2(call)
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
func winograd_weights4_avx512(call *winogradCall)

//go:noescape
func winograd_weights4_avx2(call *winogradCall)

//go:noescape
func winograd_output_avx512(call *winogradCall)

//go:noescape
func winograd_output_avx2(call *winogradCall)

//go:noescape
func winograd_output3_avx512(call *winogradCall)

//go:noescape
func winograd_output3_avx2(call *winogradCall)
