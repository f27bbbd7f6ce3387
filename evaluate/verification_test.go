package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
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
	expect(t, "AUC", perfect.AUC(), evaluate.Measure{Value: 1, Low: 1, High: 1})
	expect(t, "equal error rate", perfect.EqualErrorRate(), evaluate.Measure{})
	expect(t, "true accept rate", must(perfect.TrueAcceptRate(0))(t), evaluate.Measure{Value: 1, Low: 1, High: 1})

	inverted := verification(t, []float64{4, -3, 2, -1}, different)
	expect(t, "inverted AUC", inverted.AUC(), evaluate.Measure{})
	expect(t, "inverted equal error rate", inverted.EqualErrorRate(), evaluate.Measure{Value: 1, Low: 1, High: 1})

	constant := verification(t, []float64{7, 7, 7, 7}, different)
	half := evaluate.Measure{Value: 0.5, Low: 0.5, High: 0.5}
	expect(t, "constant AUC", constant.AUC(), half)
	expect(t, "constant equal error rate", constant.EqualErrorRate(), half)
	expect(t, "constant true accept rate", must(constant.TrueAcceptRate(0.99))(t), evaluate.Measure{})
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
		got  evaluate.Measure
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
	expect(t, "from itself", must(evaluate.AUCDifference(a, a))(t), evaluate.Measure{})

	got := must(evaluate.AUCDifference(a, b))(t)
	expect(t, "value", got.Value, a.AUC().Value-b.AUC().Value, rounding)
	if got.Low <= 0 || width(got) > width(a.AUC())/4 {
		t.Errorf("the difference is %v, want one that is surely positive: every pair agrees", got)
	}
	back := must(evaluate.AUCDifference(b, a))(t)
	expect(t, "the other way", evaluate.Measure{Value: -back.Value, Low: -back.High, High: -back.Low, StandardError: back.StandardError}, got, rounding)

	other := verification(t, []float64{1, 2, 3}, []bool{true, false, true})
	if _, err := evaluate.AUCDifference(a, other); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("got error %v", err)
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
