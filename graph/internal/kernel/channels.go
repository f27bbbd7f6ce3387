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

// centreChannels writes dx = scale·(dy − dyMean − (x − mean)·along).
func centreChannels[T Float](dx, x, dy, mean, scale, along, dyMean []T) {
	channels := len(mean)
	scale, along, dyMean = scale[:channels], along[:channels], dyMean[:channels]
	for i := 0; i < len(x); i += channels {
		from, gradient, to := x[i:][:channels], dy[i:][:channels], dx[i:][:channels]
		for c, m := range mean {
			to[c] = scale[c] * (gradient[c] - dyMean[c] - (from[c]-m)*along[c])
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

// addProducts adds dy·(x − mean) to along and dy to plain.
func addProducts[T Float](along, plain []float64, x, dy, mean []T) {
	channels := len(mean)
	along, plain = along[:channels], plain[:channels]
	for i := 0; i < len(x); i += channels {
		from, gradient := x[i:][:channels], dy[i:][:channels]
		for c, m := range mean {
			g := float64(gradient[c])
			along[c] += g * (float64(from[c]) - float64(m))
			plain[c] += g
		}
	}
}
