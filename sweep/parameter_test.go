package sweep

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/run"
)

// By hand: s is the number of divisions after which a trial is left and epochs still differ.
func TestRungs(t *testing.T) {
	for _, test := range []struct {
		trials, epochs, eta, least int
		want                       []Rung
	}{
		{81, 81, 3, 1, []Rung{{81, 1}, {27, 3}, {9, 9}, {3, 27}, {1, 81}}}, // Li et al. 2018, table 1, s = 4
		{20, 7, 3, 1, []Rung{{20, 1}, {6, 3}, {2, 7}}},                     // ⌈7/9⌉, ⌈7/3⌉
		{20, 7, 3, 4, []Rung{{20, 4}, {6, 7}}},
		{20, 7, 3, 7, []Rung{{20, 7}}},
		{6, 3, 3, 1, []Rung{{6, 1}, {2, 3}}}, // ⌈3/9⌉ = ⌈3/3⌉
		{2, 100, 3, 1, []Rung{{2, 100}}},     // a third of two trials is none
		{1, 1, 2, 1, []Rung{{1, 1}}},
		{16, 10, 2, 2, []Rung{{16, 2}, {8, 3}, {4, 5}, {2, 10}}}, // ⌈10/8⌉ = 2, ⌈10/4⌉, and ⌈10/16⌉ is below 2
	} {
		found, err := Rungs(test.trials, test.epochs, test.eta, test.least)
		if err != nil || !slices.Equal(found, test.want) {
			t.Errorf("%d trials, %d epochs, eta %d, least %d: found %v, %v, expected %v", test.trials, test.epochs, test.eta, test.least, found, err, test.want)
		}
	}
	for want, numbers := range map[string][4]int{
		"--trials: found 0": {0, 1, 2, 1}, "--epochs: found 0": {1, 0, 2, 1}, "--eta: found 1": {1, 1, 1, 1},
		"--min-epochs: found 0, expected 1 to 5": {1, 5, 2, 0}, "--min-epochs: found 6": {1, 5, 2, 6},
	} {
		if _, err := Rungs(numbers[0], numbers[1], numbers[2], numbers[3]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: found %v, expected %q", numbers, err, want)
		}
	}
}

func TestPromotedAreTheBest(t *testing.T) {
	value := func(v float64) *float64 { return &v }
	trials := []*Trial{
		{Number: 1, Validation: value(0.5)}, {Number: 2, Validation: value(0.9), Failed: "collapsed"}, {Number: 3, Validation: value(0.7)},
		{Number: 4, Validation: value(0.7)}, {Number: 5, Failed: "diverged"},
	}
	numbers := func(trials []*Trial) (n []int) {
		for _, trial := range trials {
			n = append(n, trial.Number)
		}
		return n
	}
	// Of equal trials 3 and 4 the first; failed ones never, whatever their validation.
	for count, want := range [][]int{{}, {3}, {3, 4}, {1, 3, 4}, {1, 3, 4}, {1, 3, 4}} {
		if found := numbers(promoted(trials, count)); !slices.Equal(found, want) {
			t.Errorf("best %d: found %v, expected %v", count, found, want)
		}
	}
	rank(trials)
	if found := numbers(trials); !slices.Equal(found, []int{3, 4, 1, 2, 5}) {
		t.Errorf("ranked: found %v", found)
	}
}

func parameter(t *testing.T, text string) Parameter {
	t.Helper()
	p, err := ParseParameter(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Values at given points of the unit interval, by hand.
func TestValues(t *testing.T) {
	for _, test := range []struct {
		over string
		u    float64
		want string
	}{
		{"objective=triplet,n-pair,circle", 0, "triplet"}, {"objective=triplet,n-pair,circle", 0.34, "n-pair"}, {"objective=triplet,n-pair,circle", 0.999999, "circle"},
		{"learning-rate=1e-4..1e-2", 0, "0.0001"}, {"learning-rate=1e-4..1e-2", 0.5, "0.001"}, // the geometric mean
		{"learning-rate=1e-4..1e-2", 0.25, "0.0003162"}, // 10^-3.5
		{"margin=0.1..0.5", 0.5, "0.3"}, {"margin=0.1..0.5", 0.123456, "0.1494"},
		{"margin=0.10001..0.5", 0, "0.10001"},                                          // rounding does not leave the range
		{"batch=1..3", 0.49, "1"}, {"batch=1..3", 0.51, "2"}, {"batch=1..3", 0.8, "3"}, // ln 2/ln 4 = 0.5, ln 3/ln 4 = 0.79
		{"patience=1..4", 0.24, "1"}, {"patience=1..4", 0.26, "2"}, {"patience=1..4", 0.99, "4"},
		{"normalize=true,false", 0.6, "false"},
	} {
		if found := parameter(t, test.over).value(test.u); found != test.want {
			t.Errorf("%s at %v: found %s, expected %s", test.over, test.u, found, test.want)
		}
	}
}

// The values of the trials of a search have the distributions of their parameters: the largest
// difference of the distribution functions (Kolmogorov) of 100 values is below 1.95/√100 in 99.9 %
// of all seeds; choices are within 3.3 standard deviations of a binomial distribution.
func TestDistributionOfTrials(t *testing.T) {
	const n = 100
	s := Search{
		Settings: run.Settings{Data: "mnist", Seed: 1}, Trials: n, Given: map[string]bool{"data": true, "seed": true},
		Parameters: []Parameter{parameter(t, "learning-rate=1e-5..1e-1"), parameter(t, "margin=0..2"), parameter(t, "objective=contrastive,triplet")},
	}
	trials, err := s.draw()
	if err != nil {
		t.Fatal(err)
	}
	var rates, margins []float64
	triplets := 0
	for _, trial := range trials {
		rate, _ := strconv.ParseFloat(trial.Values["learning_rate"], 64)
		margin, _ := strconv.ParseFloat(trial.Values["margin"], 64)
		rates, margins = append(rates, (math.Log10(rate)+5)/4), append(margins, margin/2)
		if trial.Values["objective"] == "triplet" {
			triplets++
		}
		if trial.settings.LearningRate != rate || trial.settings.Margin != margin || trial.settings.Objective != trial.Values["objective"] {
			t.Fatalf("%v has other settings: %v, %v, %v", trial, trial.settings.LearningRate, trial.settings.Margin, trial.settings.Objective)
		}
	}
	for name, values := range map[string][]float64{"learning rates": rates, "margins": margins} {
		slices.Sort(values)
		largest := 0.0
		for i, v := range values {
			largest = max(largest, math.Abs(v-float64(i)/n), math.Abs(v-float64(i+1)/n))
		}
		if largest > 1.95/math.Sqrt(n) {
			t.Errorf("%s: the distribution function differs by %v", name, largest)
		}
	}
	if math.Abs(float64(triplets)-n/2) > 3.3*math.Sqrt(n)/2 {
		t.Errorf("found %d of %d trials with triplet", triplets, n)
	}
	// Neither the order of the parameters nor the number of trials changes a trial.
	slices.Reverse(s.Parameters)
	s.Trials = 10
	again, err := s.draw()
	if err != nil {
		t.Fatal(err)
	}
	for i := range again {
		if !maps.Equal(again[i].Values, trials[i].Values) {
			t.Errorf("%v is %v in another order", trials[i], again[i])
		}
	}
}

// Options that have no effect are left out, combinations that cannot be trained are not drawn, and
// no trial is drawn twice.
func TestDrawnCombinations(t *testing.T) {
	search := func(trials int, over ...string) Search {
		s := Search{Settings: run.Settings{Data: "mnist", Seed: 3}, Trials: trials, Given: map[string]bool{"data": true, "seed": true}}
		for _, text := range over {
			s.Parameters = append(s.Parameters, parameter(t, text))
		}
		return s
	}
	all := func(s Search) (texts []string) {
		trials, err := s.draw()
		if err != nil {
			t.Fatal(err)
		}
		for _, trial := range trials {
			texts = append(texts, textOf(trial.Values))
		}
		slices.Sort(texts)
		return texts
	}
	for _, test := range []struct {
		search Search
		want   []string
	}{
		{search(3, "objective=contrastive,n-pair", "temperature=0.1,0.2"), []string{"objective=contrastive", "objective=n-pair, temperature=0.1", "objective=n-pair, temperature=0.2"}},
		{search(3, "objective=circle,n-pair", "head=l2,cosine"), []string{"head=cosine, objective=circle", "head=cosine, objective=n-pair", "head=l2, objective=n-pair"}},
		{search(3, "solver=sgd,adam", "momentum=0.5,0.9"), []string{"momentum=0.5, solver=sgd", "momentum=0.9, solver=sgd", "solver=adam"}},
		{search(3, "objective=triplet,batch-hard", "images-per-class=2,4"), []string{"images-per-class=2, objective=batch-hard", "images-per-class=4, objective=batch-hard", "objective=triplet"}},
		{search(3, "objective=triplet,arcface", "loss-rate=10,20"), []string{"loss-rate=10, objective=arcface", "loss-rate=20, objective=arcface", "objective=triplet"}},
		{search(3, "schedule=constant,step", "decay-epochs=2,4", "decay=0.5,0.9"), nil},
	} {
		if test.want == nil { // a step schedule needs both options, which all trials with it have
			for _, text := range all(test.search) {
				if text != "schedule=constant" && strings.Count(text, "=") != 3 {
					t.Errorf("found %s", text)
				}
			}
			continue
		}
		if found := all(test.search); !reflect.DeepEqual(found, test.want) {
			t.Errorf("%v: found %q, expected %q", test.search.Parameters, found, test.want)
		}
	}
	for want, s := range map[string]Search{
		"--trials: found 4, but --over has only 3 different combinations": search(4, "objective=contrastive,n-pair", "temperature=0.1,0.2"),
		"--over momentum=0.5,0.9: no trial has this setting":              search(2, "solver=adam,adamw", "momentum=0.5,0.9"),
		"--over: no combination can be trained":                           search(1, "objective=circle,arcface", "head=l1,l2"),
	} {
		if _, err := s.draw(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
}

func TestParametersThatCannotBeSearched(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "expected a setting with choices",
		"margin":                     "expected a setting with choices",
		"margin=":                    "expected a setting with choices",
		"learnin-rate=1..2":          "did you mean learning-rate?",
		"zzz=1..2":                   "there is no setting zzz",
		"margin=1":                   "found one value, expected several: set it by --margin 1",
		"margin=1,1":                 `found "1" twice`,
		"margin=1,x":                 `--margin: found "x", expected a number`,
		"margin=-1,1":                "found -1, expected numbers from 0",
		"margin=1..x":                `found the range "1..x", expected two numbers`,
		"margin=2..1":                "the smaller one first",
		"margin=1..Inf":              "two finite numbers",
		"margin=NaN..1":              "two finite numbers",
		"hue=0.1..0.6":               "expected numbers from 0 to 0.5",
		"learning-rate=0..1":         "expected numbers above 0",
		"batch=1.5..3":               "expected whole numbers",
		"batch=1.5,3":                `--batch: found "1.5", expected a whole number`,
		"normalize=true,perhaps":     `--normalize: found "perhaps", expected true or false`,
		"objective=triplet,triplett": "triplett",
		"freeze=conv1,conv2":         "is a list",
		"epochs=1..5":                "--epochs determines the length of a training",
		"seed=1,2":                   "--seed determines the random numbers only",
		"data=a,b":                   "--data determines the data",
		"head=l1..l2":                "found one value",
	} {
		if _, err := ParseParameter(text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--over "+text) {
			t.Errorf("%q: found %v, expected %q", text, err, want)
		}
	}
	for _, key := range run.Keys() { // no setting panics
		for _, values := range []string{"1..2", "a,b", "true,false"} {
			if p, err := ParseParameter(run.FlagName(key) + "=" + values); err == nil {
				if again, err := ParseParameter(p.String()); err != nil || !reflect.DeepEqual(p, again) {
					t.Errorf("%v is read as %v, %v", p, again, err)
				}
			}
		}
	}
}

func ExampleParseParameter() {
	for _, text := range []string{"learning-rate=1e-4..1e-2", "margin=0.1..1", "objective=triplet,n-pair"} {
		p, err := ParseParameter(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p, p.Log)
	}
	_, err := ParseParameter("learning-rate=0..1e-2")
	fmt.Println(err)
	// Output:
	// learning-rate=0.0001..0.01 true
	// margin=0.1..1 false
	// objective=triplet,n-pair false
	// --over learning-rate=0..1e-2: found the range 0..0.01, expected numbers above 0, because their logarithm is drawn
}
