package main

import (
	"context"
	"strings"
	"testing"
)

// The short job is in its bands, and a training that learns worse, at a tenth of
// the usual rate, is not.
func TestRegression(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains for seconds")
	}
	bands, err := shortBands("../results/" + bandFile)
	if err != nil {
		t.Fatal(err)
	}
	folder, likeness, remove, err := temporary(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	for _, test := range []struct {
		worsened []string
		out      []string // of its band
	}{
		{nil, nil},
		{[]string{"--rate", "3e-4"}, []string{"nearest neighbour, seen classes: found", "loss of the last epoch: found", "validation of the last epoch: found"}},
	} {
		found, err := shortJob.measure(context.Background(), likeness, folder, regressionSeed, test.worsened...)
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
