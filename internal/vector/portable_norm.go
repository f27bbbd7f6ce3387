package vector

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

// Centre writes dx = scale·(dy − dyMean − (x − mean)·along).
func (Portable[T]) Centre(dx, x, dy, mean, scale, along, dyMean []T) {
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
