package evaluate_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// The intervals are those of Newcombe 1998, "Two-sided confidence intervals for
// the single proportion", table I, method 3.
func TestWilsonEqualsTheTable(t *testing.T) {
	for _, test := range []struct {
		successes, trials int
		low, high         float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
	} {
		got := evaluate.Wilson(float64(test.successes), test.trials)
		want := evaluate.Measure{Value: float64(test.successes) / float64(test.trials), Low: test.low, High: test.high}
		expect(t, fmt.Sprintf("%d of %d", test.successes, test.trials), got, want, cmpopts.EquateApprox(0, 5e-5), ignoreError)

		failures := evaluate.Wilson(float64(test.trials-test.successes), test.trials)
		mirrored := evaluate.Measure{Value: 1 - got.Value, Low: 1 - got.High, High: 1 - got.Low, StandardError: got.StandardError}
		expect(t, "the failures", failures, mirrored, rounding)
	}
}

func TestWilsonOfNoTrialsSaysNothing(t *testing.T) {
	expect(t, "no trials", evaluate.Wilson(0, 0), evaluate.Measure{Value: math.NaN(), Low: 0, High: 1, StandardError: math.NaN()}, cmpopts.EquateNaNs())
}

func TestWilsonHoldsItsValueWithinZeroAndOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trials := rapid.IntRange(1, 1_000_000).Draw(t, "trials")
		m := evaluate.Wilson(rapid.Float64Range(0, float64(trials)).Draw(t, "successes"), trials)
		if !(0 <= m.Low && m.Low <= m.Value && m.Value <= m.High && m.High <= 1) {
			t.Error(m)
		}
	})
}

// The coverage is exact: the probability of all outcomes of 100 trials whose
// interval holds the truth. It swings about 0.95, as outcomes are whole numbers.
func TestWilsonCovers(t *testing.T) {
	var mean float64
	truths := []float64{0.02, 0.1, 0.25, 0.5, 0.6, 0.83, 0.95, 0.99}
	for _, truth := range truths {
		outcomes := distuv.Binomial{N: 100, P: truth}
		var coverage float64
		for successes := range 101 {
			if m := evaluate.Wilson(float64(successes), 100); m.Low <= truth && truth <= m.High {
				coverage += outcomes.Prob(float64(successes))
			}
		}
		if coverage < 0.91 || coverage > 0.99 {
			t.Errorf("truth %v is covered with probability %.3f", truth, coverage)
		}
		mean += coverage / float64(len(truths))
	}
	if math.Abs(mean-0.95) > 0.01 {
		t.Errorf("coverage is %.3f in the mean, want 0.95", mean)
	}
}

// Of 200 bootstrapped intervals 0.95 should hold the truth, give or take 0.015;
// percentile intervals of 40 trials are a little narrow.
func TestBootstrapCovers(t *testing.T) {
	held := 0
	for experiment := range 200 {
		chance := random.New(3, "experiment", experiment)
		a, b := make([]float64, 40), make([]float64, 40)
		for i := range a {
			a[i], b[i] = math.Sqrt(chance.Float64()), chance.Float64() // means 2/3 and 1/2
		}
		if m := must(evaluate.Difference(evaluate.Score{Trials: a}, evaluate.Score{Trials: b}, nil))(t); m.Low <= 1.0/6 && 1.0/6 <= m.High {
			held++
		}
	}
	if held < 178 || held > 199 {
		t.Errorf("%d of 200 intervals hold the truth, want about 190", held)
	}
}

func TestMeasurePrints(t *testing.T) {
	expect(t, "92 of 100", evaluate.Wilson(92, 100).String(), "0.9200 [0.8500, 0.9589]")
}
