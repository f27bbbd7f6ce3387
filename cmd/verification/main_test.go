package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
)

// A short training, from drawn weights of the narrowest network or from those of
// the zoo, on pairs and on all pairs of batches, by either solver, prints its
// epochs and the table and leaves a model.
func TestRun(t *testing.T) {
	for name, more := range map[string][]string{
		"all pairs":          {"-scratch", "-narrow", "64", "-rate", "1e-3"},
		"pairs":              {"-scratch", "-narrow", "64", "-pairs", "-symmetries"},
		"the paper's solver": {"-scratch", "-narrow", "64", "-paper"},
		"from characters":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			model := filepath.Join(t.TempDir(), "verification.safetensors")
			var printed bytes.Buffer
			arguments := append([]string{"-limit", "40", "-batch", "8", "-epochs", "2", "-unseen", "3,8", "-out", model}, more...)
			if err := run(context.Background(), arguments, &printed); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{
				"before a digit was seen: ROC AUC ", "epoch  1 of 2: loss ", "epoch  2 of 2: loss ", "trained", "untrained", "pixels", "ROC AUC",
				"training and selection never saw (3, 8)", "limited to 40 training images and 40 of each test part", "seed 1",
			} {
				if !strings.Contains(printed.String(), text) {
					t.Errorf("want %q in\n%s", text, &printed)
				}
			}
			trained, err := likeness.Load(model)
			if err != nil {
				t.Fatal(err)
			}
			if want := (heads.WeightedL1{Signed: true}); trained.Head != want {
				t.Errorf("found the head %v, want %v", trained.Head, want)
			}
		})
	}
}

// Flags that make no training are refused before it begins.
func TestRunRefuses(t *testing.T) {
	for want, arguments := range map[string][]string{
		`"10"`:                  {"-unseen", "10"},
		"field Epochs: found 0": {"-limit", "40", "-scratch", "-narrow", "64", "-epochs", "0"},
		`penalty "*": found λ`:  {"-limit", "40", "-scratch", "-narrow", "64", "-l2", "-1"},
	} {
		var printed bytes.Buffer
		if err := run(context.Background(), arguments, &printed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found error %v, want one with %q", arguments, err, want)
		}
		if printed.Len() > 0 {
			t.Errorf("%q: printed %s", arguments, &printed)
		}
	}
}
