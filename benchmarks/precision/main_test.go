package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/imaging"
)

// The products of Conv4 by hand; in a batch of two images its layers have few tiles, for which Winograd's
// algorithms do not pay.
func TestWork(t *testing.T) {
	size := imaging.Size{Height: 28, Width: 28, Channels: 1}
	w, err := work("conv4", size, 2)
	if err != nil {
		t.Fatal(err)
	}
	// Four layers of 3×3 with 64 filters on 28×28, 14×14, 7×7 and 3×3 pixels.
	if direct := float64(2 * 9 * 64 * (28*28 + 64*(14*14+7*7+3*3))); w.Direct != direct || w.Rounded == 0 {
		t.Errorf("found %+v, expected %g products, some of them rounded in a batch of few tiles", w, direct)
	}
	if w, err := work("conv7", size, 128); err != nil || w.Rounded != 0 { // the default training, as the record says
		t.Errorf("conv7: found %+v and error %v, expected no rounded products", w, err)
	}
	if _, err := work("none", size, 2); err == nil {
		t.Error("found no error for an unknown network")
	}
}

// The table of the accuracy by hand, from reports that are there already.
func TestAccuracies(t *testing.T) {
	folder := t.TempDir()
	for precision, values := range map[string][]float64{"float32": {0.9, 0.92, 0.94}, "bfloat16": {0.93, 0.91, 0.95}} {
		for i, v := range values {
			path := filepath.Join(folder, fmt.Sprintf("mnist-%s-%d", precision, i+1), "result.json")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, fmt.Appendf(nil, `{"metrics": {"knn_accuracy": {"value": %v}}}`, v), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	mnist, err := choose("mnist")
	if err != nil {
		t.Fatal(err)
	}
	got, err := accuracies(context.Background(), folder, mnist, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| knn_accuracy | 92.00 ± 2.00 | 93.00 ± 2.00 | +1.00 | +0.50 |", "6 of the 6 trainings were in the folder"} {
		if !strings.Contains(got, want) {
			t.Errorf("found %q, expected it to contain %q", got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for command, names := range map[string]string{"speeds": "", "accuracy": "wide,nothing"} {
		if err := measure(context.Background(), command, t.TempDir(), "", names, time.Millisecond, io.Discard); err == nil || !strings.Contains(err.Error(), "found") {
			t.Errorf("%s: found error %v", command, err)
		}
	}
}
