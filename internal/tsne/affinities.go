package tsne

import "math"

// affinities are p (equation 1 and section 3.1 of the paper): of two points the
// mean of the probabilities that each would pick the other as its neighbour,
// over all pairs. The matrix is (n, n), symmetric, and its sum is 1.
func affinities(n int, squared []float64, perplexity float64) []float64 {
	p := make([]float64, n*n)
	row := make([]float64, 0, n-1)
	for i := range n {
		row = append(row[:0], squared[i*n:i*n+i]...)
		row = append(row, squared[i*n+i+1:(i+1)*n]...)
		choose(row, perplexity)
		copy(p[i*n:], row[:i])
		copy(p[i*n+i+1:], row[i:])
	}
	for i := range n {
		for j := range i {
			mean := (p[i*n+j] + p[j*n+i]) / float64(2*n)
			p[i*n+j], p[j*n+i] = mean, mean
		}
	}
	return p
}

// choose makes of a point's squared distances from the others the probability
// with which it picks each: in proportion to exp(−precision·distance), with the
// precision that the perplexity asks for. Where all are equally far each
// precision gives the same, and none the perplexity.
func choose(row []float64, perplexity float64) {
	least, mean := math.Inf(1), 0.0
	for _, d := range row {
		least = min(least, d)
		mean += d / float64(len(row))
	}
	distances := append([]float64(nil), row...)
	for j := range distances {
		distances[j] -= least // of no account, but exp keeps its digits
	}
	precision := 1.0
	if mean > least {
		precision = 1 / (mean - least)
	}
	low, high := 0.0, math.Inf(1)
	const bisections = 64
	for range bisections {
		entropy := pick(row, distances, precision)
		switch difference := entropy - math.Log(perplexity); {
		case math.Abs(difference) < 1e-9:
			return
		case difference > 0: // too many neighbours
			low = precision
		default:
			high = precision
		}
		if precision = (low + high) / 2; math.IsInf(high, 1) {
			precision = 2 * low
		}
	}
}

// pick fills row with the probabilities and returns their entropy in nats, the
// logarithm of the perplexity.
func pick(row, distances []float64, precision float64) float64 {
	var sum, weighted float64
	for j, d := range distances {
		row[j] = math.Exp(-precision * d)
		sum += row[j]
		weighted += d * row[j]
	}
	for j := range row {
		row[j] /= sum
	}
	return math.Log(sum) + precision*weighted/sum
}
