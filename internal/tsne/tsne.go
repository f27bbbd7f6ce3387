// Package tsne maps points to a plane such that neighbors stay neighbors: exact t-SNE (van
// der Maaten & Hinton 2008, "Visualizing Data using t-SNE"), for a few hundred points.
//
// The names are those of the paper: the affinities p of the points, a distribution over
// all pairs that gives each point an effective number of neighbors equal to the
// perplexity; the map y with affinities q; and the divergence KL(p‖q), which Map
// minimizes. Only neighborhoods on the map are meaningful: large distances, the sizes
// of groups and the rotation are not.
package tsne

import (
	"math"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// MinPoints is the smallest number of points of a map.
const MinPoints = 4

// Options are the settings of Map. The zero value has the defaults.
type Options struct {
	// Perplexity is the effective number of neighbors of a point, at least 1 and below
	// the number of other points. Zero means 30, or a fifth of the number of other points
	// if that is less.
	Perplexity float64
	// Iterations is the number of steps of gradient descent; zero means 750.
	Iterations int
	// Seed is the random seed of the initial positions.
	Seed uint64
}

// The constants of the descent. The exaggeration and its length are those of van der
// Maaten 2014, "Accelerating t-SNE using Tree-Based Algorithms"; the others are those of
// section 3.4 of the paper, except the learning rate, which is proportional to the
// number of points (Belkina et al. 2019, "Automated optimized parameters for
// t-distributed stochastic neighbor embedding"), with a minimum for few points.
const (
	usualPerplexity  = 30
	usualIterations  = 750
	exaggeration     = 12 // of the affinities, while groups form
	exaggerated      = 250
	firstMomentum    = 0.5
	lastMomentum     = 0.8
	leastRate        = 10
	initialStdDev    = 1e-4 // of the initial positions
	gainUp, gainDown = 0.2, 0.8
	leastGain        = 0.01
)

// Map returns a position on the plane for each of n points, around the origin. squared
// contains the squared distances of all pairs: (n, n), row-major, symmetric, not
// negative and zero on the diagonal; other dissimilarities can be used, too. The map
// is a function of the arguments and the random seed.
func Map(n int, squared []float64, o Options) ([][2]float64, error) {
	if err := check(n, squared); err != nil {
		return nil, err
	}
	others := float64(n - 1)
	if o.Perplexity == 0 {
		o.Perplexity = max(1, min(usualPerplexity, others/5))
	}
	if !(o.Perplexity >= 1 && o.Perplexity < others) {
		return nil, errors.Errorf("t-SNE: found perplexity %v, expected 1 to below %v, the number of the others", o.Perplexity, others)
	}
	if o.Iterations == 0 {
		o.Iterations = usualIterations
	}
	chance := random.New(o.Seed, "t-SNE")
	y := make([][2]float64, n)
	for i := range y {
		y[i] = [2]float64{initialStdDev * chance.NormFloat64(), initialStdDev * chance.NormFloat64()}
	}
	descend(y, affinities(n, squared, o.Perplexity), o.Iterations)
	return y, nil
}

func check(n int, squared []float64) error {
	if n < MinPoints {
		return errors.Errorf("t-SNE: found %d points, expected at least %d", n, MinPoints)
	}
	if len(squared) != n*n {
		return errors.Errorf("t-SNE: found %d distances of %d points, expected %d", len(squared), n, n*n)
	}
	for at, d := range squared {
		i, j := at/n, at%n
		switch {
		case !(d >= 0) || math.IsInf(d, 1):
			return errors.Errorf("t-SNE: the squared distance of %d and %d is %v, expected a finite number that is not negative", i, j, d)
		case i == j && d != 0:
			return errors.Errorf("t-SNE: the squared distance of %d from itself is %v, expected 0", i, d)
		case d != squared[j*n+i]:
			return errors.Errorf("t-SNE: the squared distances of %d and %d are %v and %v, expected one", i, j, d, squared[j*n+i])
		}
	}
	return nil
}

// descend changes the positions y by gradient descent.
func descend(y [][2]float64, p []float64, iterations int) {
	n := len(y)
	rate := max(leastRate, float64(n)/exaggeration/4)
	kernel, gradient := make([]float64, n*n), make([][2]float64, n)
	step, gain := make([][2]float64, n), make([][2]float64, n)
	for i := range gain {
		gain[i] = [2]float64{1, 1}
	}
	for iteration := range iterations {
		factor, momentum := 1.0, lastMomentum
		if iteration < min(exaggerated, iterations/3) {
			factor, momentum = exaggeration, firstMomentum
		}
		slope(gradient, y, p, factor, kernel)
		var center [2]float64
		for i := range y {
			for k, g := range gradient[i] {
				// Jacobs 1988: steps grow while the sign is the same, and shrink when it changes.
				if (g > 0) == (step[i][k] > 0) {
					gain[i][k] = max(leastGain, gain[i][k]*gainDown)
				} else {
					gain[i][k] += gainUp
				}
				step[i][k] = momentum*step[i][k] - rate*gain[i][k]*g
				y[i][k] += step[i][k]
				center[k] += y[i][k] / float64(n)
			}
		}
		for i := range y {
			y[i][0] -= center[0]
			y[i][1] -= center[1]
		}
	}
}

// affinities returns p (equation 1 and section 3.1 of the paper): for two points the
// mean of the probabilities that each picks the other as its neighbor, divided by n.
// The matrix is (n, n), symmetric, and its sum is 1.
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

// choose converts the squared distances of a point from the others to the probability
// with which it picks each: proportional to exp(−precision·distance), with the precision
// that results in the perplexity. If all distances are equal, every precision has the
// same result, whose perplexity may differ.
func choose(row []float64, perplexity float64) {
	least, mean := math.Inf(1), 0.0
	for _, d := range row {
		least = min(least, d)
		mean += d / float64(len(row))
	}
	distances := append([]float64(nil), row...)
	for j := range distances {
		distances[j] -= least // does not change the result, but avoids underflow of exp
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
		case difference > 0: // too many neighbors
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

// slope writes the gradient of the divergence (equation 5 of the paper), with p
// times a factor: 4 Σⱼ (factor·pᵢⱼ − qᵢⱼ)(yᵢ − yⱼ)/(1 + ‖yᵢ − yⱼ‖²). kernel is
// scratch memory for n·n numbers.
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
