package evaluate_test

import (
	"fmt"
	"math"
	"strings"
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
		want := evaluate.Estimate{Value: float64(test.successes) / float64(test.trials), Low: test.low, High: test.high}
		expect(t, fmt.Sprintf("%d of %d", test.successes, test.trials), got, want, cmpopts.EquateApprox(0, 5e-5), ignoreError)

		failures := evaluate.Wilson(float64(test.trials-test.successes), test.trials)
		mirrored := evaluate.Estimate{Value: 1 - got.Value, Low: 1 - got.High, High: 1 - got.Low, StandardError: got.StandardError}
		expect(t, "the failures", failures, mirrored, rounding)
	}
}

func TestWilsonOfNoTrialsSaysNothing(t *testing.T) {
	expect(t, "no trials", evaluate.Wilson(0, 0), evaluate.Estimate{Value: math.NaN(), Low: 0, High: 1, StandardError: math.NaN()}, cmpopts.EquateNaNs())
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

func width(m evaluate.Estimate) float64 { return m.High - m.Low }

func TestDifferenceByHand(t *testing.T) {
	a := evaluate.Score{Trials: []float64{1, 1, 0, 1}}
	b := evaluate.Score{Trials: []float64{0.5, 0.5, -0.5, 0.5}} // half less at every trial
	expect(t, "a constant difference", must(evaluate.Difference(a, b, nil))(t), evaluate.Estimate{Value: 0.5, Low: 0.5, High: 0.5})
	expect(t, "from itself", must(evaluate.Difference(a, a, nil))(t), evaluate.Estimate{})

	// One trial of four differs, by 1; a resample has it 0 to 4 times, and with
	// probability (3/4)⁴ = 0.316 never and with 0.004 always.
	c := evaluate.Score{Trials: []float64{1, 1, 0, 0}}
	expect(t, "one trial", must(evaluate.Difference(a, c, nil))(t), evaluate.Estimate{Value: 0.25, Low: 0, High: 0.75}, ignoreError)
}

// The bootstrap's interval of a mean is ±1.96 standard errors, nearly.
func TestDifferenceIsPaired(t *testing.T) {
	const n = 2000
	a, b, none := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		chance := random.New(5, "trial", i)
		difficulty := chance.Float64()
		a[i], b[i] = difficulty, difficulty+0.1*chance.Float64()
	}
	alone := must(evaluate.Difference(evaluate.Score{Trials: a}, evaluate.Score{Trials: none}, nil))(t)
	if want := 2 * 1.96 * math.Sqrt(1.0/12/n); math.Abs(width(alone)/want-1) > 0.1 {
		t.Errorf("the interval of a uniform variable's mean is %v wide, want %v", width(alone), want)
	}
	paired := must(evaluate.Difference(evaluate.Score{Trials: b}, evaluate.Score{Trials: a}, nil))(t)
	if want := 2 * 1.96 * 0.1 * math.Sqrt(1.0/12/n); math.Abs(width(paired)/want-1) > 0.1 {
		t.Errorf("the interval of the difference is %v wide, want %v: what both have in common must cancel", width(paired), want)
	}
}

func TestClusteredResamplesWholeGroups(t *testing.T) {
	var score evaluate.Score
	var one, five, self []int
	for i := range 1000 {
		outcome := float64(random.New(6, "group", i/5).IntN(2)) // five trials that always agree
		score.Trials = append(score.Trials, outcome)
		score.Value += outcome / 1000
		one, five, self = append(one, 7), append(five, -i/5), append(self, 1000-i)
	}
	grouped, alone := must(score.Clustered(five))(t), must(score.Clustered(self))(t)
	if math.Abs(grouped.Value-score.Value) > 1e-12 || grouped.Value != alone.Value {
		t.Errorf("values %v and %v, want %v", grouped.Value, alone.Value, score.Value)
	}
	// 200 independent outcomes and not 1000: √5 times the width.
	if ratio := width(grouped) / width(alone); math.Abs(ratio-math.Sqrt(5)) > 0.25 {
		t.Errorf("the interval is %v times as wide, want √5", ratio)
	}
	nothing := evaluate.Score{Trials: make([]float64, 1000)}
	expect(t, "the difference from nothing", must(evaluate.Difference(score, nothing, five))(t), grouped)

	for want, groups := range map[string][]int{"at least two": one, "1000 trials have 3 groups": {1, 2, 3}} {
		if _, err := score.Clustered(groups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
		if _, err := evaluate.Difference(score, nothing, groups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("difference: got error %v, want %q", err, want)
		}
	}
}

// Groups of different sizes: a group of three rights and one of a wrong. Of
// the four equally likely resamples the means are 1, 3/4, 3/4 and 0.
func TestClusteredWeighsGroupsBySize(t *testing.T) {
	score := evaluate.Score{Trials: []float64{1, 0, 1, 1}}
	got := must(score.Clustered([]int{4, 2, 4, 4}))(t)
	expect(t, "measure", got, evaluate.Estimate{Value: 0.75, Low: 0, High: 1}, ignoreError)
}

func TestDifferenceRefusesOtherTrials(t *testing.T) {
	three, two := evaluate.Score{Trials: make([]float64, 3)}, evaluate.Score{Trials: make([]float64, 2)}
	if _, err := evaluate.Difference(three, two, nil); err == nil || !strings.Contains(err.Error(), "3 trials and one of 2") {
		t.Errorf("got error %v", err)
	}
	if _, err := evaluate.Difference(evaluate.Score{}, evaluate.Score{}, nil); err == nil || !strings.Contains(err.Error(), "no trials") {
		t.Errorf("got error %v", err)
	}
}
