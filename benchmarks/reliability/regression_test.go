package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
)

// The short job is inside its bands, a training with a tenth of the default learning rate
// is not, and one of a few images is far outside.
func TestRegression(t *testing.T) {
	bands, err := shortBands("../results/" + bandFile)
	if err != nil {
		t.Fatal(err)
	}
	m := small(t)
	for _, test := range []struct {
		worsened []string
		out      []string // figures outside their bands
	}{
		{[]string{"--limit", "200", "--test-limit", "100", "--epochs", "1"}, []string{"nearest neighbor, seen classes: found", "loss of the last epoch: found"}},
		{nil, nil},
		{[]string{"--learning-rate", "3e-4"}, []string{"nearest neighbor, seen classes: found", "loss of the last epoch: found", "validation of the last epoch: found"}},
	} {
		if test.worsened == nil && !testutil.Long() {
			break // the trainings of several seconds
		}
		found, err := shortJob.measure(t.Context(), m.likeness, t.TempDir(), regressionSeed, test.worsened...)
		if err != nil {
			t.Fatal(err)
		}
		err = judge(bands, found)
		if len(test.out) == 0 && err != nil {
			t.Error(err)
		}
		for _, want := range test.out {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: found error %v, expected one with %q", test.worsened, err, want)
			}
		}
	}
}

// By hand: 1, 2 and 6 have the mean 3 and the variance (4 + 1 + 9) / 2.
func TestNewBand(t *testing.T) {
	values := []float64{1, 2, 6}
	b := newBand(values)
	if b.Mean != 3 || math.Abs(b.Deviation-math.Sqrt(7)) > 1e-12 || b.Min != 1 || b.Max != 6 || len(b.Values) != 3 {
		t.Errorf("found %+v", b)
	}
}

func TestJudge(t *testing.T) {
	bands := map[string]Band{"accuracy": {Mean: 0.9, Deviation: 0.01}, "loss": {Mean: 2, Deviation: 0.5}}
	for name, test := range map[string]struct {
		found map[string]float64
		want  string // of the error; empty for none
	}{
		"within":     {map[string]float64{"accuracy": 0.8601, "loss": 3.999}, ""},
		"below":      {map[string]float64{"accuracy": 0.8599, "loss": 2}, "accuracy: found 0.8599, expected from 0.8600 to 0.9400"},
		"above":      {map[string]float64{"accuracy": 0.9, "loss": 4.1}, "loss: found 4.1000"},
		"no number":  {map[string]float64{"accuracy": 0.9, "loss": math.NaN()}, "loss: found NaN"},
		"missing":    {map[string]float64{"accuracy": 0.9}, "loss: found none"},
		"unforeseen": {map[string]float64{"accuracy": 0.9, "loss": 2, "recall": 1}, "recall: found no band"},
	} {
		err := judge(bands, test.found)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: found error %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "1 of 2 figures")):
			t.Errorf("%s: found error %v, expected one with %q", name, err, test.want)
		}
	}
}

func TestStabilityFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), bandFile)
	short := Stability{Command: "likeness train"}
	for _, loss := range []float64{1, 2, 6, 4} {
		short = short.with(map[string]float64{"loss": loss})
	}
	if found := short.seeds(); found != 4 || short.Bands["loss"].Min != 1 || short.Bands["loss"].Max != 6 {
		t.Errorf("found %d seeds, %v", found, short.Bands)
	}
	want := map[string]Stability{"short": short}
	if err := writeStability(path, want); err != nil {
		t.Fatal(err)
	}
	found, err := readStability(path)
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("%v; (-want +found):\n%s", err, diff)
	}
	if _, err := shortBands(path); err == nil || !strings.Contains(err.Error(), "found 4 seeds") {
		t.Errorf("found error %v, expected one of too few seeds", err)
	}
	if _, err := shortBands(filepath.Join(t.TempDir(), "absent")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("found error %v, expected one that names the file", err)
	}
}
