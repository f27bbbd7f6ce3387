package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
)

var drawingSize = imaging.Size{Height: side, Width: side, Channels: 1}

func TestVariation(t *testing.T) {
	r, v := defaultRecipe(100), variation{}
	if err := v.parse(&r, strings.Fields("-network residual -width 8 -dropout 0.3 -pen 1.2 -rate 6e-3 -networks 3")); err != nil {
		t.Fatal(err)
	}
	blocks := r.network(drawingSize).Blocks
	if last, ok := blocks[len(blocks)-1].(graph.Dropout); !ok || last.Rate != 0.3 {
		t.Errorf("found the last block %+v, expected dropout of 0.3", blocks[len(blocks)-1])
	}
	if !slices.ContainsFunc(blocks, func(b graph.Block) bool { _, is := b.(graph.Residual); return is }) {
		t.Errorf("found %+v, expected residual blocks", blocks)
	}
	if v.pen != 1.2 || r.solver.LearningRate != 6e-3 || r.networks != 3 {
		t.Errorf("found a pen of %g, a rate of %g and %d networks", v.pen, r.solver.LearningRate, r.networks)
	}
	if err := v.parse(&r, []string{"-rate", "1e-3", "more"}); err == nil || !strings.Contains(err.Error(), `found ["more"]`) {
		t.Errorf("found the error %v", err)
	}
	for name, want := range map[string]objectives.Loss{
		"": objectives.NPair{Temperature: 0.05}, "triplet": objectives.BatchAll{Margin: 0.3}, "ratio": objectives.BatchRatio{Scale: 7},
		"batch-contrastive": objectives.BatchContrastive{Margin: 1, Balanced: true}, "cross-entropy": objectives.BatchCrossEntropy{Balanced: true},
	} {
		r := defaultRecipe(100)
		if err := v.parse(&r, []string{"-loss", name, "-margin", "0.3", "-loss-scale", "7", "-temperature", "0.05"}); err != nil {
			t.Fatal(err)
		}
		blocks := r.network(drawingSize).Blocks
		_, normalized := blocks[len(blocks)-1].(graph.Normalize)
		if r.objective != want || normalized != losses[name].unit {
			t.Errorf("-loss %s: found %+v, normalized embeddings: %v; expected %+v", name, r.objective, normalized, want)
		}
	}
	if err := v.parse(&r, []string{"-loss", "hinge"}); err == nil || !strings.Contains(err.Error(), `found -loss "hinge", expected triplet, ratio`) {
		t.Errorf("found the error %v", err)
	}
}

// An unknown name, words after it and parts of a minimal split that is not trained on are
// refused before anything is trained.
func TestReproduceRefuses(t *testing.T) {
	for want, names := range map[string][]string{
		"found no name of a job, expected one of": nil, `found the job "omniglott", expected one of`: {"omniglott"},
		`found ["6"] after mnist`: {"mnist", "6"}, "without -small small1": {"validate", "-hold", "Korean"},
		`found the recipe "best"`: {"validate-mnist", "-recipe", "best"}, `found -loss "hinge"`: {"validate", "-loss", "hinge"},
	} {
		if err := reproduce(t.Context(), settings{seed: 1, note: t.Logf}, names); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found the error %v, expected one with %q", names, err, want)
		}
	}
}

// A validation on an alphabet of the minimal split trains on the others, and measures the
// drawings as they are and with thicker strokes.
func TestValidateOnAHeldAlphabet(t *testing.T) {
	arguments := "-small small1 -hold Korean -steps 1 -classes 4 -images 2 -width 2 -episodes 40 -pen 1"
	rows, err := validate(t.Context(), settings{seed: 1, note: t.Logf, arguments: strings.Fields(arguments)})
	if err != nil {
		t.Fatal(err)
	}
	want := "validation: 1 background alphabets, 20-way 1-shot within an alphabet, 40 episodes"
	for i, protocol := range []string{want, want + ", strokes thicker by 1 pixels on each side"} {
		if len(rows) != 2 || rows[i].Protocol != protocol || rows[i].Method != arguments || !rows[i].Validation || !(rows[i].Figure > 5) {
			t.Fatalf("found %v, expected a row with %s", rows, protocol)
		}
	}
	if text := rows[0].String(); !strings.HasPrefix(text, want+": ") || !strings.Contains(text, ", seed 1, ") {
		t.Errorf("found the row %s", text)
	}
}

func TestVariedDigits(t *testing.T) {
	r, err := variedDigits(strings.Fields("-recipe mnist-hoffer -dropout 0.4 -rate 4e-3"))
	if err != nil {
		t.Fatal(err)
	}
	rates := 0
	for _, block := range r.network(drawingSize).Blocks {
		if dropout, is := block.(graph.Dropout); is {
			rates++
			if dropout.Rate != 0.4 {
				t.Errorf("found dropout of %g, expected 0.4", dropout.Rate)
			}
		}
	}
	if rates == 0 || r.solver.LearningRate != 4e-3 {
		t.Errorf("found %d layers of dropout and a rate of %g", rates, r.solver.LearningRate)
	}
	r, err = variedDigits(strings.Fields("-residual 8 -networks 2"))
	if err != nil {
		t.Fatal(err)
	}
	if name := r.network(drawingSize).Name; !strings.HasPrefix(name, "residual") || r.networks != 2 {
		t.Errorf("found %d of the network %q, expected two residual ones", r.networks, name)
	}
	if r, err = variedDigits(strings.Fields("-sgd 0.9 -decay 2e-4")); err != nil {
		t.Fatal(err)
	}
	want := solver.Config{Solver: "sgd", LearningRate: 3e-3, Momentum: 0.9, L2: 2e-4, Average: 0.99, Schedule: "cosine", Warmup: 0.5}
	if diff := cmp.Diff(want, r.solver); diff != "" {
		t.Error(diff)
	}
	if _, err := variedDigits([]string{"-recipe", "best"}); err == nil || !strings.Contains(err.Error(), `found the recipe "best"`) {
		t.Errorf("found the error %v", err)
	}
}

// Thicker strokes have more ink; the images are otherwise the same.
func TestRedrawn(t *testing.T) {
	line := make([]uint8, drawingSize.Len())
	for x := 6; x < 22; x++ {
		line[14*side+x] = 255
	}
	d := &datasets.Dataset{Name: "a line", Size: drawingSize, Classes: []string{"A/1"}, Images: [][]uint8{line}, Labels: []int{0}}
	ink := func(image []uint8) (sum int) {
		for _, v := range image {
			sum += int(v)
		}
		return sum
	}
	thin := ink(line)
	thick := redrawn(d, 1.2)
	if got := ink(thick.Images[0]); got < 2*thin {
		t.Errorf("found ink of %d, expected more than twice %d", got, thin)
	}
	if ink(d.Images[0]) != thin {
		t.Error("the drawings themselves have changed")
	}
}

// The figure is that of the ensemble; a note reports that of its first network.
func TestDigitsOfSeveral(t *testing.T) {
	d := fewShades()
	r := bestDigits(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images, r.networks = 4, 2, 2
	var notes strings.Builder
	s := settings{seed: 5, note: func(format string, arguments ...any) { fmt.Fprintf(&notes, format+"\n", arguments...) }}
	rows, err := r.digits(context.Background(), s, Row{Protocol: "shades", Validation: true}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Views != 1 || rows[0].Figure < 50 || !(rows[0].Minutes > 0) {
		t.Errorf("found %+v, expected a row well above chance", rows)
	}
	if !strings.Contains(notes.String(), "by the first 1 of the networks") || strings.Contains(notes.String(), "the first 2") {
		t.Errorf("found the notes %s", notes.String())
	}
}

// Digits are measured with one view and with seven: rotated or mirrored digits differ.
func TestDigitsByViews(t *testing.T) {
	d := fewShades()
	r := bestDigits(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images = 4, 2
	rows, err := r.digits(context.Background(), settings{seed: 5, note: t.Logf}, Row{Protocol: "shades"}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Views != 1 || rows[1].Views != 7 || rows[1].Figure < 50 {
		t.Errorf("found %+v, expected a row of one view and one of seven", rows)
	}
}

// Test-time augmentation is used with cosine distances only.
func TestDigitsByOtherDistances(t *testing.T) {
	d := fewShades()
	r := hoffer(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images = 4, 2
	rows, err := r.digits(context.Background(), settings{seed: 5, note: t.Logf}, Row{Protocol: "shades"}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Views != 1 || rows[0].Figure < 50 {
		t.Errorf("found %+v, expected a row of one view", rows)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10_050: "10,050", 1_000_007: "1,000,007"} {
		if found := thousands(n); found != want {
			t.Errorf("%d: found %s, expected %s", n, found, want)
		}
	}
}
