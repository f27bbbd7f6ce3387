package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/solver"
)

func number(v float64) *float64 { return &v }

// A layer that has both a rate and a penalty is one: only the first that matches a
// parameter counts.
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

// Batches of one alphabet are in the method's name; what the paper leaves open is not.
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

// Without arguments each run has the settings of its row in the table; the recipe as
// written has no limit on the gradients.
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
