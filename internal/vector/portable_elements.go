package vector

import (
	"math"
)

// Transpose writes the transpose of x, a few columns at a time, because the cache cannot
// hold many destinations that are far apart.
func (Portable[T]) Transpose(y []T, yStride int, x []T, xStride, rows, columns int) {
	const few = 8
	for left := 0; left < columns; left += few {
		width := min(few, columns-left)
		for i := range rows {
			to := left*yStride + i
			for _, v := range x[i*xStride+left:][:width] {
				y[to] = v
				to += yStride
			}
		}
	}
}

// Dot returns the sum of products.
func (Portable[T]) Dot(x, y []T) T {
	y = y[:len(x)]
	var a, b, c, d T
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += x[i] * y[i]
		b += x[i+1] * y[i+1]
		c += x[i+2] * y[i+2]
		d += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		a += x[i] * y[i]
	}
	return (a + b) + (c + d)
}

// DotRows writes the dot products with the rows of a matrix.
func (p Portable[T]) DotRows(y, x, rows []T) {
	for i := range y {
		y[i] = p.Dot(x, rows[i*len(x):][:len(x)])
	}
}

// Add writes y += x.
func (Portable[T]) Add(y, x []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}

// Prefetch does nothing.
func (Portable[T]) Prefetch([]T) {}

// Scale writes y = factor·x.
func (Portable[T]) Scale(y, x []T, factor T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = factor * v
	}
}

// ReLU writes y = max(x, 0).
func (Portable[T]) ReLU(y, x []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = max(v, 0)
	}
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (Portable[T]) ReLUGradient(dx, x, dy []T) {
	dx, x = dx[:len(dy)], x[:len(dy)]
	for i, g := range dy {
		dx[i] = pick(x[i] <= 0, 0, g)
	}
}

// pick returns yes if the condition holds and no otherwise, without a branch: the signs of
// activations are random, and half of the branches would be mispredicted.
func pick[T Float](condition bool, yes, no T) T {
	index := 0
	if condition {
		index = 1
	}
	return [2]T{no, yes}[index]
}

// SquaredNorm returns Σxᵢ².
func (Portable[T]) SquaredNorm(x []T) float64 {
	var sums [4]float64 // additions to a single sum would wait for each other
	for ; len(x) >= 4; x = x[4:] {
		for i := range sums {
			sums[i] += float64(x[i]) * float64(x[i])
		}
	}
	for i, v := range x {
		sums[i] += float64(v) * float64(v)
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3])
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (Portable[T]) SquaredDistance(x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for j, v := range x {
		difference := float64(v) - float64(y[j])
		sum += difference * difference
	}
	return sum
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (Portable[T]) AbsoluteDistance(x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for j, v := range x {
		sum += math.Abs(float64(v) - float64(y[j]))
	}
	return sum
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (Portable[T]) WeightedDistance(x, y, weight []T) float64 {
	y, weight = y[:len(x)], weight[:len(x)]
	var sum float64
	for j, v := range x {
		sum += float64(weight[j]) * math.Abs(float64(v)-float64(y[j]))
	}
	return sum
}

// AddDifference adds factor·(x − y) to dx.
func (Portable[T]) AddDifference(dx, x, y []T, factor T) {
	dx, y = dx[:len(x)], y[:len(x)]
	for j, v := range x {
		dx[j] += factor * (v - y[j])
	}
}

// Normalize writes y = (x − mean)·scale + shift.
func (Portable[T]) Normalize(y, x, mean, scale, shift []T) {
	channels := len(mean)
	scale, shift = scale[:channels], shift[:channels]
	for i := 0; i < len(x); i += channels {
		from, to := x[i:][:channels], y[i:][:channels]
		for c, m := range mean {
			to[c] = (from[c]-m)*scale[c] + shift[c]
		}
	}
}

// Center writes dx = scale·(dy − dyMean − (x − mean)·along).
func (Portable[T]) Center(dx, x, dy, mean, scale, along, dyMean []T) {
	channels := len(mean)
	scale, along, dyMean = scale[:channels], along[:channels], dyMean[:channels]
	for i := 0; i < len(x); i += channels {
		from, to := x[i:][:channels], dx[i:][:channels]
		if dy == nil {
			for c, m := range mean {
				to[c] = -scale[c] * (dyMean[c] + (from[c]-m)*along[c])
			}
			continue
		}
		gradient := dy[i:][:channels]
		for c, m := range mean {
			to[c] = scale[c] * (gradient[c] - dyMean[c] - (from[c]-m)*along[c])
		}
	}
}

// ScaleChannels writes dx = dy·scale.
func (Portable[T]) ScaleChannels(dx, dy, scale []T) {
	for i := 0; i < len(dy); i += len(scale) {
		from, to := dy[i:][:len(scale)], dx[i:][:len(scale)]
		for c, v := range scale {
			to[c] = from[c] * v
		}
	}
}

// SumRows adds the rows of x to sum.
func (Portable[T]) SumRows(sum []float64, x []T) {
	for i := 0; i < len(x); i += len(sum) {
		row := x[i:][:len(sum)]
		for c := range sum {
			sum[c] += float64(row[c])
		}
	}
}

// SumSquares adds (x − mean)² to sum.
func (Portable[T]) SumSquares(sum []float64, x, mean []T) {
	mean = mean[:len(sum)]
	for i := 0; i < len(x); i += len(sum) {
		row := x[i:][:len(sum)]
		for c := range sum {
			d := float64(row[c]) - float64(mean[c])
			sum[c] += d * d
		}
	}
}

// SumMoments adds the rows of x and (x − mean)² to the halves of sum.
func (p Portable[T]) SumMoments(sum []float64, x, mean []T) {
	p.SumRows(sum[:len(mean)], x)
	p.SumSquares(sum[len(mean):], x, mean)
}

// NormalizeClipped writes y = clip(x·scale + shift).
func (Portable[T]) NormalizeClipped(clip Clip, y, x, scale, shift []T) {
	floor, limit := clip.bounds()
	channels := len(scale)
	shift = shift[:channels]
	for i := 0; i < len(x); i += channels {
		from, to := x[i:][:channels], y[i:][:channels]
		for c, v := range from {
			v = v*scale[c] + shift[c]
			v = pick(v <= T(floor), 0, v)
			to[c] = pick(v >= T(limit), T(limit), v)
		}
	}
}

// clipGradient returns g where v is inside of the range, and 0 elsewhere.
func clipGradient[T Float](v, g, floor, limit T) T { return pick(v <= floor || v >= limit, 0, g) }

// SumClipped adds g·(x − mean) and g to the halves of sum, for g = clip′(x·scale + shift)·dy.
func (Portable[T]) SumClipped(clip Clip, sum []float64, x, dy, mean, scale, shift []T) {
	floor, limit := clip.bounds()
	channels := len(mean)
	along, plain := sum[:channels], sum[channels:][:channels]
	for i := 0; i < len(x); i += channels {
		from, slopes := x[i:][:channels], dy[i:][:channels]
		for c, v := range from {
			g := float64(clipGradient(v*scale[c]+shift[c], slopes[c], T(floor), T(limit)))
			along[c] += g * (float64(v) - float64(mean[c]))
			plain[c] += g
		}
	}
}

// CenterClipped writes dx = scale·(g − dyMean − (x − mean)·along), for the same g.
func (Portable[T]) CenterClipped(clip Clip, dx, x, dy, mean, scale, shift, along, dyMean []T) {
	floor, limit := clip.bounds()
	channels := len(mean)
	scale, along, dyMean = scale[:channels], along[:channels], dyMean[:channels]
	for i := 0; i < len(x); i += channels {
		from, slopes, to := x[i:][:channels], dy[i:][:channels], dx[i:][:channels]
		for c, v := range from {
			g := clipGradient(v*scale[c]+shift[c], slopes[c], T(floor), T(limit))
			to[c] = scale[c]*(-dyMean[c]-(v-mean[c])*along[c]) + scale[c]*g
		}
	}
}

// SumProducts adds dy·(x − mean) and dy to the halves of sum.
func (Portable[T]) SumProducts(sum []float64, x, dy, mean []T) {
	channels := len(mean)
	along, plain := sum[:channels], sum[channels:][:channels]
	for i := 0; i < len(x); i += channels {
		from, gradient := x[i:][:channels], dy[i:][:channels]
		for c, m := range mean {
			g := float64(gradient[c])
			along[c] += g * (float64(from[c]) - float64(m))
			plain[c] += g
		}
	}
}

// MaxWindows computes the maximum of each window for each channel: the first of equal
// elements, or the first NaN.
func (Portable[T]) MaxWindows(w *Windows[T]) {
	none := uint8(len(w.Offsets))
	for i := range w.Count {
		from := w.X[i*w.Step:]
		y, position := w.Y[i*w.Channels:][:w.Channels], w.Position[i*w.Channels:][:w.Channels]
		for k, offset := range w.Offsets {
			for c, v := range from[offset:][:w.Channels] {
				if w.Scale != nil {
					v = v*w.Scale[c] + w.Shift[c]
				}
				if k == 0 || v > y[c] || v != v && y[c] == y[c] {
					y[c], position[c] = v, uint8(k)
				}
			}
		}
		if w.Kept != nil {
			kept := w.Kept[i*w.Channels:][:w.Channels]
			for c, k := range position {
				kept[c] = from[int(w.Offsets[k])+c]
			}
		}
		if w.Rectify {
			for c, v := range y {
				if v <= 0 {
					y[c], position[c] = 0, none
				}
			}
		}
	}
}

// ScatterWindows writes or adds Y at the positions of the maxima.
func (Portable[T]) ScatterWindows(w *Windows[T]) {
	for i := range w.Count {
		to := w.X[i*w.Step:]
		y, position := w.Y[i*w.Channels:][:w.Channels], w.Position[i*w.Channels:][:w.Channels]
		for k, offset := range w.Offsets {
			at := to[offset:][:w.Channels]
			for c, v := range y {
				if w.Scale != nil {
					v *= w.Scale[c]
				}
				v = pick(position[c] == uint8(k), v, 0)
				if w.Add {
					v += at[c]
				}
				at[c] = v
			}
		}
	}
}

// AdamFactors are the factors of a step of Adam, the same for all elements of a parameter.
// η is the learning rate and λ the factor of the L2 penalty.
type AdamFactors[T Float] struct {
	Scale        T // of the gradient
	Penalty      T // 2λ
	Keep         T // 1 − ηλ′, λ′ being the decoupled weight decay
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

// MomentumFactors are the factors of a step of gradient descent with momentum, the same for
// all elements of a parameter.
type MomentumFactors[T Float] struct {
	Scale    T // of the gradient
	Rate     T // η, the learning rate
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
// With Nesterov, weight ← weight + Momentum·velocity − d, with the new velocity.
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
