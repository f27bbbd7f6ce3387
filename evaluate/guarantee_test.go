package evaluate_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/stat/distuv"
)

// The bounds are those of scipy.stats.beta.ppf(confidence, k + 1, n − k) of SciPy.
func TestUpperBoundEqualsSciPy(t *testing.T) {
	for _, test := range []struct {
		successes, trials int
		confidence, want  float64
	}{
		{0, 299, 0.95, 0.009969146792899269}, {0, 100, 0.95, 0.029513049607039925}, {1, 93, 0.95, 0.049993978387988317},
		{5, 500, 0.95, 0.020910322942267072}, {40, 1000, 0.99, 0.05684806940753948}, {3, 10, 0.9, 0.551730832383599},
		{49999, 1000000, 0.95, 0.05035894796812965}, {10, 10, 0.95, 1},
	} {
		got, err := evaluate.UpperBound(test.successes, test.trials, test.confidence)
		if err != nil || math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%d of %d at %v: found %v, %v, expected %v", test.successes, test.trials, test.confidence, got, err, test.want)
		}
	}
}

// The numbers are those found with scipy.stats.binom.cdf, and the largest whose bound of
// Clopper and Pearson is at most the rate: one more has a higher one.
func TestMostAccepted(t *testing.T) {
	for _, test := range []struct {
		trials           int
		rate, confidence float64
		want             int
	}{
		{299, 0.01, 0.95, 0}, {472, 0.01, 0.95, 0}, {473, 0.01, 0.95, 1}, {92, 0.05, 0.95, 0}, {93, 0.05, 0.95, 1},
		{1000, 0.05, 0.95, 38}, {10000, 0.001, 0.99, 2}, {1000000, 0.0001, 0.95, 83}, {20, 0.5, 0.5, 9},
	} {
		got, err := evaluate.MostAccepted(test.trials, test.rate, test.confidence)
		if err != nil || got != test.want {
			t.Errorf("%+v: found %d, %v", test, got, err)
		}
	}
	chance := random.New(1, "most accepted")
	for range 300 {
		trials, rate, confidence := 1+chance.IntN(2000), 0.002+0.9*chance.Float64(), 0.5+0.499*chance.Float64()
		most, err := evaluate.MostAccepted(trials, rate, confidence)
		if err != nil {
			most = -1
		}
		for accepted, allowed := range map[int]bool{most: true, most + 1: false} {
			if accepted < 0 {
				continue
			}
			bound, err := evaluate.UpperBound(accepted, trials, confidence)
			if err != nil || (bound <= rate) != allowed {
				t.Errorf("%d of %d at %v: the bound is %v (%v), the rate %v, and at most %d are allowed", accepted, trials, confidence, bound, err, rate, most)
			}
		}
	}
}

func TestGuaranteeRefusals(t *testing.T) {
	bound := func(k, n int, c float64) error { _, err := evaluate.UpperBound(k, n, c); return err }
	most := func(n int, r, c float64) error { _, err := evaluate.MostAccepted(n, r, c); return err }
	threshold := func(d []float64) error { _, _, err := evaluate.GuaranteedThreshold(d, 0.5, 0.5); return err }
	conformal := func(d []float64, c float64) error { _, err := evaluate.ConformalDistance(d, c); return err }
	for _, test := range []struct {
		err  error
		few  bool
		says string
	}{
		{most(298, 0.01, 0.95), true, "too few trials"}, {most(298, 0.01, 0.95), true, "found 298, expected at least 299 for a rate of 0.01 with a confidence of 0.95; 298 support rates from 0.0101"},
		{most(100, 0.01, 0.95), true, "100 support rates from 0.0296"}, {most(0, 0.01, 0.95), true, "found 0, expected at least 299"},
		{most(-1, 0.1, 0.95), false, "found -1 trials"}, {most(9, 1, 0.95), false, "the rate is 1"}, {most(9, 0, 0.95), false, "the rate is 0"},
		{most(9, math.NaN(), 0.95), false, "the rate is NaN"}, {most(9, 0.1, 1), false, "the confidence is 1"}, {bound(1, 9, 0), false, "the confidence is 0"},
		{bound(3, 2, 0.5), false, "found 3 successes in 2 trials"}, {bound(0, 0, 0.5), false, "found 0 successes in 0 trials"}, {bound(-1, 2, 0.5), false, "found -1"},
		{threshold(nil), true, "found 0"}, {threshold([]float64{1, math.Inf(1)}), false, "distance 1 is +Inf"},
		{conformal(make([]float64, 19), 0.95), true, "found 19, expected at least 20 for a confidence of 0.95; 19 support a confidence up to 0.947"},
		{conformal(nil, 0.9), true, "found 0, expected at least 10 for a confidence of 0.9"}, {conformal([]float64{math.NaN()}, 0.5), false, "distance 0 is NaN"},
		{conformal([]float64{1}, 1.5), false, "the confidence is 1.5"},
	} {
		if test.err == nil || errors.Is(test.err, evaluate.ErrTooFewTrials) != test.few || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("found %v, expected %q", test.err, test.says)
		}
	}
	// What the errors say is sufficient is so.
	if err := errors.Join(most(299, 0.01, 0.95), most(100, 0.0296, 0.95), most(298, 0.0101, 0.95), conformal(make([]float64, 20), 0.95), conformal(make([]float64, 19), 0.947)); err != nil {
		t.Error(err)
	}
}

// Of five distances at most one may be accepted at a rate of 0.5 with a confidence of 0.8,
// because P(Binomial(5, 0.5) ≤ 1) = 6/32 and P(… ≤ 2) = 16/32.
func TestGuaranteedThresholdByHand(t *testing.T) {
	for _, test := range []struct {
		distances []float64
		next      float64 // the smallest rejected distance
		accepted  int
	}{
		{[]float64{9, 3, 5, 20, 10}, 5, 1},
		{[]float64{5, 3, 5, 20, 5}, 5, 1},
		{[]float64{3, 3, 3, 20, 5}, 3, 0}, // equal distances: all or none
		{[]float64{0, 0, 1, 1, 1}, 0, 0},
	} {
		before := slices.Clone(test.distances)
		threshold, accepted, err := evaluate.GuaranteedThreshold(test.distances, 0.5, 0.8)
		if err != nil || !(threshold < test.next) || math.Nextafter(threshold, math.Inf(1)) != test.next || accepted != test.accepted {
			t.Errorf("%v: found %v, %d, %v", test.distances, threshold, accepted, err)
		}
		if !slices.Equal(before, test.distances) {
			t.Errorf("%v became %v", before, test.distances)
		}
	}
}

// circle is a gallery of points on a circle of circumference 1, on which images of unknown
// classes are uniformly distributed, so that the false accept rate of a threshold is known.
type circle []float64

func newCircle(points int, chance *rand.Rand) circle {
	c := make(circle, points)
	for i := range c {
		c[i] = chance.Float64()
	}
	slices.Sort(c)
	return c
}

// distance is that of the nearest point, other than the left-out one.
func (c circle) distance(x float64, without int) float64 {
	nearest := math.Inf(1)
	for i, p := range c {
		if i != without {
			nearest = min(nearest, arc(x, p))
		}
	}
	return nearest
}

func arc(x, y float64) float64 {
	d := math.Abs(x - y)
	return min(d, 1-d)
}

// rate is the part of the circle within the threshold of a point.
func (c circle) rate(threshold float64) (rate float64) {
	if threshold <= 0 {
		return 0
	}
	for i, p := range c {
		gap := 1 + c[0] - p
		if i+1 < len(c) {
			gap = c[i+1] - p
		}
		rate += min(gap, 2*threshold)
	}
	return rate
}

// exceeding returns the share of calibrations in which the true rate exceeds the rate, and
// its standard error if it were 0.05.
func exceeding(t *testing.T, name string, calibrations int, rate float64, calibrate func(chance *rand.Rand) (distances []float64, trueRate func(threshold float64) float64)) (share, deviation float64) {
	t.Helper()
	exceed := 0
	for i := range calibrations {
		distances, trueRate := calibrate(random.New(7, name, i))
		threshold, _, err := evaluate.GuaranteedThreshold(distances, rate, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if trueRate(threshold) > rate {
			exceed++
		}
	}
	share = float64(exceed) / float64(calibrations)
	t.Logf("%s: the rate is exceeded in %.4f of %d calibrations", name, share, calibrations)
	return share, math.Sqrt(0.05 * 0.95 / float64(calibrations))
}

// In as many calibrations as promised, and not fewer than the binomial distribution says, the
// true false accept rate exceeds the rate, with one image of each class, however alike
// the images of a class are. If all images of a class are trials, or all pairs, it is exceeded
// in many more; and if each enrolled class is compared with the others, too, because two
// that are similar are both accepted.
func TestGuaranteeHolds(t *testing.T) {
	const rate, calibrations, enrolled = 0.05, 3000, 20
	image := func(center float64, chance *rand.Rand) float64 {
		x := center + 0.001*chance.NormFloat64()
		return x - math.Floor(x)
	}
	for _, classes := range []int{59, 93, 150} {
		most, err := evaluate.MostAccepted(classes, rate, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		want := distuv.Binomial{N: float64(classes), P: rate}.CDF(float64(most))
		share, deviation := exceeding(t, "one image", calibrations, rate, func(chance *rand.Rand) ([]float64, func(float64) float64) {
			gallery, distances := newCircle(enrolled, chance), make([]float64, classes)
			for i := range distances {
				distances[i] = gallery.distance(image(chance.Float64(), chance), -1)
			}
			return distances, gallery.rate
		})
		if want > 0.05 || math.Abs(share-want) > 4*deviation {
			t.Errorf("%d classes: the rate is exceeded in %.4f, expected %.4f ± %.4f, at most 0.05", classes, share, want, 4*deviation)
		}
	}
	for name, calibrate := range map[string]func(chance *rand.Rand) ([]float64, func(float64) float64){
		"all images": func(chance *rand.Rand) (distances []float64, rate func(float64) float64) {
			gallery := newCircle(enrolled, chance)
			for range 59 {
				center := chance.Float64()
				for range 10 {
					distances = append(distances, gallery.distance(image(center, chance), -1))
				}
			}
			return distances, gallery.rate
		},
		"all pairs": func(chance *rand.Rand) (distances []float64, rate func(float64) float64) {
			var images []float64
			for range 30 {
				center := chance.Float64()
				for range 3 {
					images = append(images, image(center, chance))
				}
			}
			for i, x := range images {
				for j, y := range images[:i] {
					if i/3 != j/3 {
						distances = append(distances, arc(x, y))
					}
				}
			}
			return distances, func(threshold float64) float64 { return 2 * threshold }
		},
		"enrolled classes": func(chance *rand.Rand) (distances []float64, rate func(float64) float64) {
			gallery := newCircle(59, chance)
			for i, x := range gallery {
				distances = append(distances, gallery.distance(x, i))
			}
			return distances, gallery.rate
		},
	} {
		if share, deviation := exceeding(t, name, calibrations/10, rate, calibrate); share < 0.05+4*deviation {
			t.Errorf("%s: the rate is exceeded in %.4f: the trials are dependent, so that the test should see more than %.4f", name, share, 0.05+4*deviation)
		}
	}
}

// The rank is ⌈20·confidence⌉ + 1 of the distances 1 to 20.
func TestConformalDistanceByHand(t *testing.T) {
	var distances []float64
	for i := range 20 {
		distances = append(distances, float64(20-i))
	}
	for confidence, want := range map[float64]float64{0.95: 20, 0.9: 19, 0.91: 20, 0.5: 11, 0.01: 2} {
		if got, err := evaluate.ConformalDistance(distances, confidence); err != nil || got != want {
			t.Errorf("%v: found %v, %v, expected %v", confidence, got, err, want)
		}
	}
	if distances[0] != 20 {
		t.Error("the distances were changed")
	}
}

// With the rank 37 of 40 classes at a confidence of 0.9, the coverage of another image of one of the
// classes is 37/41 if all images have one distribution, and between 0.9 and 37/40 if the
// classes differ, up to the point at which all images of a class have one distance.
func TestConformalDistanceCovers(t *testing.T) {
	const classes, confidence, repetitions = 40, 0.9, 20000
	for _, test := range []struct {
		name      string
		distance  func(spread float64, chance *rand.Rand) float64
		low, high float64
	}{
		{"equal classes", func(_ float64, chance *rand.Rand) float64 { return math.Abs(chance.NormFloat64()) }, 37.0 / 41, 37.0 / 41},
		{"different classes", func(spread float64, chance *rand.Rand) float64 { return spread * math.Abs(chance.NormFloat64()) }, 0.9, 37.0 / 40},
		{"constant classes", func(spread float64, _ *rand.Rand) float64 { return spread }, 37.0 / 40, 37.0 / 40},
	} {
		covered := 0
		for i := range repetitions {
			chance := random.New(3, test.name, i)
			var spreads, distances []float64
			for range classes {
				spread := math.Exp(2 * chance.NormFloat64())
				spreads, distances = append(spreads, spread), append(distances, test.distance(spread, chance))
			}
			within, err := evaluate.ConformalDistance(distances, confidence)
			if err != nil {
				t.Fatal(err)
			}
			if test.distance(spreads[chance.IntN(classes)], chance) <= within {
				covered++
			}
		}
		share, deviation := float64(covered)/repetitions, math.Sqrt(0.1*0.9/repetitions)
		t.Logf("%s: covered %.4f", test.name, share)
		if share < test.low-4*deviation || share > test.high+4*deviation {
			t.Errorf("%s: covered %.4f, expected %.4f to %.4f", test.name, share, test.low, test.high)
		}
	}
}
