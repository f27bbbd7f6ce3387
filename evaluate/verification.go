package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
)

// Pair is two images, named by any two integers, such as rows of embeddings, and
// whether their classes differ. What the integers are says which pairs share an
// image, and only that.
type Pair struct {
	Left, Right int
	Different   bool
}

// Verify measures the distances of pairs of embeddings. The pairs are of their
// rows.
func Verify(metric Metric, embeddings Embeddings, pairs []Pair) (*Verification, error) {
	left, right := make([]int, len(pairs)), make([]int, len(pairs))
	for i, pair := range pairs {
		if min(pair.Left, pair.Right) < 0 || max(pair.Left, pair.Right) >= embeddings.Rows {
			return nil, errors.Errorf("pair %d is of the images %d and %d, expected 0 to %d", i, pair.Left, pair.Right, embeddings.Rows-1)
		}
		left[i], right[i] = pair.Left, pair.Right
	}
	distances := make([]float64, len(pairs))
	if err := paired(metric, distances, embeddings.Select(left), embeddings.Select(right)); err != nil {
		return nil, err
	}
	return NewVerification(distances, pairs)
}

// Verification is pairs of images with their distances. Its measures say how well the
// distances distinguish pairs of one class from pairs of two. A pair is
// accepted, that is, taken to be of one class, if its distance is at most a
// threshold.
//
// # Intervals
//
// Pairs that share an image are not independent: an image that lies far from
// those of its class makes all of its pairs hard. All intervals here therefore
// resample images and not pairs. Each replicate draws as many images as there are,
// with replacement, and a pair counts as often as the product of how often its two
// images were drawn (Owen 2007, "The pigeonhole bootstrap", for two factors; Bolle,
// Ratha & Pankanti 2004, "Error analysis of pattern recognition systems: the
// subsets bootstrap", for the reason). A pair whose images are in no other pair
// shares nothing and is drawn itself. Replicates without a pair of one of the two
// kinds are drawn anew.
//
// The share of the variance that is a pair's own, and none of its images', is
// counted up to three times (Owen's theorem 3), so that intervals are right where
// images are in many pairs and too wide rather than too narrow where they are in a
// few. They are about other images of the same classes; other classes may differ by
// more.
//
// NewVerification makes one. A nil or zero Verification has no pairs: its measures are
// NaN, and those that may fail do.
type Verification struct {
	distances []float64
	pairs     []Pair
	images    resampling

	levels          []float64 // the distances that occur, in ascending order
	level           []int     // of each pair: its distance's index in levels
	same, different int       // how many pairs are of one class, and of two
}

// NewVerification takes each pair's distance and the pairs in the same order.
// Pairs of both kinds must be there and all distances be finite numbers. The same
// pair may come more than once.
func NewVerification(distances []float64, pairs []Pair) (*Verification, error) {
	if len(distances) != len(pairs) {
		return nil, errors.Errorf("found %d distances of %d pairs, expected one of each", len(distances), len(pairs))
	}
	if err := checkFinite(distances); err != nil {
		return nil, err
	}
	v := &Verification{distances: slices.Clone(distances), pairs: slices.Clone(pairs), level: make([]int, len(pairs))}
	v.levels = slices.Compact(slices.Sorted(slices.Values(distances)))
	for i, d := range distances {
		v.level[i], _ = slices.BinarySearch(v.levels, d)
		if pairs[i].Different {
			v.different++
		} else {
			v.same++
		}
	}
	if v.same == 0 || v.different == 0 {
		return nil, errors.Errorf("pairs of both kinds are needed, found %d of one class and %d of two", v.same, v.different)
	}
	v.images = newResampling(pairs)
	return v, nil
}

// Distances returns a copy of the pairs' distances, in the order of the pairs.
func (v *Verification) Distances() []float64 {
	if !v.made() {
		return nil
	}
	return slices.Clone(v.distances)
}

// made says whether NewVerification made it.
func (v *Verification) made() bool { return v != nil && len(v.pairs) > 0 }

// unknown is a measure of nothing.
var unknown = Measure{math.NaN(), math.NaN(), math.NaN(), math.NaN()}

// errNoPairs is that of a nil or zero Verification.
var errNoPairs = errors.New("the verification has no pairs, expected one of NewVerification")

// AUC returns the area under the receiver operating characteristic: the
// probability that a pair of one class is closer than a pair of two, where
// equally close counts half (the Mann-Whitney statistic). Chance is 0.5.
func (v *Verification) AUC() Measure { return v.measure(areaUnderCurve) }

// AreaUnderCurve returns AUC's value alone. The interval takes a thousand times
// as long, in vain where models are only compared with each other.
func (v *Verification) AreaUnderCurve() float64 {
	if !v.made() {
		return math.NaN()
	}
	return areaUnderCurve(v.accepted(nil))
}

// EqualErrorRate returns the rate at which pairs of two classes are accepted
// where it equals the rate at which pairs of one are refused. If no threshold
// makes the two equal, they are interpolated between the thresholds next to
// where they cross. Chance is 0.5.
func (v *Verification) EqualErrorRate() Measure { return v.measure(equalErrorRate) }

// TrueAcceptRate returns the greatest share of the pairs of one class that a
// threshold accepts while it accepts at most the share falseAcceptRate, in
// [0, 1], of the pairs of two. A rate below one of those pairs allows none.
func (v *Verification) TrueAcceptRate(falseAcceptRate float64) (Measure, error) {
	if !(falseAcceptRate >= 0 && falseAcceptRate <= 1) {
		return Measure{}, errors.Errorf("false accept rate is %v, want one in [0, 1]", falseAcceptRate)
	}
	if !v.made() {
		return Measure{}, errNoPairs
	}
	return v.measure(func(a acceptance) float64 { return trueAcceptRate(a, falseAcceptRate) }), nil
}

// AUCDifference returns how much greater a's AUC is than b's on the same pairs,
// with the interval of the paired bootstrap: each replicate draws the same images
// for both. See Difference.
func AUCDifference(a, b *Verification) (Measure, error) {
	return difference(a, b, func(x, y []int) float64 {
		return areaUnderCurve(a.accepted(x)) - areaUnderCurve(b.accepted(y))
	})
}

// AccuracyDifference returns how much more of the same pairs a classifies rightly
// at its threshold than b at its own; see AccuracyAt and AUCDifference.
func AccuracyDifference(a *Verification, aThreshold float64, b *Verification, bThreshold float64) (Measure, error) {
	return difference(a, b, func(x, y []int) float64 {
		return a.accuracy(aThreshold, x) - b.accuracy(bThreshold, y)
	})
}

// difference bootstraps a statistic of two verifications of the same pairs, which
// gets how often each pair counts, for a and for b.
func difference(a, b *Verification, statistic func(x, y []int) float64) (Measure, error) {
	if !a.made() || !b.made() {
		return Measure{}, errNoPairs
	}
	if !slices.Equal(a.pairs, b.pairs) {
		return Measure{}, errors.New("the two are not of the same pairs: their images or labels differ")
	}
	return bootstrap(statistic(nil, nil), func(chance *rand.Rand) float64 {
		counts := a.resample(chance)
		return statistic(counts, counts)
	}), nil
}

func (v *Verification) measure(statistic func(acceptance) float64) Measure {
	if !v.made() {
		return unknown
	}
	return bootstrap(statistic(v.accepted(nil)), func(chance *rand.Rand) float64 {
		return statistic(v.accepted(v.resample(chance)))
	})
}

// resample draws how often each pair counts, so that pairs of both kinds do.
func (v *Verification) resample(chance *rand.Rand) []int {
	for {
		counts := v.images.draw(chance)
		var same, different int
		for i, count := range counts {
			if v.pairs[i].Different {
				different += count
			} else {
				same += count
			}
		}
		if same > 0 && different > 0 {
			return counts
		}
	}
}

// resampling draws the images of pairs with replacement.
type resampling struct {
	units  int      // what is drawn: images, and pairs that share none
	ofPair [][2]int // the units that each pair counts with; units stands for none
}

func newResampling(pairs []Pair) resampling {
	in := map[int]int{} // how many pairs an image is in
	for _, pair := range pairs {
		in[pair.Left]++
		if pair.Right != pair.Left {
			in[pair.Right]++
		}
	}
	r := resampling{ofPair: make([][2]int, len(pairs))}
	number := map[int]int{}
	unit := func(image int) int {
		known, found := number[image]
		if !found {
			known = r.units
			number[image] = known
			r.units++
		}
		return known
	}
	const none = -1
	for i, pair := range pairs {
		r.ofPair[i] = [2]int{unit(pair.Left), none}
		if shared := in[pair.Left] > 1 || in[pair.Right] > 1; shared && pair.Right != pair.Left {
			r.ofPair[i][1] = unit(pair.Right)
		}
	}
	for i := range r.ofPair {
		if r.ofPair[i][1] == none {
			r.ofPair[i][1] = r.units
		}
	}
	return r
}

// draw draws a replicate: how often each pair counts.
func (r resampling) draw(chance *rand.Rand) []int {
	times := make([]int, r.units+1)
	for range r.units {
		times[chance.IntN(r.units)]++
	}
	times[r.units] = 1
	counts := make([]int, len(r.ofPair))
	for i, units := range r.ofPair {
		counts[i] = times[units[0]] * times[units[1]]
	}
	return counts
}
