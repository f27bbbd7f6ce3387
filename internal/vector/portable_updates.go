package vector

import "math"

// AdamFactors are what a step of Adam has in common for all elements of a
// parameter.
type AdamFactors[T Float] struct {
	Scale        T // of the gradient
	Penalty      T // 2λ
	Keep         T // 1 − ηλ′
	Beta1, Rest1 T // β₁ and 1 − β₁
	Beta2, Rest2 T
	Rate         T // η / (1−β₁ᵗ)
	Root         T // 1 / √(1−β₂ᵗ)
	Epsilon      T
}

// Adam takes a step of Kingma & Ba (2015), algorithm 1, with the moments first
// and second:
//
//	g = Scale·gradient + Penalty·weight
//	first ← Beta1·first + Rest1·g
//	second ← Beta2·second + Rest2·g²
//	weight ← Keep·weight − Rate·first/(Root·√second + Epsilon)
func (Portable[T]) Adam(weight, gradient, first, second []T, f AdamFactors[T]) {
	gradient, first, second = gradient[:len(weight)], first[:len(weight)], second[:len(weight)]
	for i, w := range weight {
		g := f.Scale*gradient[i] + f.Penalty*w
		m := f.Beta1*first[i] + f.Rest1*g
		v := f.Beta2*second[i] + f.Rest2*(g*g)
		first[i], second[i] = m, v
		weight[i] = f.Keep*w - f.Rate*(m/(f.Root*T(math.Sqrt(float64(v)))+f.Epsilon))
	}
}

// MomentumFactors are what a step of gradient descent with momentum has in
// common for all elements of a parameter.
type MomentumFactors[T Float] struct {
	Scale    T // of the gradient
	Rate     T // η
	Momentum T // μ
	Penalty  T // 2λ
	Nesterov bool
}

// Momentum takes a step of gradient descent with momentum:
//
//	d = Rate·(Scale·gradient + Penalty·weight)
//	velocity ← Momentum·velocity − d
//	weight ← weight + velocity
//
// With Nesterov, Momentum·velocity − d is added to weight, of the new velocity.
func (Portable[T]) Momentum(weight, gradient, velocity []T, f MomentumFactors[T]) {
	gradient, velocity = gradient[:len(weight)], velocity[:len(weight)]
	for i, w := range weight {
		descent := f.Rate * (f.Scale*gradient[i] + f.Penalty*w)
		v := f.Momentum*velocity[i] - descent
		velocity[i] = v
		if f.Nesterov {
			v = f.Momentum*v - descent
		}
		weight[i] = w + v
	}
}
