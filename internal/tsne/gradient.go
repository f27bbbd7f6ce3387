package tsne

import "math"

// slope writes the gradient of the divergence (equation 5 of the paper), with p
// times a factor: 4 Σⱼ (factor·pᵢⱼ − qᵢⱼ)(yᵢ − yⱼ)/(1 + ‖yᵢ − yⱼ‖²). kernel is
// room for n·n numbers.
func slope(gradient [][2]float64, y [][2]float64, p []float64, factor float64, kernel []float64) {
	n := len(y)
	sum := students(kernel, y)
	clear(gradient)
	for i := range n {
		for j := range i {
			w := kernel[i*n+j]
			force := 4 * (factor*p[i*n+j] - w/sum) * w
			for k := range 2 {
				pull := force * (y[i][k] - y[j][k])
				gradient[i][k] += pull
				gradient[j][k] -= pull
			}
		}
	}
}

// students fills the lower half of kernel with 1/(1 + ‖yᵢ − yⱼ‖²), Student's
// kernel, and returns the sum over all ordered pairs.
func students(kernel []float64, y [][2]float64) (sum float64) {
	n := len(y)
	for i := range n {
		for j := range i {
			dx, dy := y[i][0]-y[j][0], y[i][1]-y[j][1]
			w := 1 / (1 + dx*dx + dy*dy)
			kernel[i*n+j] = w
			sum += 2 * w
		}
	}
	return sum
}

// divergence is KL(p‖q), what the gradient is of.
func divergence(y [][2]float64, p []float64) (cost float64) {
	n := len(y)
	kernel := make([]float64, n*n)
	sum := students(kernel, y)
	for i := range n {
		for j := range i {
			if affinity := p[i*n+j]; affinity > 0 {
				cost += 2 * affinity * math.Log(affinity*sum/kernel[i*n+j])
			}
		}
	}
	return cost
}
