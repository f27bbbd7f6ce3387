package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/sweep"
)

// Every parameter that is searched for a loss is one that it has, and every loss with labels is
// compared.
func TestSearchSpaces(t *testing.T) {
	losses := (&comparison{}).losses()
	if len(losses) != len(objectives.Names)-3 {
		t.Errorf("found %d losses of %d, of which 3 use no labels", len(losses), len(objectives.Names))
	}
	for _, loss := range losses {
		settings, _, err := run.Configure("", run.Settings{Data: "mnist", Objective: loss}, map[string]bool{"data": true, "objective": true})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range spaceOf(loss) {
			p, err := sweep.ParseParameter(text)
			if err != nil {
				t.Errorf("%s: %v", loss, err)
				continue
			}
			if settings.Unused(p.Key) {
				t.Errorf("%s has no %s", loss, p.Key)
			}
		}
	}
}

// By hand: of 1, 2 and 3 the mean is 2 and the standard deviation 1.
func TestMeanInterval(t *testing.T) {
	mean, half := meanInterval([]float64{1, 2, 3})
	if mean != 2 || math.Abs(half-4.303/math.Sqrt(3)) > 1e-12 {
		t.Errorf("found %v ± %v", mean, half)
	}
	if mean, half := meanInterval([]float64{5}); mean != 5 || !math.IsNaN(half) {
		t.Errorf("of one value: found %v ± %v", mean, half)
	}
	if mean, _ := meanInterval(nil); !math.IsNaN(mean) {
		t.Errorf("of no value: found %v", mean)
	}
}

// A row that was not written whole is left out, and the next one begins a line of its own. Means
// are over the rows with the same budget.
func TestRows(t *testing.T) {
	c := comparison{work: t.TempDir(), seeds: 2}
	for seed, value := range []float64{0.5, 0.7} {
		if err := c.add(row{Set: "a", Method: "triplet", Variant: "searched", Seed: uint64(seed + 1), Trials: 4, Steps: 90, Seconds: 9, Search: 21, Values: map[string]float64{"MAP@R": value}}); err != nil {
			t.Fatal(err)
		}
		if seed == 0 {
			content, err := os.ReadFile(c.rowsFile())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.rowsFile(), append(content, `{"set":"a","met`...), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.add(row{Set: "a", Method: "triplet", Variant: "searched", Seed: 1, Trials: 5, Steps: 90, Values: map[string]float64{"MAP@R": 1}}); err != nil {
		t.Fatal(err)
	}
	rows, err := c.rows()
	if err != nil || len(rows) != 3 {
		t.Fatalf("found %d rows, %v", len(rows), err)
	}
	list := c.summarize(&task{name: "a", primary: "MAP@R", metrics: []string{"MAP@R"}, trials: 4, steps: 90}, rows)
	if len(list) != 1 || math.Abs(list[0].mean["MAP@R"]-0.6) > 1e-12 || list[0].train != 9 || list[0].all != 30 || list[0].perStep != 0.1 {
		t.Fatalf("found %+v", list[0])
	}
	if text := percent(list[0].mean["MAP@R"], list[0].half["MAP@R"]); !strings.HasPrefix(text, "60.00 ± 127.06") { // 12.706·0.1414/√2 = 1.2706
		t.Errorf("found %s", text)
	}
}
