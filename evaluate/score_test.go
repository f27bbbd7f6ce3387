package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
)

func width(m evaluate.Measure) float64 { return m.High - m.Low }

func TestDifferenceByHand(t *testing.T) {
	a := evaluate.Score{Trials: []float64{1, 1, 0, 1}}
	b := evaluate.Score{Trials: []float64{0.5, 0.5, -0.5, 0.5}} // half less at every trial
	expect(t, "a constant difference", must(evaluate.Difference(a, b, nil))(t), evaluate.Measure{Value: 0.5, Low: 0.5, High: 0.5})
	expect(t, "from itself", must(evaluate.Difference(a, a, nil))(t), evaluate.Measure{})

	// One trial of four differs, by 1; a resample has it 0 to 4 times, and with
	// probability (3/4)⁴ = 0.316 never and with 0.004 always.
	c := evaluate.Score{Trials: []float64{1, 1, 0, 0}}
	expect(t, "one trial", must(evaluate.Difference(a, c, nil))(t), evaluate.Measure{Value: 0.25, Low: 0, High: 0.75}, ignoreError)
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
	expect(t, "measure", got, evaluate.Measure{Value: 0.75, Low: 0, High: 1}, ignoreError)
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
