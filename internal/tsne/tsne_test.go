package tsne

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/diff/fd"
)

// clusters are groups of points around far corners of a space, each a hundred
// times as far from the others as it is wide.
func clusters(groups, each, features int) (points [][]float64, group []int) {
	for g := range groups {
		corner := random.New(1, "corner", g)
		middle := make([]float64, features)
		for k := range middle {
			middle[k] = 100 * corner.NormFloat64()
		}
		for i := range each {
			noise := random.New(1, "point", g, i)
			point := make([]float64, features)
			for k := range point {
				point[k] = middle[k] + noise.NormFloat64()
			}
			points, group = append(points, point), append(group, g)
		}
	}
	return points, group
}

func squaredDistances(points [][]float64) []float64 {
	var squared []float64
	for _, x := range points {
		for _, y := range points {
			var sum float64
			for k := range x {
				sum += (x[k] - y[k]) * (x[k] - y[k])
			}
			squared = append(squared, sum)
		}
	}
	return squared
}

func distance(a, b [2]float64) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }

// On the map of three clusters every point is nearer to all of its own cluster
// than to any of another, whichever the seed.
func TestClustersStayApart(t *testing.T) {
	points, group := clusters(3, 40, 8)
	for seed := range uint64(3) {
		y, err := Map(len(points), squaredDistances(points), Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for i := range y {
			farthestOwn, nearestOther := 0.0, math.Inf(1)
			for j := range y {
				if d := distance(y[i], y[j]); group[i] == group[j] {
					farthestOwn = max(farthestOwn, d)
				} else {
					nearestOther = min(nearestOther, d)
				}
			}
			if farthestOwn >= nearestOther {
				t.Errorf("seed %d, point %d: its cluster reaches to %.3g, another begins at %.3g", seed, i, farthestOwn, nearestOther)
			}
		}
	}
}

func TestOneSeedOneMap(t *testing.T) {
	points, _ := clusters(3, 10, 4)
	maps := make([][][2]float64, 3)
	for i, seed := range []uint64{1, 1, 2} {
		var err error
		if maps[i], err = Map(len(points), squaredDistances(points), Options{Seed: seed}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(maps[0], maps[1]); diff != "" {
		t.Errorf("two maps of one seed:\n%s", diff)
	}
	if cmp.Equal(maps[0], maps[2]) {
		t.Error("two seeds gave one map")
	}
}

// The descent ends below where it began, around the origin.
func TestDescentGoesDown(t *testing.T) {
	points, _ := clusters(2, 25, 5)
	squared := squaredDistances(points)
	p := affinities(len(points), squared, 10)
	var costs []float64
	for _, iterations := range []int{1, 600} {
		y, err := Map(len(points), squared, Options{Perplexity: 10, Iterations: iterations})
		if err != nil {
			t.Fatal(err)
		}
		costs = append(costs, divergence(y, p))
		for k := range 2 {
			var mean float64
			for _, place := range y {
				mean += place[k] / float64(len(y))
			}
			if math.Abs(mean) > 1e-9 {
				t.Errorf("after %d iterations the center is at %v on axis %d", iterations, mean, k)
			}
		}
	}
	if costs[1] >= costs[0]/2 {
		t.Errorf("found divergence %v after %v, expected less than half", costs[1], costs[0])
	}
}

// Points that are all the same have a map of finite places: an embedding that
// has collapsed can be looked at.
func TestEqualPoints(t *testing.T) {
	for _, n := range []int{MinPoints, 50} {
		y, err := Map(n, make([]float64, n*n), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, place := range y {
			if radius := math.Hypot(place[0], place[1]); math.IsNaN(radius) || math.IsInf(radius, 0) {
				t.Errorf("%d points: point %d is at %v", n, i, place)
			}
		}
	}
}

// The gradient is that of the divergence, by finite differences. Exaggerated, it
// is that of −Σ factor·pᵢⱼ log wᵢⱼ + log Σw, which is the divergence up to a
// constant where the factor is 1.
func TestGradient(t *testing.T) {
	const n = 7
	points, _ := clusters(1, n, 3)
	p := affinities(n, squaredDistances(points), 3)
	chance := random.New(1, "places")
	flat := make([]float64, 2*n)
	for i := range flat {
		flat[i] = chance.NormFloat64()
	}
	at := func(flat []float64) [][2]float64 {
		y := make([][2]float64, n)
		for i := range y {
			y[i] = [2]float64{flat[2*i], flat[2*i+1]}
		}
		return y
	}
	exaggerated := func(flat []float64) float64 {
		kernel := make([]float64, n*n)
		cost := math.Log(students(kernel, at(flat)))
		for i := range n {
			for j := range i {
				cost -= 2 * exaggeration * p[i*n+j] * math.Log(kernel[i*n+j])
			}
		}
		return cost
	}
	for _, test := range []struct {
		factor float64
		cost   func([]float64) float64
	}{{1, func(flat []float64) float64 { return divergence(at(flat), p) }}, {exaggeration, exaggerated}} {
		want := fd.Gradient(nil, test.cost, flat, &fd.Settings{Formula: fd.Central})
		found := make([][2]float64, n)
		slope(found, at(flat), p, test.factor, make([]float64, n*n))
		for i := range flat {
			if got := found[i/2][i%2]; math.Abs(got-want[i]) > 1e-6 {
				t.Errorf("factor %v, coordinate %d: found %v, finite differences give %v", test.factor, i, got, want[i])
			}
		}
	}
}

// Each point's own distribution has the perplexity that was asked for, and all
// together are a symmetric distribution over pairs.
func TestAffinities(t *testing.T) {
	points, _ := clusters(2, 12, 4)
	n, squared := len(points), squaredDistances(points)
	for _, perplexity := range []float64{1.5, 5, 20} {
		row := append([]float64(nil), squared[1:n]...)
		choose(row, perplexity)
		var entropy float64
		for _, p := range row {
			if p > 0 {
				entropy -= p * math.Log(p)
			}
		}
		if found := math.Exp(entropy); math.Abs(found-perplexity) > 1e-6 {
			t.Errorf("found perplexity %v, expected %v", found, perplexity)
		}
		p, sum := affinities(n, squared, perplexity), 0.0
		for i := range n {
			for j := range n {
				sum += p[i*n+j]
				if p[i*n+j] != p[j*n+i] || i == j && p[i*n+j] != 0 {
					t.Errorf("affinities of %d and %d are %v and %v", i, j, p[i*n+j], p[j*n+i])
				}
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("the sum of the affinities is %v, expected 1", sum)
		}
	}
}

func TestMapRefuses(t *testing.T) {
	square := func(change func(d []float64)) []float64 {
		d := squaredDistances([][]float64{{0}, {1}, {2}, {3}})
		change(d)
		return d
	}
	for _, test := range []struct {
		want    string
		n       int
		squared []float64
		options Options
	}{
		{"found 3 points, expected at least 4", 3, make([]float64, 9), Options{}},
		{"found 15 distances of 4 points, expected 16", 4, make([]float64, 15), Options{}},
		{"of 0 and 1 is -1", 4, square(func(d []float64) { d[1] = -1 }), Options{}},
		{"of 0 and 1 is NaN", 4, square(func(d []float64) { d[1] = math.NaN() }), Options{}},
		{"of 0 and 1 is +Inf", 4, square(func(d []float64) { d[1] = math.Inf(1) }), Options{}},
		{"of 1 from itself is 2", 4, square(func(d []float64) { d[5] = 2 }), Options{}},
		{"of 0 and 1 are 7 and 1", 4, square(func(d []float64) { d[1] = 7 }), Options{}},
		{"found perplexity 3, expected 1 to below 3", 4, square(func([]float64) {}), Options{Perplexity: 3}},
		{"found perplexity 0.5", 4, square(func([]float64) {}), Options{Perplexity: 0.5}},
	} {
		if _, err := Map(test.n, test.squared, test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected one with %q", err, test.want)
		}
	}
}

// divergence is KL(p‖q), which the descent minimizes.
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
