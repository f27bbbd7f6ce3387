package kernel

// The inner loops of batch norm: x, y and dy hold rows of len(mean) channels.

// normalizeChannels writes y = (x − mean)·scale + shift.
func normalizeChannels[T Float](y, x, mean, scale, shift []T) {
	channels := len(mean)
	scale, shift = scale[:channels], shift[:channels]
	for i := 0; i < len(x); i += channels {
		from, to := x[i:][:channels], y[i:][:channels]
		for c, m := range mean {
			to[c] = (from[c]-m)*scale[c] + shift[c]
		}
	}
}

// centreChannels writes dx = scale·(dy − dyMean − (x − mean)·along), or, with a
// nil dy, what dy = 0 gives. dx may be x or dy.
func centreChannels[T Float](dx, x, dy, mean, scale, along, dyMean []T) {
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

// scaleChannels writes dx = dy·scale. dx may be dy.
func scaleChannels[T Float](dx, dy, scale []T) {
	for i := 0; i < len(dy); i += len(scale) {
		from, to := dy[i:][:len(scale)], dx[i:][:len(scale)]
		for c, v := range scale {
			to[c] = from[c] * v
		}
	}
}

// addRows adds the rows of x to sum.
func addRows[T Float](sum []float64, x []T) {
	for i := 0; i < len(x); i += len(sum) {
		row := x[i:][:len(sum)]
		for c := range sum {
			sum[c] += float64(row[c])
		}
	}
}

// addSquares adds (x − mean)² to sum.
func addSquares[T Float](sum []float64, x, mean []T) {
	mean = mean[:len(sum)]
	for i := 0; i < len(x); i += len(sum) {
		row := x[i:][:len(sum)]
		for c := range sum {
			d := float64(row[c]) - float64(mean[c])
			sum[c] += d * d
		}
	}
}

// addProducts adds dy·(x − mean) to the first half of sum and dy to the second.
func addProducts[T Float](sum []float64, x, dy, mean []T) {
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
