package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// pairs makes up n pairs whose distances are normal, those of two classes
// shifted.
func pairs(seed uint64, n int, shift float64) (distances []float64, different []bool) {
	for i := range n {
		chance := random.New(seed, "pair", i)
		d := chance.NormFloat64()
		if i%3 > 0 {
			d += shift
		}
		distances, different = append(distances, d), append(different, i%3 > 0)
	}
	return distances, different
}

// drawPairs makes up pairs among which equal distances are common; the first
// is of one class and the second of two.
func drawPairs(t *rapid.T) (distances []float64, different []bool) {
	n := rapid.IntRange(2, 20).Draw(t, "pairs")
	distances = rapid.SliceOfN(rapid.Map(rapid.IntRange(-3, 6), func(i int) float64 { return float64(i) / 2 }), n, n).Draw(t, "distances")
	different = rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "different")
	different[0], different[1] = false, true
	return distances, different
}

// apart are pairs that share no image.
func apart(different []bool) []evaluate.Pair {
	all := make([]evaluate.Pair, len(different))
	for i := range all {
		all[i] = evaluate.Pair{Left: 2 * i, Right: 2*i + 1, Different: different[i]}
	}
	return all
}

func verification(t rapid.TB, distances []float64, different []bool) *evaluate.Verification {
	t.Helper()
	return must(evaluate.NewVerification(distances, apart(different)))(t)
}

func TestVerificationByHand(t *testing.T) {
	//	distance   1     2     3          4     5
	//	           same  same  different  same  different
	//	                       same             different
	v := verification(t,
		[]float64{3, 5, 1, 4, 2, 3, 5},
		[]bool{false, true, false, false, false, true, true})
	expect(t, "ROC", v.ROC(), []evaluate.ROCPoint{
		{Threshold: math.Nextafter(1, 0)},
		{Threshold: 1, TrueAcceptRate: 1. / 4},
		{Threshold: 2, TrueAcceptRate: 2. / 4},
		{Threshold: 3, TrueAcceptRate: 3. / 4, FalseAcceptRate: 1. / 3},
		{Threshold: 4, TrueAcceptRate: 4. / 4, FalseAcceptRate: 1. / 3},
		{Threshold: 5, TrueAcceptRate: 4. / 4, FalseAcceptRate: 3. / 3},
	})
	// Of 12 combinations one is a tie, and one has 4 behind 3.
	expect(t, "AUC", v.AUC().Value, 10.5/12, rounding)
	// From (0, 2/4) to (1/3, 3/4) the rates cross where x = 1 − (1/2 + 3/4·x).
	expect(t, "equal error rate", v.EqualErrorRate().Value, 2./7, rounding)
	for limit, want := range map[float64]float64{0: 2. / 4, 0.33: 2. / 4, 0.34: 1, 1: 1} {
		expect(t, "true accept rate", must(v.TrueAcceptRate(limit))(t).Value, want, rounding)
	}
	expect(t, "best threshold", v.BestThreshold(), 4.5)
	expect(t, "accuracy there", v.AccuracyAt(4.5).Value, 6./7, rounding) // but the different pair at 3
	at3, wilson := v.AccuracyAt(3), evaluate.Wilson(5, 7)                // nor the same pair at 4
	expect(t, "accuracy at 3", at3.Value, 5./7, rounding)
	if at3.Low > wilson.Low || at3.High < wilson.High || at3.StandardError < wilson.StandardError {
		t.Errorf("accuracy at 3 is %v, within the interval of as many independent pairs, %v", at3, wilson)
	}
}

// Distances are in the order of the pairs, and whoever changes them changes
// nothing.
func TestDistancesAreACopy(t *testing.T) {
	want := []float64{3, 1, 2}
	v := verification(t, want, []bool{true, false, true})
	v.Distances()[0] = -1
	expect(t, "distances", v.Distances(), want)
}

func TestVerificationAtItsEnds(t *testing.T) {
	different := []bool{false, true, false, true}
	perfect := verification(t, []float64{-1, 2, -3, 4}, different)
	expect(t, "AUC", perfect.AUC(), evaluate.Estimate{Value: 1, Low: 1, High: 1})
	expect(t, "equal error rate", perfect.EqualErrorRate(), evaluate.Estimate{})
	expect(t, "true accept rate", must(perfect.TrueAcceptRate(0))(t), evaluate.Estimate{Value: 1, Low: 1, High: 1})

	inverted := verification(t, []float64{4, -3, 2, -1}, different)
	expect(t, "inverted AUC", inverted.AUC(), evaluate.Estimate{})
	expect(t, "inverted equal error rate", inverted.EqualErrorRate(), evaluate.Estimate{Value: 1, Low: 1, High: 1})

	constant := verification(t, []float64{7, 7, 7, 7}, different)
	half := evaluate.Estimate{Value: 0.5, Low: 0.5, High: 0.5}
	expect(t, "constant AUC", constant.AUC(), half)
	expect(t, "constant equal error rate", constant.EqualErrorRate(), half)
	expect(t, "constant true accept rate", must(constant.TrueAcceptRate(0.99))(t), evaluate.Estimate{})
}

// The Mann-Whitney statistic, by looking at each pair of pairs.
func TestAUCEqualsCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		distances, different := drawPairs(t)
		var wins, all float64
		for i, far := range distances {
			for j, near := range distances {
				if !different[i] || different[j] {
					continue
				}
				all++
				if near < far {
					wins++
				} else if near == far {
					wins += 0.5
				}
			}
		}
		v := verification(t, distances, different)
		expect(t, "area under the curve", v.AreaUnderCurve(), wins/all, rounding)
		expect(t, "AUC", v.AUC().Value, v.AreaUnderCurve())
	})
}

func TestROCEqualsGonum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		distances, different := drawPairs(t)
		v := verification(t, distances, different)

		// stat.ROC accepts large scores and takes them in ascending order.
		order := makeRange(len(distances))
		slices.SortFunc(order, func(i, j int) int { return int(2 * (distances[j] - distances[i])) })
		var scores []float64
		var same []bool
		for _, i := range order {
			scores, same = append(scores, -distances[i]), append(same, !different[i])
		}
		wantTrue, wantFalse, thresholds := stat.ROC(nil, scores, same, nil)
		var gotTrue, gotFalse []float64
		for i, point := range v.ROC() {
			gotTrue, gotFalse = append(gotTrue, point.TrueAcceptRate), append(gotFalse, point.FalseAcceptRate)
			if i > 0 && point.Threshold != -thresholds[i] {
				t.Errorf("threshold %d is %v, want %v", i, point.Threshold, -thresholds[i])
			}
		}
		expect(t, "true accept rates", gotTrue, wantTrue, rounding)
		expect(t, "false accept rates", gotFalse, wantFalse, rounding)
		expect(t, "AUC", v.AUC().Value, integrate.Trapezoidal(wantFalse, wantTrue), rounding)
	})
}

func TestVerificationProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		distances, different := drawPairs(t)
		v := verification(t, distances, different)
		auc, equalError := v.AUC(), v.EqualErrorRate()

		stretched := make([]float64, len(distances))
		reversed := make([]bool, len(distances))
		for i, d := range distances {
			stretched[i] = math.Exp(d) - 3
			reversed[i] = !different[i]
		}
		monotone := verification(t, stretched, different)
		expect(t, "AUC of stretched distances", monotone.AUC(), auc)
		expect(t, "equal error rate of stretched distances", monotone.EqualErrorRate(), equalError)
		opposite := verification(t, distances, reversed)
		expect(t, "AUC of reversed labels", opposite.AUC().Value, 1-auc.Value, rounding)
		expect(t, "equal error rate of reversed labels", opposite.EqualErrorRate().Value, 1-equalError.Value, rounding)

		order := rapid.Permutation(makeRange(len(distances))).Draw(t, "order")
		shuffled, labels := make([]float64, len(order)), make([]bool, len(order))
		for to, from := range order {
			shuffled[to], labels[to] = distances[from], different[from]
		}
		again := verification(t, shuffled, labels)
		expect(t, "AUC of shuffled pairs", again.AUC().Value, auc.Value)
		expect(t, "best threshold of shuffled pairs", again.BestThreshold(), v.BestThreshold())
	})
}

// Two unit normals that are 2 apart: the AUC is Φ(2/√2), the rates are equal
// half-way, at Φ(−1), and 2 + Φ⁻¹(0.1) is where 0.1 are falsely accepted.
func TestVerificationOfNormals(t *testing.T) {
	distances, different := pairs(1, 6000, 2)
	v := verification(t, distances, different)
	phi := distuv.UnitNormal.CDF
	for what, test := range map[string]struct {
		got  evaluate.Estimate
		want float64
	}{
		"AUC":              {v.AUC(), phi(math.Sqrt2)},
		"equal error rate": {v.EqualErrorRate(), phi(-1)},
		"true accept rate": {must(v.TrueAcceptRate(0.1))(t), phi(2 + distuv.UnitNormal.Quantile(0.1))},
	} {
		m := test.got
		if !(m.Low < test.want && test.want < m.High) || !(m.Low < m.Value && m.Value < m.High) || width(m) > 0.06 {
			t.Errorf("%s is %v, want %.4f", what, m, test.want)
		}
	}
	if threshold := v.BestThreshold(); v.AccuracyAt(threshold).Value < v.AccuracyAt(1).Value {
		t.Errorf("the best threshold, %v, is worse than 1", threshold)
	}
}

func TestAUCDifference(t *testing.T) {
	near, different := pairs(1, 900, 1)
	far := slices.Clone(near) // the same pairs, a little farther apart
	for i := range far {
		if different[i] {
			far[i] += 0.2
		}
	}
	a, b := verification(t, far, different), verification(t, near, different)
	expect(t, "from itself", must(evaluate.AUCDifference(a, a))(t), evaluate.Estimate{})

	got := must(evaluate.AUCDifference(a, b))(t)
	expect(t, "value", got.Value, a.AUC().Value-b.AUC().Value, rounding)
	if got.Low <= 0 || width(got) > width(a.AUC())/4 {
		t.Errorf("the difference is %v, want one that is surely positive: every pair agrees", got)
	}
	back := must(evaluate.AUCDifference(b, a))(t)
	expect(t, "the other way", evaluate.Estimate{Value: -back.Value, Low: -back.High, High: -back.Low, StandardError: back.StandardError}, got, rounding)

	other := verification(t, []float64{1, 2, 3}, []bool{true, false, true})
	if _, err := evaluate.AUCDifference(a, other); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("got error %v", err)
	}
}

// The difference of accuracies at two thresholds is that of AccuracyAt.
func TestAccuracyDifference(t *testing.T) {
	distances, different := pairs(1, 900, 1)
	v := verification(t, distances, different)
	expect(t, "from itself", must(evaluate.AccuracyDifference(v, 1, v, 1))(t), evaluate.Estimate{})
	best, none := v.BestThreshold(), -1.0 // at which no pair is accepted
	got := must(evaluate.AccuracyDifference(v, best, v, none))(t)
	expect(t, "value", got.Value, v.AccuracyAt(best).Value-v.AccuracyAt(none).Value, rounding)
	if !(0 < got.Low && got.Low < got.Value && got.Value < got.High) {
		t.Errorf("found %v, expected an interval of positive numbers around the value", got)
	}
	if _, err := evaluate.AccuracyDifference(v, 1, nil, 1); err == nil {
		t.Error("without a second verification: found no error")
	}
}

func TestVerificationRefuses(t *testing.T) {
	for want, err := range map[string]error{
		"found 2 distances of 1 pairs":             second(evaluate.NewVerification([]float64{1, 2}, apart([]bool{true}))),
		"found 2 of one class and 0 of two":        second(evaluate.NewVerification([]float64{1, 2}, apart([]bool{false, false}))),
		"found 0 of one class and 2 of two":        second(evaluate.NewVerification([]float64{1, 2}, apart([]bool{true, true}))),
		"found 0 of one class and 0 of two":        second(evaluate.NewVerification(nil, nil)),
		"distance 1 is NaN, want a finite number":  second(evaluate.NewVerification([]float64{1, math.NaN()}, apart([]bool{true, false}))),
		"distance 0 is -Inf, want a finite number": second(evaluate.NewVerification([]float64{math.Inf(-1), 1}, apart([]bool{true, false}))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	v := verification(t, []float64{1, 2}, []bool{false, true})
	for _, rate := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := v.TrueAcceptRate(rate); err == nil || !strings.Contains(err.Error(), "false accept rate is") {
			t.Errorf("rate %v: got error %v", rate, err)
		}
	}
}

func TestBestThresholdAtItsEnds(t *testing.T) {
	for _, test := range []struct {
		distances []float64
		different []bool
		want      float64
	}{
		{[]float64{1, 2}, []bool{false, true}, 1.5},
		{[]float64{0, 1, 1}, []bool{true, true, false}, math.Nextafter(0, -1)}, // accept none
		{[]float64{0, 1, 1, 1}, []bool{false, true, false, false}, 1},          // accept all
		{[]float64{1, 2, 3, 4}, []bool{false, true, false, true}, 1.5},         // 1.5 and 3.5 are as good
		{[]float64{-math.MaxFloat64, math.MaxFloat64}, []bool{false, true}, 0},
		{[]float64{1, math.Nextafter(1, 2)}, []bool{false, true}, 1}, // nothing lies between
		{[]float64{0, math.SmallestNonzeroFloat64}, []bool{false, true}, 0},
	} {
		v := verification(t, test.distances, test.different)
		if got := v.BestThreshold(); got != test.want {
			t.Errorf("%v: got %v, want %v", test.distances, got, test.want)
		}
	}
}

// No threshold at all, below, at, between and above the distances, is better.
func TestBestThresholdIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		distances, different := drawPairs(t)
		v := verification(t, distances, different)
		best := v.BestThreshold()
		accuracyAt := func(threshold float64) float64 { // without the interval of AccuracyAt
			correct := 0
			for i, d := range distances {
				if (d > threshold) == different[i] {
					correct++
				}
			}
			return float64(correct) / float64(len(distances))
		}
		accuracy := v.AccuracyAt(best).Value
		if accuracy != accuracyAt(best) {
			t.Errorf("accuracy is %v at %v, want %v", accuracy, best, accuracyAt(best))
		}
		for twelfths := -24; twelfths <= 48; twelfths++ {
			if other := accuracyAt(float64(twelfths) / 12); other > accuracy {
				t.Errorf("accuracy is %v at %v and %v at %v", accuracy, best, other, float64(twelfths)/12)
			}
		}
		if slices.Contains(distances, best) && best != slices.Max(distances) {
			t.Errorf("the threshold %v lies on a distance", best)
		}
	})
}

// Four points on a line: the pairs of one class are at 1 and 3, that of two at
// 2, so that one of the two is closer.
func TestVerifyByHand(t *testing.T) {
	points, err := evaluate.NewEmbeddings(4, 1, []float32{0, 1, 4, 6})
	if err != nil {
		t.Fatal(err)
	}
	pairs := []evaluate.Pair{{Left: 0, Right: 1}, {Left: 1, Right: 2}, {Left: 3, Right: 2, Different: true}}
	verification, err := evaluate.Verify(euclidean, points, pairs)
	if err != nil {
		t.Fatal(err)
	}
	if found := verification.AUC().Value; math.Abs(found-0.5) > 1e-12 {
		t.Errorf("AUC: found %v, expected 0.5", found)
	}
	for _, image := range []int{-1, 4} {
		_, err := evaluate.Verify(euclidean, points, append(pairs, evaluate.Pair{Left: 2, Right: image}))
		if err == nil || !strings.Contains(err.Error(), "pair 3 is of the images 2 and") {
			t.Errorf("image %d of 4: found error %v", image, err)
		}
	}
}

// The distances of a collection in which images differ: an image's own part, of
// standard deviation own, is in the distances of all of its pairs, and each pair
// has a part of its own, of standard deviation pairOwn. Pairs of two classes are
// farther apart by shift.
const own, pairOwn, shift = 1.0, 0.25, 2.5

// collection draws images of classes and all of their pairs, or, if there is a
// number of them, as many at random.
func collection(seed uint64, experiment, classes, images, some int) (distances []float64, pairs []evaluate.Pair) {
	chance := random.New(seed, "collection", experiment)
	n := classes * images
	part := make([]float64, n)
	for i := range part {
		part[i] = own * chance.NormFloat64()
	}
	add := func(i, j int) {
		pair := evaluate.Pair{Left: i, Right: j, Different: i/images != j/images}
		d := part[i] + part[j] + pairOwn*chance.NormFloat64()
		if pair.Different {
			d += shift
		}
		distances, pairs = append(distances, d), append(pairs, pair)
	}
	if some == 0 {
		for i := range n {
			for j := range i {
				add(i, j)
			}
		}
	}
	for k := range some {
		i := chance.IntN(n)
		j := chance.IntN(n)
		if k%2 == 0 { // of one class
			j = i/images*images + chance.IntN(images)
		}
		if i != j {
			add(i, j)
		}
	}
	return distances, pairs
}

// What the measures would be over all images that there could be: distances are
// normal, of variance 2·own² + pairOwn².
func truths() (auc, equalError, accuracy, accepted float64) {
	sigma := math.Sqrt(2*own*own + pairOwn*pairOwn)
	phi := distuv.UnitNormal.CDF
	return phi(shift / sigma / math.Sqrt2), phi(-shift / 2 / sigma), phi(shift / 2 / sigma),
		phi(shift/sigma + distuv.UnitNormal.Quantile(0.1))
}

// Of intervals from pairs that share images about 95 in 100 hold the truth. Of those
// that take the pairs for independent, as if each had images of its own, far fewer do.
func TestIntervalsOfSharedImagesCover(t *testing.T) {
	if testing.Short() {
		t.Skip("many bootstraps, which show nothing of races")
	}
	const experiments, classes, images = 60, 6, 6
	long := testutil.Long() // with all measures
	auc, equalError, accuracy, accepted := truths()
	held := map[string]int{}
	count := func(what string, m evaluate.Estimate, truth float64) {
		if m.Low <= truth && truth <= m.High {
			held[what]++
		}
	}
	for experiment := range experiments {
		distances, pairs := collection(1, experiment, classes, images, 0)
		others, _ := collection(2, experiment, classes, images, 0) // another method, as good in truth
		different := make([]bool, len(pairs))
		for i, pair := range pairs {
			different[i] = pair.Different
		}
		v, other := must(evaluate.NewVerification(distances, pairs))(t), must(evaluate.NewVerification(others, pairs))(t)
		count("AUC", v.AUC(), auc)
		count("accuracy", v.AccuracyAt(shift/2), accuracy) // a threshold at which as many of either kind are right
		if long {
			count("equal error rate", v.EqualErrorRate(), equalError)
			count("true accept rate", must(v.TrueAcceptRate(0.1))(t), accepted)
			count("difference of AUC", must(evaluate.AUCDifference(v, other))(t), 0)
			count("difference of accuracy", must(evaluate.AccuracyDifference(v, shift/2, other, shift/2))(t), 0)
		}
		independent := verification(t, distances, different)
		count("AUC of independent pairs", independent.AUC(), auc)
		count("accuracy of independent pairs", independent.AccuracyAt(shift/2), accuracy)
	}
	t.Logf("of %d intervals there hold the truth: %v", experiments, held)
	for what, times := range held {
		share := float64(times) / experiments
		switch {
		case strings.HasSuffix(what, "independent pairs"):
			if share > 0.8 {
				t.Errorf("%s: %d of %d intervals hold the truth, expected far fewer: the images have no effect here", what, times, experiments)
			}
		case share < 0.88:
			t.Errorf("%s: %d of %d intervals hold the truth, expected about 95 %%", what, times, experiments)
		}
	}
}

// Intervals of pairs that share no image are those of independent pairs, neither
// wider nor narrower: of a share of n the width is 2·1.96·√(p(1−p)/n).
func TestIntervalsOfPairsApart(t *testing.T) {
	different := make([]bool, 1000)
	distances := make([]float64, len(different))
	for i := range different {
		different[i] = i%2 == 1
		if i%10 < 2 { // a fifth of either kind is wrong
			distances[i] = 1
		}
		if different[i] {
			distances[i] = 1 - distances[i]
		}
	}
	v := verification(t, distances, different)
	want := 2 * 1.96 * math.Sqrt(0.2*0.8/float64(len(different)))
	if got := width(v.AccuracyAt(0.5)); math.Abs(got/want-1) > 0.1 {
		t.Errorf("the interval of the accuracy is %.4f wide, expected %.4f", got, want)
	}
	rate := must(v.TrueAcceptRate(0.5))(t)
	if got := width(rate); math.Abs(got/(want*math.Sqrt2)-1) > 0.1 {
		t.Errorf("the interval of the true accept rate %v is %.4f wide, expected %.4f", rate, got, want*math.Sqrt2)
	}
}

// A pair that comes twice, one the other way round and one of an image with itself
// share what they share; and what the images are called is nothing to it.
func TestNamesOfImagesDoNotMatter(t *testing.T) {
	distances := []float64{1, 3, 2, 4, 2, 0, 5}
	pairs := []evaluate.Pair{
		{Left: 0, Right: 1}, {Left: 1, Right: 0}, {Left: 2, Right: 3}, {Left: 0, Right: 2, Different: true},
		{Left: 1, Right: 3, Different: true}, {Left: 3, Right: 3}, {Left: 4, Right: 5, Different: true},
	}
	renamed := make([]evaluate.Pair, len(pairs))
	for i, pair := range pairs {
		renamed[i] = evaluate.Pair{Left: -7 * pair.Left, Right: -7 * pair.Right, Different: pair.Different}
	}
	v, again := must(evaluate.NewVerification(distances, pairs))(t), must(evaluate.NewVerification(distances, renamed))(t)
	expect(t, "AUC", again.AUC(), v.AUC())
	if m := v.AUC(); !(m.Low < m.Value && m.Value < m.High) {
		t.Errorf("AUC is %v, expected an interval about it", m)
	}
	if _, err := evaluate.AUCDifference(v, again); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("other images: got error %v", err)
	}
	if _, err := evaluate.AccuracyDifference(v, 1, again, 1); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("other images: got error %v", err)
	}
}

// A few pairs of few images have intervals, too, though many a replicate has no
// pair of one of the two kinds.
func TestIntervalOfFourImages(t *testing.T) {
	v := must(evaluate.NewVerification([]float64{1, 2, 1.5}, []evaluate.Pair{
		{Left: 0, Right: 1}, {Left: 0, Right: 2, Different: true}, {Left: 1, Right: 3, Different: true},
	}))(t)
	for _, m := range []evaluate.Estimate{v.AUC(), v.EqualErrorRate(), v.AccuracyAt(1.2)} {
		if math.IsNaN(m.Low) || math.IsNaN(m.High) || math.IsNaN(m.StandardError) || m.Low > m.Value || m.High < m.Value {
			t.Errorf("found %v", m)
		}
	}
}

// Episodes that are drawn from a few images ask about each again and again.
// Intervals that resample these images hold the truth as often as they should, or
// nearly; those that resample episodes far less often.
func TestOneShotIntervalsOfFewImagesCover(t *testing.T) {
	const experiments, classes, images, episodes, dimensions = 80, 10, 10, 60, 4
	centers := normal(1, classes, dimensions)
	var byImages, byEpisodes []evaluate.Estimate
	var truth float64 // the mean over all experiments is far nearer to it than one of them
	for experiment := range experiments {
		chance := random.New(3, "one-shot", experiment)
		embeddings := evaluate.Embeddings{Rows: classes * images, Columns: dimensions}
		for i := range embeddings.Rows {
			for j := range dimensions {
				embeddings.Data = append(embeddings.Data, 2*centers.Row(i / images)[j]+float32(chance.NormFloat64()))
			}
		}
		var trials []evaluate.Trial
		var groups []int
		for episode := range episodes {
			support, queries := make([][]int, classes), make([]int, classes)
			for class := range classes {
				two := chance.Perm(images)[:2]
				support[class], queries[class] = []int{class*images + two[0]}, class*images+two[1]
			}
			for class, query := range queries {
				trials, groups = append(trials, evaluate.Trial{Support: support, Query: query, Answer: class}), append(groups, episode)
			}
		}
		score := must(evaluate.OneShot(euclidean, embeddings, trials, evaluate.MeanDistance))(t)
		byImages, byEpisodes = append(byImages, score.Estimate), append(byEpisodes, must(score.Clustered(groups))(t))
		truth += score.Value / experiments
	}
	held := func(measures []evaluate.Estimate) (count int) {
		for _, m := range measures {
			if m.Low <= truth && truth <= m.High {
				count++
			}
		}
		return count
	}
	t.Logf("of %d intervals there hold the truth %d by images and %d by episodes", experiments, held(byImages), held(byEpisodes))
	if held(byImages) < 0.85*experiments {
		t.Errorf("by images %d of %d intervals hold the truth, expected about 95 %%", held(byImages), experiments)
	}
	if held(byEpisodes) > 0.8*experiments {
		t.Errorf("by episodes %d of %d intervals hold the truth, expected far fewer: the images have no effect here", held(byEpisodes), experiments)
	}
}

// The interval of a share of all pairs of some images holds the truth, too, though
// it knows only each image's counts. Wilson's of as many pairs does not.
func TestWilsonOfPairsCovers(t *testing.T) {
	const experiments = 200
	_, _, accuracy, _ := truths() // of pairs of one class at shift/2: as many of these are accepted
	held, independent := 0, 0
	for experiment := range experiments {
		distances, pairs := collection(4, experiment, 2, 25, 0)
		accepted, all := make([]int, 50), make([]int, 50)
		same, successes := 0, 0
		for i, pair := range pairs {
			if pair.Different {
				continue
			}
			same++
			for _, image := range []int{pair.Left, pair.Right} {
				all[image]++
				if distances[i] <= shift/2 {
					accepted[image]++
				}
			}
			if distances[i] <= shift/2 {
				successes++
			}
		}
		m := must(evaluate.WilsonOfPairs(accepted, all))(t)
		expect(t, "share", m.Value, float64(successes)/float64(same), rounding)
		if m.Low <= accuracy && accuracy <= m.High {
			held++
		}
		if m := evaluate.Wilson(float64(successes), same); m.Low <= accuracy && accuracy <= m.High {
			independent++
		}
	}
	t.Logf("of %d intervals there hold the truth %d, of independent pairs %d", experiments, held, independent)
	if held < 0.9*experiments || independent > 0.7*experiments {
		t.Errorf("of %d intervals there hold the truth %d, expected about 95 %%, and of independent pairs %d, expected far fewer", experiments, held, independent)
	}
}

// Pairs that share no image are independent; of those that are all alike there are
// as many as two images each make.
func TestWilsonOfPairsAtItsEnds(t *testing.T) {
	var accepted, pairs []int
	for i := range 40 { // 20 pairs, of which 15 are accepted
		pairs = append(pairs, 1)
		accepted = append(accepted, min(1, i/10))
	}
	expect(t, "apart", must(evaluate.WilsonOfPairs(accepted, pairs))(t), evaluate.Wilson(15, 20), rounding)
	expect(t, "none of six pairs of four images", must(evaluate.WilsonOfPairs([]int{0, 0, 0, 0}, []int{3, 3, 3, 3}))(t), evaluate.Wilson(0, 2))
	expect(t, "all of them", must(evaluate.WilsonOfPairs([]int{3, 3, 3, 3}, []int{3, 3, 3, 3}))(t), evaluate.Wilson(2, 2))
	expect(t, "no pairs", must(evaluate.WilsonOfPairs([]int{0}, []int{0}))(t), evaluate.Wilson(0, 0), cmpopts.EquateNaNs())
	for want, err := range map[string]error{
		"counts of 2 images and of 1": second(evaluate.WilsonOfPairs([]int{0, 0}, []int{1})),
		"image 1: found 2 accepted":   second(evaluate.WilsonOfPairs([]int{1, 2}, []int{1, 1})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A Verification that NewVerification did not make has no figures, and says so.
func TestVerificationOfNothing(t *testing.T) {
	for name, v := range map[string]*evaluate.Verification{"nil": nil, "zero": {}} {
		for figure, found := range map[string]float64{
			"AreaUnderCurve": v.AreaUnderCurve(), "AUC": v.AUC().Value, "EqualErrorRate": v.EqualErrorRate().Low,
			"BestThreshold": v.BestThreshold(), "AccuracyAt": v.AccuracyAt(1).High,
		} {
			if !math.IsNaN(found) {
				t.Errorf("%s: %s is %v, expected NaN", name, figure, found)
			}
		}
		if len(v.Distances()) != 0 || len(v.ROC()) != 0 {
			t.Errorf("%s: found distances %v and the curve %v", name, v.Distances(), v.ROC())
		}
		if _, err := v.TrueAcceptRate(0.1); err == nil || !strings.Contains(err.Error(), "the verification has no pairs") {
			t.Errorf("%s: found error %v", name, err)
		}
	}
}
