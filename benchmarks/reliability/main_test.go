package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeepReplacesEntry(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	first := entry{Check: "crash", Promise: "Nothing is lost", Findings: []measured{{"trainings killed", "3"}}}
	other := entry{Check: "load", Promise: "No error", Findings: []measured{{"requests", "7"}}}
	again := first
	again.Findings = []measured{{"trainings killed", "200"}}
	for _, r := range []entry{first, other, again} {
		if err := keep(folder, r); err != nil {
			t.Fatal(err)
		}
	}
	results, err := read(filepath.Join(folder, "reliability.jsonl"))
	if err != nil || len(results) != 2 || results[0].Findings[0].Figure != "200" {
		t.Errorf("found %+v (%v), expected the later result of two checks", results, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Crash\n\nNothing is lost.", "| trainings killed | 200 |", "| requests | 7 |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("found no %q in\n%s", want, text)
		}
	}
}

// A package without tests is an error.
func TestRaceWithoutTests(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds with the race detector")
	}
	s := settings{note: t.Logf, arguments: []string{"-packages", "github.com/likeness-go/likeness/benchmarks/peers/tensorboard"}}
	if found, err := race(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no tests") {
		t.Errorf("found %v, %v, expected that there are no tests", found, err)
	}
}
