package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/solver"
)

// fewShades returns a small data set for tests of trainings.
func fewShades() *datasets.Dataset {
	d := &datasets.Dataset{Name: "shades", Size: imaging.Size{Height: 12, Width: 12, Channels: 1}}
	for i := range 16 {
		image := make([]uint8, d.Size.Len())
		for j := range image {
			image[j] = uint8(i / 4 * j)
		}
		d.Images, d.Labels = append(d.Images, image), append(d.Labels, i/4)
	}
	d.Classes = []string{"A/1", "A/2", "A/3", "A/4"}
	return d
}

// always returns a measurement with a constant value.
func always(value float64) measurement {
	return func(contender) (evaluate.Estimate, error) { return evaluate.Estimate{Value: value}, nil }
}

// learning runs a training of Koch's on fewShades.
func learning(ctx context.Context, t *testing.T, k kochRun, out string, asked measurement, arguments ...string) error {
	t.Helper()
	k.batch, k.perClass = 8, min(k.perClass, 2)
	c, err := k.parse(append([]string{"-scales", "", "-momenta", "", "-penalties", "", "-epoch", "2"}, arguments...))
	if err != nil {
		t.Fatal(err)
	}
	d := fewShades()
	model, err := likeness.New(backbone.Conv7(d.Size, 2), heads.WeightedL1{Signed: true}, d.Preprocessing(), 1)
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := k.sampler(d)
	if err != nil {
		t.Fatal(err)
	}
	s := settings{seed: 1, out: out, note: t.Logf}
	_, err = k.learn(ctx, s, c, model, d, sampler, asked, always(0.5))
	return err
}

// The curve ends with the last step, and its images count two for each pair.
func TestKochCurve(t *testing.T) {
	for i, images := range []int{2 * 2 * 8, 2 * 8} {
		folder := t.TempDir()
		if err := learning(context.Background(), t, kochRuns[i], folder, always(0.25), "-minutes", "0", "-every", "3"); err != nil {
			t.Fatal(err)
		}
		curve, err := readCurve(folder, kochRuns[i].name)
		if err != nil || len(curve) != 1 {
			t.Fatalf("found %d points and the error %v, expected one", len(curve), err)
		}
		if p := curve[0]; p.Steps != 2 || p.Images != images || p.Validation != 25 || p.Runs != 50 || !(p.Loss > 0) {
			t.Errorf("%s: found %+v, expected 2 steps of %d images in all", kochRuns[i].name, p, images)
		}
	}
}

// An interrupted run returns an error and leaves its curve.
func TestKochInterrupted(t *testing.T) {
	folder := t.TempDir()
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	points := 0
	third := func(contender) (evaluate.Estimate, error) {
		if points++; points == 3 {
			interrupt()
		}
		return evaluate.Estimate{}, nil
	}
	if err := learning(ctx, t, kochRuns[1], folder, third, "-minutes", "1000"); !errors.Is(err, context.Canceled) {
		t.Errorf("found the error %v", err)
	}
	if curve, err := readCurve(folder, kochRuns[1].name); err != nil || len(curve) != 3 {
		t.Errorf("found %d points and the error %v, expected three", len(curve), err)
	}
}

func TestKochRefuses(t *testing.T) {
	if _, err := kochRuns[0].train(context.Background(), settings{note: t.Logf}); err == nil || !strings.Contains(err.Error(), "-data is missing") {
		t.Errorf("found the error %v", err)
	}
}

func number(v float64) *float64 { return &v }

// The learning rate and the penalty of a layer are in one entry, because only the first
// entry that matches a parameter counts.
func TestKochLayers(t *testing.T) {
	k := kochRuns[1]
	c, err := k.parse([]string{"-scales", "conv1=0.1,linear1=3", "-ramp", "16", "-clip", "2", "-momenta", "conv1=0.97", "-penalties", "linear1=1e-2,conv2=0", "-batch", "32"})
	if err != nil {
		t.Fatal(err)
	}
	want := []solver.Layer{
		{Name: "conv1", LearningRateScale: number(0.1), Momentum: number(0.97)},
		{Name: "linear1", LearningRateScale: number(3), L2: number(1e-2)},
		{Name: "conv2", L2: number(0)},
	}
	if diff := cmp.Diff(want, c.solver().Layers); diff != "" {
		t.Error(diff)
	}
	if config := c.solver(); config.MomentumEpochs != 16 || config.Momentum != 0.9 || config.Clip != 2 {
		t.Errorf("found a momentum of %g after %d epochs and a limit of %g, expected 0.9 after 16 and 2", config.Momentum, config.MomentumEpochs, config.Clip)
	}
	if k.batch != 32 || kochRuns[1].batch != 64 {
		t.Errorf("found batches of %d and, of the run itself, %d, expected 32 and 64", k.batch, kochRuns[1].batch)
	}
}

// The name of the method depends on whether batches are of one alphabet, and on nothing
// else.
func TestKochDescribed(t *testing.T) {
	for arguments, want := range map[string]string{
		"-rate 0.03 -momentum 0.8 -penalties linear1=1e-2": "Koch's network, all pairs of a batch, batches of one alphabet",
		"-grouped=false": "Koch's network, all pairs of a batch",
	} {
		k := kochRuns[1]
		if _, err := k.parse(strings.Fields(arguments)); err != nil {
			t.Fatal(err)
		}
		if got := k.described(); got != want {
			t.Errorf("%s: found %q, expected %q", arguments, got, want)
		}
	}
}

// The defaults of each run are the settings of its row in the table; the recipe of the
// paper has no gradient clipping.
func TestKochDefaults(t *testing.T) {
	for name, want := range map[string]kochChoice{
		"koch":           {epoch: 50, ramp: 12, clip: 0},
		"koch-all-pairs": {epoch: 150, ramp: 10, clip: 1},
	} {
		k := kochRuns[slices.IndexFunc(kochRuns, func(k kochRun) bool { return k.name == name })]
		c, err := k.parse(nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.epoch != want.epoch || c.solver().MomentumEpochs != want.ramp || c.solver().Clip != want.clip {
			t.Errorf("%s: found epochs of %d steps, momenta that rise in %d of them and a limit of %g, expected %d, %d and %g",
				name, c.epoch, c.solver().MomentumEpochs, c.solver().Clip, want.epoch, want.ramp, want.clip)
		}
	}
}

func TestKochErrors(t *testing.T) {
	for arguments, want := range map[string]string{
		"-scales conv1":        `-scales: found "conv1"`,
		"-penalties conv1=odd": `-penalties: found "conv1=odd"`,
		"-epoch 0":             "found -epoch 0",
	} {
		k := kochRuns[0]
		if _, err := k.parse(strings.Fields(arguments)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: found the error %v, expected one with %q", arguments, err, want)
		}
	}
}
