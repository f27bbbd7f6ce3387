package tsne

import (
	"math"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Least is the smallest number of points that there is a map of.
const Least = 4

// Options say how a map is found. The zero value is the usual choice.
type Options struct {
	// Perplexity is the effective number of neighbours of a point, from 1 to
	// below the number of the others. Zero stands for 30, or a fifth of the others
	// where these are few.
	Perplexity float64
	// Iterations of gradient descent; zero stands for 750.
	Iterations int
	// Seed is where the points' first places come from.
	Seed uint64
}

// How the descent goes. Exaggeration and its length are those of van der Maaten
// 2014, "Accelerating t-SNE using Tree-Based Algorithms"; the rest is of the
// paper, section 3.4, but for the rate, which is a share of the number of points
// (Belkina et al. 2019, "Automated optimized parameters for t-distributed
// stochastic neighbor embedding") and enough for few of them to get anywhere.
const (
	usualPerplexity  = 30
	usualIterations  = 750
	exaggeration     = 12 // of the affinities, while groups form
	exaggerated      = 250
	firstMomentum    = 0.5
	lastMomentum     = 0.8
	leastRate        = 10
	firstDeviation   = 1e-4 // of the first places
	gainUp, gainDown = 0.2, 0.8
	leastGain        = 0.01
)

// Map returns a place on the plane for each of n points, around the origin.
// squared has the squared distances of all pairs, n·n of them, row-major,
// symmetric, none negative, and zero on the diagonal; any measure will do whose
// small values mean nearness. One seed gives one map.
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
		y[i] = [2]float64{firstDeviation * chance.NormFloat64(), firstDeviation * chance.NormFloat64()}
	}
	descend(y, affinities(n, squared, o.Perplexity), o.Iterations)
	return y, nil
}

func check(n int, squared []float64) error {
	if n < Least {
		return errors.Errorf("t-SNE: found %d points, expected at least %d", n, Least)
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

// descend moves the places y down the gradient.
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
		var centre [2]float64
		for i := range y {
			for k, g := range gradient[i] {
				// Jacobs 1988: steps grow while the sign stays, and shrink when it turns.
				if (g > 0) == (step[i][k] > 0) {
					gain[i][k] = max(leastGain, gain[i][k]*gainDown)
				} else {
					gain[i][k] += gainUp
				}
				step[i][k] = momentum*step[i][k] - rate*gain[i][k]*g
				y[i][k] += step[i][k]
				centre[k] += y[i][k] / float64(n)
			}
		}
		for i := range y {
			y[i][0] -= centre[0]
			y[i][1] -= centre[1]
		}
	}
}
