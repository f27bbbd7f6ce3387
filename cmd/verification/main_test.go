package main

import (
	"bytes"
	"context"
	"image"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/zoo"
)

// A short training, from drawn weights of the narrowest network or from those of
// the zoo, on pairs and on all pairs of batches, by either solver, prints its
// epochs and the table and leaves a model.
func TestRun(t *testing.T) {
	for name, more := range map[string][]string{
		"all pairs":                          {"-scratch", "-narrow", "64", "-learning-rate", "1e-3"},
		"pairs, by the paper's solver":       {"-scratch", "-narrow", "64", "-pairs", "-symmetries", "-paper"},
		"from characters":                    nil,
		"from drawn weights, which are kept": {"-scratch", "-narrow", "64", "-learning-rate", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "pairs, by the paper's solver" {
				testutil.SkipUnlessLong(t, "one training stands for the others")
			}
			model := filepath.Join(t.TempDir(), "verification.safetensors")
			var printed bytes.Buffer
			arguments := append([]string{"-limit", "40", "-batch", "8", "-epochs", "2", "-steps-per-epoch", "5", "-unseen", "3,8", "-out", model}, more...)
			if err := train(context.Background(), arguments, &printed); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{
				"before training on digits: ROC AUC ", "on digits 3,8, which are not seen, and ", "on digits 0,1,2, which choose the epoch", "kept the ", "epoch  1 of 2: loss ", "epoch  2 of 2: loss ", "trained", "untrained", "pixels", "ROC AUC",
				"training and validation never saw (3, 8)", "limited to 40 training images and 40 of each test part", "seed 1",
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

// A training that makes the network worse at digits which it is not trained on leaves
// it as it was: a rate that destroys it does.
func TestKeepsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verification.safetensors")
	var printed bytes.Buffer
	if err := train(context.Background(), []string{"-limit", "40", "-batch", "8", "-epochs", "1", "-steps-per-epoch", "3", "-learning-rate", "1", "-out", path}, &printed); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(printed.String(), "kept the initial weights: no epoch was better on digits 3,4,5") {
		t.Errorf("found\n%s", &printed)
	}
	kept, err := likeness.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	start, err := zoo.Load("koch")
	if err != nil {
		t.Fatal(err)
	}
	gray := image.NewGray(image.Rect(0, 0, 105, 105))
	for i := range gray.Pix {
		gray.Pix[i] = uint8(i * i % 251)
	}
	want, err := start.Embed(gray)
	if err != nil {
		t.Fatal(err)
	}
	found, err := kept.Embed(gray)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want[0], found[0]) {
		t.Error("the model embeds otherwise than the one that training began with")
	}
	// The table's AUC is that of before.
	before := regexp.MustCompile(`before training on digits: ROC AUC (\d+\.\d+)`).FindStringSubmatch(printed.String())
	after := regexp.MustCompile(`verification, ROC AUC +(\d+\.\d+)`).FindStringSubmatch(printed.String())
	if before == nil || after == nil || before[1] != after[1] {
		t.Errorf("ROC AUC was %v and is %v", before, after)
	}
}

// Flags that make no training are refused before it begins.
func TestRunRefuses(t *testing.T) {
	for want, arguments := range map[string][]string{
		`"10"`:                   {"-unseen", "10"},
		`-validation: found "1"`: {"-validation", "1,3"},
		"leave the digits":       {"-validation", "3,4,5,6,7,8"},
		"field Epochs: found 0":  {"-limit", "40", "-scratch", "-narrow", "64", "-epochs", "0"},
		`penalty "*": found λ`:   {"-limit", "40", "-scratch", "-narrow", "64", "-l2", "-1"},
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
