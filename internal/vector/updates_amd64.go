package vector

import "unsafe"

// Adam takes a step of Adam.
func (s *Set) Adam(weight, gradient, first, second []float32, f AdamFactors[float32]) {
	n := len(weight)
	s.adam(unsafe.SliceData(weight), pointer(gradient, n), pointer(first, n), pointer(second, n), n,
		f.Scale, f.Penalty, f.Keep, f.Beta1, f.Rest1, f.Beta2, f.Rest2, f.Rate, f.Root, f.Epsilon)
}

// Momentum takes a step of gradient descent with momentum.
func (s *Set) Momentum(weight, gradient, velocity []float32, f MomentumFactors[float32]) {
	n, run := len(weight), s.momentum
	if f.Nesterov {
		run = s.nesterov
	}
	run(unsafe.SliceData(weight), pointer(gradient, n), pointer(velocity, n), n, f.Scale, f.Rate, f.Momentum, f.Penalty)
}
