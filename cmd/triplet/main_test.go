package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
)

// A short training prints its epochs and three accuracies, and leaves a model.
func TestRun(t *testing.T) {
	model := filepath.Join(t.TempDir(), "triplet.safetensors")
	var printed bytes.Buffer
	arguments := []string{"-limit", "96", "-batch", "16", "-epochs", "2", "-seed", "3", "-out", model}
	if err := train(context.Background(), arguments, &printed); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"epoch  1 of 2: loss 0.", "epoch  2 of 2: loss 0.", "96 training images of MNIST, tested on 96 others, seed 3"} {
		if !strings.Contains(printed.String(), text) {
			t.Errorf("want %q in\n%s", text, &printed)
		}
	}
	for _, contender := range []string{"trained", "untrained", "raw pixels"} {
		row := regexp.MustCompile(`(?m)^` + contender + ` +\d+\.\d\d %  \[\d+\.\d\d, \d+\.\d\d\]$`)
		if !row.MatchString(printed.String()) {
			t.Errorf("want a row of %s in\n%s", contender, &printed)
		}
	}
	if _, err := likeness.Load(model); err != nil {
		t.Error(err)
	}
}

// Flags that make no training are refused before it begins.
func TestRunRefuses(t *testing.T) {
	for want, arguments := range map[string][]string{
		"too few classes or images": {"-limit", "0"},
		"field Epochs: found 0":     {"-limit", "96", "-epochs", "0"},
	} {
		var printed bytes.Buffer
		if err := train(context.Background(), arguments, &printed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found error %v, want one with %q", arguments, err, want)
		}
		if printed.Len() > 0 {
			t.Errorf("%q: printed %s", arguments, &printed)
		}
	}
}
