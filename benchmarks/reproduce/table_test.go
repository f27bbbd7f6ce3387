package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
)

const results = "../results"

// All runs of a training are in one line; several runs of a seed count by their mean. A
// training with other settings has a separate line, which names them. No row is left out.
func TestLines(t *testing.T) {
	five, six := Settings{"network": "net", "steps": "5"}, Settings{"network": "net", "steps": "6"}
	rows := []Row{
		{Protocol: "p", Seed: 2, Figure: 90, Settings: five}, {Protocol: "p", Seed: 1, Figure: 70, Settings: five, Commit: "a"},
		{Protocol: "p", Seed: 1, Figure: 80, Settings: five, Commit: "b"}, {Protocol: "p", Seed: 1, Figure: 10, Settings: six},
		{Protocol: "p", Seed: 1, Figure: 20, Settings: five, Quick: true}, {Protocol: "p", Seed: 1, Figure: 30, Settings: five, Views: 7},
		{Protocol: "p", Seed: 1, Figure: 40, Settings: five, Method: "m"},
		{Protocol: "old", Seed: 1, Figure: 50, Command: "run -seed 1 job -rate 1"}, {Protocol: "old", Seed: 1, Figure: 60, Command: "run -seed 1 job -rate 2"},
		{Protocol: "old", Seed: 2, Figure: 52, Command: "run -seed 2 job -rate 1"},
	}
	type found struct {
		Figures      []float64
		Each, Beside string
	}
	var all []found
	count := 0
	for _, l := range lines(rows) {
		all = append(all, found{l.figures(), l.each(), l.beside})
		count += len(l.rows)
	}
	want := []found{
		{[]float64{75, 90}, "70.00/80.00, 90.00", "steps 5"}, {[]float64{10}, "10.00", "steps 6"}, {[]float64{20}, "20.00", ""},
		{[]float64{30}, "30.00", ""}, {[]float64{40}, "40.00", ""}, {[]float64{50, 52}, "50.00, 52.00", ""}, {[]float64{60}, "60.00", ""},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
	if count != len(rows) {
		t.Errorf("%d of %d rows are in lines", count, len(rows))
	}
}

func TestSettings(t *testing.T) {
	found := Settings{}
	for name, value := range map[string]any{
		"steps": 100, "grouped": true, "symmetries": false, "head": struct{ Signed bool }{true},
		"solver": struct {
			Rate, Momentum float64
			Solver         string
			Layers         []struct {
				Name string
				L2   float64
			}
		}{0.5, 0, "sgd", []struct {
			Name string
			L2   float64
		}{{"conv1", 0.25}}},
	} {
		if err := found.add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	want := Settings{"steps": "100", "grouped": "yes", "head.signed": "yes", "solver.rate": "0.5", "solver.solver": "sgd", "solver.layers.conv1.l2": "0.25"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
	if err := found.add("rate", math.NaN()); err == nil {
		t.Error("NaN: no error")
	}
}

// Different trainings have different settings.
func TestSettingsTellTrainingsApart(t *testing.T) {
	known := map[string]string{}
	add := func(name string, s Settings, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if other, found := known[s.String()]; found {
			t.Errorf("%s has the settings of %s", name, other)
		}
		known[s.String()] = name
	}
	s := settings{side: side}
	for _, name := range []string{"omniglot", "omniglot-pens", "omniglot-long", "omniglot-three", "small1"} {
		found, err := oneShots(name).recipe.settings(s)
		add(name, found, err)
	}
	for name, l := range losses {
		r := defaultRecipe(backgroundSteps)
		l.change(&r)
		found, err := r.settings(s)
		add(name, found, err)
	}
	for name := range mnistSteps {
		found, err := mnistRecipe(name).settings(s)
		add(name, found, err)
	}
	wider := s
	wider.side = 32
	found, err := defaultRecipe(backgroundSteps).settings(wider)
	add("larger images", found, err)
	for _, k := range kochRuns {
		for _, arguments := range [][]string{nil, {"-rate", "0.5"}, {"-momenta", "conv1=0.5"}, {"-minutes", "1"}, {"-clip", "7"}, {"-batch", "16"}} {
			run := k
			choice, err := run.parse(arguments)
			if err != nil {
				t.Fatal(err)
			}
			found, err := run.settings(choice)
			add(fmt.Sprint(k.name, arguments), found, err)
		}
	}
	found, err = mapSettings(s)
	add("map", found, err)
}

// The interval of a mean is that of the trials for a single seed and for seeds that agree,
// and that of the seeds if the trials have no error.
func TestIntervalOfAMean(t *testing.T) {
	row := func(seed uint64, figure, half float64) Row {
		return Row{Seed: seed, Figure: figure, Low: figure - half, High: figure + half}
	}
	close := func(what string, found [2]float64, low, high, tolerance float64) {
		t.Helper()
		if math.Abs(found[0]-low) > tolerance || math.Abs(found[1]-high) > tolerance {
			t.Errorf("%s: found %.3f to %.3f, expected %.3f to %.3f", what, found[0], found[1], low, high)
		}
	}
	close("one seed", line{rows: []Row{{Figure: 50, Low: 47, High: 51}}}.interval(), 47, 51, 0)
	close("one seed twice", line{rows: []Row{{Figure: 50, Low: 47, High: 51}, {Figure: 52, Low: 49, High: 55}}}.interval(), 48, 53, 0)
	close("seeds that agree", line{rows: []Row{row(1, 50, 2), row(2, 50, 2), row(3, 50, 2)}}.interval(), 48, 52, 0.1)
	close("a recorded error", line{rows: []Row{{Seed: 1, Figure: 50, Error: 1}, {Seed: 2, Figure: 50, Error: 1}}}.interval(), 50-1.96, 50+1.96, 0.1)
	// Ten seeds of a deviation of 1 in the sample: 1.96·1/√10.
	var ten line
	for seed := range 10 {
		ten.rows = append(ten.rows, row(uint64(seed), 50+float64(seed%2*2-1)*math.Sqrt(0.9), 0))
	}
	close("seeds alone", ten.interval(), 50-0.62, 50+0.62, 0.05)
	// The trials' error is common to the seeds: it does not get smaller with them.
	for i := range ten.rows {
		ten.rows[i].Error = 1
	}
	both := 1.96 * math.Sqrt(0.1+1)
	close("both", ten.interval(), 50-both, 50+both, 0.1)
	close("at 100", line{rows: []Row{row(1, 100, 3), row(2, 100, 3)}}.interval(), 97, 100, 0.1)
}

// Every mean lies in its interval.
func TestMeansLieInTheirIntervals(t *testing.T) {
	rows, err := readRows(results)
	if err != nil {
		t.Fatal(err)
	}
	several := 0
	for _, l := range lines(rows) {
		m, interval := stat.Mean(l.figures(), nil), l.interval()
		if m < interval[0] || m > interval[1] {
			t.Errorf("%s, %s: the mean of %s is %.2f, and the interval %.2f to %.2f", l.Protocol, l.Method, l.each(), m, interval[0], interval[1])
		}
		if len(l.figures()) > 1 {
			several++
		}
	}
	if several < 10 {
		t.Errorf("%d lines have several seeds, expected 10 or more", several)
	}
}

// The committed accuracy.md equals the table generated from the rows; no row is left out,
// and every row has the information needed to reproduce it.
func TestCommittedTable(t *testing.T) {
	rows, err := readRows(results)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(results + "/accuracy.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table(rows, true), string(written)); diff != "" {
		t.Errorf("accuracy.md differs from what `go run ./benchmarks/reproduce table` writes (-rows +file):\n%s", diff)
	}
	count := 0
	for _, l := range lines(rows) {
		count += len(l.rows)
	}
	if count != len(rows) {
		t.Errorf("%d of %d rows are in the table", count, len(rows))
	}
	for _, row := range rows {
		if row.Commit == "" || row.Command == "" || row.Processor == "" || row.Date == "" || (len(row.Settings) == 0 && !row.Validation) {
			t.Errorf("a row lacks its commit, command, processor, date or settings: %v", row)
		}
	}
	for _, run := range []string{"| **76.50** |", "| **79.75** |", "| **87.00** |"} { // Koch's network by three settings
		if !strings.Contains(string(written), run) {
			t.Errorf("there is no line of %s in accuracy.md", run)
		}
	}
	if text, err := os.ReadFile(results + "/" + rowsFile); err != nil || strings.Contains(string(text), "demand") {
		t.Errorf("%s has demands, or %v", rowsFile, err)
	}
}
