package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	c := comparison{work: t.TempDir(), seeds: 2, last: time.Now()}
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

// The record has a line for each method, the best first, a failed training among them, and a chart
// of each set in both formats.
func TestComparisonRecord(t *testing.T) {
	c := comparison{out: filepath.Join(t.TempDir(), "comparison.md"), seeds: 1, commit: "abc", command: "go run ."}
	values := func(v float64) map[string]float64 { return map[string]float64{"MAP@R": v} }
	rows := []row{
		{Set: "a", Method: "frozen", Values: values(0.5), Commit: "abc"},
		{Set: "a", Method: "triplet", Variant: "defaults", Seed: 1, Steps: 90, Seconds: 1.8, Values: values(0.4), Commit: "abc"},
		{Set: "a", Method: "n-pair", Variant: "searched", Seed: 1, Steps: 90, Trials: 4, Seconds: 0.9, Search: 3, Values: values(0.6), Settings: map[string]string{"learning_rate": "0.01"}, Commit: "abc"},
		{Set: "a", Method: "circle", Variant: "defaults", Seed: 1, Steps: 90, Failed: "diverged", Commit: "abc"},
	}
	if err := c.write([]*task{{name: "a", primary: "MAP@R", metrics: []string{"MAP@R"}, trials: 4, steps: 90}}, rows, time.Minute); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.out)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "|---|")
	if want := `---|---|---|---|---|---|
| n-pair | searched | 60.00 | 10.0 | 0.9 | 4 | learning rate 0.01 |
| frozen |  | 50.00 |  | 0.0 |  |  |
| triplet | defaults | 40.00 | 20.0 | 1.8 |  |  |
| circle | defaults, 1 of 1 failed | – |  | 0.0 |  |  |
`; !strings.HasPrefix(table, want) {
		t.Errorf("found the table\n%s", table)
	}
	for _, want := range []string{"Not measured, searched: angular, arcface,", "Fewer than 2 seeds, defaults: circle (1), triplet (1)."} {
		c.seeds = 2
		if missing := c.missing([]*measured{{method: "triplet", variant: "defaults", rows: rows[:1]}, {method: "circle", variant: "defaults", rows: rows[:1]}}); !strings.Contains(missing, want) {
			t.Errorf("found %q, expected %q", missing, want)
		}
	}
	for _, name := range []string{"comparison-a.svg", "comparison-a.png", "comparison.jsonl"} {
		if info, err := os.Stat(filepath.Join(filepath.Dir(c.out), name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: found %v", name, err)
		}
	}
}
