package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/pkg/errors"
)

// Pair has two images, numbered by any integers, such as rows of embeddings, and whether
// their classes differ. Pairs with the same number share an image.
type Pair struct {
	Left, Right int
	Different   bool
}

// Verify returns a Verification of pairs of embeddings, which are numbered by their rows.
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

// Verification has pairs of images with their distances. Its methods measure how well the
// distances distinguish same-class pairs from different-class pairs. A pair is accepted,
// that is, classified as same-class, if its distance is at most a threshold.
//
// # Intervals
//
// Pairs that share an image are not independent: an image that is far from the others of
// its class makes all of its pairs hard. All intervals therefore resample images and not
// pairs. Each replicate draws as many images as there are, with replacement, and the
// weight of a pair is the product of the numbers of times that its two images were drawn
// (Owen 2007, "The pigeonhole bootstrap", for two factors; Bolle, Ratha & Pankanti 2004,
// "Error analysis of pattern recognition systems: the subsets bootstrap", for the
// reason). A pair whose images are in no other pair is resampled itself. Replicates
// without pairs of both kinds are drawn again.
//
// The part of the variance that is specific to a pair, and not to its images, is counted
// up to three times (Owen's theorem 3). Intervals are therefore accurate if images are in
// many pairs, and conservative if they are in few. They describe other images of the same
// classes; other classes may differ more.
//
// NewVerification returns one. A nil or zero Verification has no pairs: its values are
// NaN, and methods that return an error return one.
type Verification struct {
	distances []float64
	pairs     []Pair
	images    resampling

	levels          []float64 // the distances that occur, in ascending order
	level           []int     // of each pair: its distance's index in levels
	same, different int       // how many pairs are of one class, and of two
}

// NewVerification returns a Verification of the distances of pairs, in the same order.
// There must be same-class and different-class pairs, and all distances must be finite. A
// pair may occur repeatedly.
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

// made reports whether NewVerification made it.
func (v *Verification) made() bool { return v != nil && len(v.pairs) > 0 }

// unknown is the estimate of no pairs.
var unknown = Estimate{math.NaN(), math.NaN(), math.NaN(), math.NaN()}

// errNoPairs is that of a nil or zero Verification.
var errNoPairs = errors.New("the verification has no pairs, expected one of NewVerification")

// AUC returns the area under the receiver operating characteristic: the probability that
// a same-class pair is closer than a different-class pair, where equally close counts
// half (the Mann-Whitney statistic). Chance is 0.5.
func (v *Verification) AUC() Estimate { return v.measure(areaUnderCurve) }

// AreaUnderCurve returns the value of AUC without an interval, whose bootstrap takes a
// thousand times as long.
func (v *Verification) AreaUnderCurve() float64 {
	if !v.made() {
		return math.NaN()
	}
	return areaUnderCurve(v.accepted(nil, new(replicate)))
}

// EqualErrorRate returns the false accept rate at the threshold where it equals the false
// reject rate. If no threshold makes the two equal, they are interpolated between the two
// thresholds around their crossing. Chance is 0.5.
func (v *Verification) EqualErrorRate() Estimate { return v.measure(equalErrorRate) }

// TrueAcceptRate returns the largest true accept rate of a threshold whose false accept
// rate is at most falseAcceptRate, in [0, 1].
func (v *Verification) TrueAcceptRate(falseAcceptRate float64) (Estimate, error) {
	if !(falseAcceptRate >= 0 && falseAcceptRate <= 1) {
		return Estimate{}, errors.Errorf("false accept rate is %v, want one in [0, 1]", falseAcceptRate)
	}
	if !v.made() {
		return Estimate{}, errNoPairs
	}
	return v.measure(func(a acceptance) float64 { return trueAcceptRate(a, falseAcceptRate) }), nil
}

// AUCDifference returns the AUC of a minus that of b on the same pairs, with the interval
// of the paired bootstrap: each replicate draws the same images for both. See Difference.
func AUCDifference(a, b *Verification) (Estimate, error) {
	return difference(a, b, func(counts []int) float64 {
		r := scratch.Get().(*replicate)
		defer scratch.Put(r)
		first := areaUnderCurve(a.accepted(counts, r))
		return first - areaUnderCurve(b.accepted(counts, r))
	})
}

// AccuracyDifference returns the accuracy of a at its threshold minus that of b at its
// threshold, on the same pairs; see AccuracyAt and AUCDifference.
func AccuracyDifference(a *Verification, aThreshold float64, b *Verification, bThreshold float64) (Estimate, error) {
	return difference(a, b, func(counts []int) float64 {
		return a.accuracy(aThreshold, counts) - b.accuracy(bThreshold, counts)
	})
}

// difference bootstraps a statistic of two verifications of the same pairs, which
// gets how often each pair counts, or nil for once.
func difference(a, b *Verification, statistic func(counts []int) float64) (Estimate, error) {
	if !a.made() || !b.made() {
		return Estimate{}, errNoPairs
	}
	if !slices.Equal(a.pairs, b.pairs) {
		return Estimate{}, errors.New("the two are not of the same pairs: their images or labels differ")
	}
	return bootstrap(statistic(nil), func(chance *rand.Rand) float64 {
		r := scratch.Get().(*replicate)
		defer scratch.Put(r)
		return statistic(a.resample(chance, r))
	}), nil
}

func (v *Verification) measure(statistic func(acceptance) float64) Estimate {
	if !v.made() {
		return unknown
	}
	return bootstrap(statistic(v.accepted(nil, new(replicate))), func(chance *rand.Rand) float64 {
		r := scratch.Get().(*replicate)
		defer scratch.Put(r)
		return statistic(v.accepted(v.resample(chance, r), r))
	})
}

// replicate is the memory of one replicate of a bootstrap, which the next one reuses.
type replicate struct {
	times, counts []int
	acceptance    acceptance
}

var scratch = sync.Pool{New: func() any { return new(replicate) }}

// zeros returns n zeros, in the memory of x if it suffices.
func zeros(x []int, n int) []int {
	x = slices.Grow(x[:0], n)[:n]
	clear(x)
	return x
}

// resample draws how often each pair counts, so that pairs of both kinds do.
func (v *Verification) resample(chance *rand.Rand, r *replicate) []int {
	for {
		counts := v.images.draw(chance, r)
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
func (r resampling) draw(chance *rand.Rand, into *replicate) []int {
	into.times, into.counts = zeros(into.times, r.units+1), zeros(into.counts, len(r.ofPair))
	times := into.times
	for range r.units {
		times[chance.IntN(r.units)]++
	}
	times[r.units] = 1
	for i, units := range r.ofPair {
		into.counts[i] = times[units[0]] * times[units[1]]
	}
	return into.counts
}

// ROCPoint is a point of a receiver operating characteristic.
type ROCPoint struct {
	Threshold       float64
	FalseAcceptRate float64 // proportion of the different-class pairs that are accepted
	TrueAcceptRate  float64 // proportion of the same-class pairs that are accepted
}

// ROC returns the receiver operating characteristic: the point (0, 0), whose
// threshold is just below the smallest distance, and then one point for each
// distance that occurs, in ascending order, up to (1, 1).
func (v *Verification) ROC() []ROCPoint {
	if !v.made() {
		return nil
	}
	accepted := v.accepted(nil, new(replicate))
	points := make([]ROCPoint, len(accepted.same))
	for i := range points {
		points[i] = ROCPoint{FalseAcceptRate: accepted.falseRate(i), TrueAcceptRate: accepted.trueRate(i)}
		if i > 0 {
			points[i].Threshold = v.levels[i-1]
		}
	}
	points[0].Threshold = math.Nextafter(v.levels[0], math.Inf(-1))
	return points
}

// acceptance has, for each threshold of ROC, how many pairs of one class and
// of two are accepted at it.
type acceptance struct {
	same, different []int
}

func (a acceptance) trueRate(i int) float64 {
	return float64(a.same[i]) / float64(a.same[len(a.same)-1])
}

func (a acceptance) falseRate(i int) float64 {
	return float64(a.different[i]) / float64(a.different[len(a.different)-1])
}

// accepted weights each pair by counts, or by one if it is nil.
func (v *Verification) accepted(counts []int, r *replicate) acceptance {
	a := &r.acceptance
	a.same, a.different = zeros(a.same, len(v.levels)+1), zeros(a.different, len(v.levels)+1)
	for i, level := range v.level {
		count := 1
		if counts != nil {
			count = counts[i]
		}
		if v.pairs[i].Different {
			a.different[level+1] += count
		} else {
			a.same[level+1] += count
		}
	}
	accumulate(a.same)
	accumulate(a.different)
	return *a
}

func accumulate(counts []int) {
	for i := range counts[1:] {
		counts[i+1] += counts[i]
	}
}

// areaUnderCurve is the trapezoidal rule in whole numbers, in which a tie counts half.
func areaUnderCurve(a acceptance) float64 {
	last, doubled := len(a.same)-1, 0
	for i := range last {
		doubled += (a.different[i+1] - a.different[i]) * (a.same[i+1] + a.same[i])
	}
	return float64(doubled) / 2 / float64(a.different[last]) / float64(a.same[last])
}

func equalErrorRate(a acceptance) float64 {
	// By how much false refusals are more frequent than false acceptances: 1 at
	// the lowest threshold, −1 at the highest.
	margin := func(i int) float64 { return 1 - a.trueRate(i) - a.falseRate(i) }
	i := 1
	for margin(i) > 0 {
		i++
	}
	before, after := margin(i-1), margin(i)
	along := before / (before - after)
	return a.falseRate(i-1) + along*(a.falseRate(i)-a.falseRate(i-1))
}

func trueAcceptRate(a acceptance, falseAcceptRate float64) float64 {
	i := len(a.same) - 1
	for a.falseRate(i) > falseAcceptRate { // ends at the first point, whose rate is 0
		i--
	}
	return a.trueRate(i)
}

// BestThreshold returns the threshold that classifies the most pairs correctly, the
// lowest one if there are several. It is halfway between two neighboring distances, just
// below the smallest distance if no pair is accepted, and at the largest if all are.
//
// Its accuracy on the same pairs is biased upward: report AccuracyAt of other pairs.
func (v *Verification) BestThreshold() float64 {
	if !v.made() {
		return math.NaN()
	}
	curve, accepted := v.ROC(), v.accepted(nil, new(replicate))
	best, most := 0, 0
	for i := range curve {
		right := accepted.same[i] + v.different - accepted.different[i]
		if right > most {
			best, most = i, right
		}
	}
	if best == 0 || best == len(curve)-1 {
		return curve[best].Threshold
	}
	return halfway(curve[best].Threshold, curve[best+1].Threshold)
}

// halfway lies between a < b and is not b, however close they are.
func halfway(a, b float64) float64 {
	if middle := a/2 + b/2; a < middle && middle < b {
		return middle
	}
	return a
}

// AccuracyAt returns the proportion of pairs that are classified correctly at a threshold
// that was chosen on other pairs: same-class pairs that are accepted and different-class
// pairs that are rejected. Each replicate of the bootstrap is weighted so that the two
// kinds keep their proportions. The interval is at least as wide as Wilson's for as many
// independent pairs, which matters if all pairs are classified correctly.
func (v *Verification) AccuracyAt(threshold float64) Estimate {
	if !v.made() {
		return unknown
	}
	m := bootstrap(v.accuracy(threshold, nil), func(chance *rand.Rand) float64 {
		r := scratch.Get().(*replicate)
		defer scratch.Put(r)
		return v.accuracy(threshold, v.resample(chance, r))
	})
	independent := Wilson(math.Round(m.Value*float64(len(v.pairs))), len(v.pairs))
	m.Low, m.High = min(m.Low, independent.Low), max(m.High, independent.High)
	m.StandardError = max(m.StandardError, independent.StandardError)
	return m
}

// accuracy is that of AccuracyAt where each pair is weighted by counts, or once if it is
// nil.
func (v *Verification) accuracy(threshold float64, counts []int) float64 {
	var right, all [2]int // of pairs of one class, and of two
	for i, d := range v.distances {
		kind, count := 0, 1
		if v.pairs[i].Different {
			kind = 1
		}
		if counts != nil {
			count = counts[i]
		}
		all[kind] += count
		if refused := !(d <= threshold); refused == v.pairs[i].Different {
			right[kind] += count
		}
	}
	if counts == nil {
		return float64(right[0]+right[1]) / float64(len(v.pairs))
	}
	same, different := float64(right[0])/float64(all[0]), float64(right[1])/float64(all[1])
	return (same*float64(v.same) + different*float64(v.different)) / float64(len(v.pairs))
}
