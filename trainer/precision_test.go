package trainer_test

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/trainer"
)

// rounding trains a network whose second convolution and matrix are rounded with BFloat16.
func rounding(t *testing.T, precision graph.Precision) *trainer.Trainer {
	training := newTrainer(t, tiny(graph.Conv{Filters: 7, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu"}))
	training.Precision = precision
	return training
}

// furthest returns the largest difference between the weights of two models.
func furthest(a, b map[string][]float32) (off float64) {
	for name, elements := range a {
		for i, v := range elements {
			off = max(off, math.Abs(float64(v-b[name][i])))
		}
	}
	return off
}

// A training in bfloat16 comes near the weights of one in float32, which Adam changes by about the learning
// rate in each of ten steps, in one direction or the other, and to the same bits on any number of threads and when it
// is interrupted. Products of pairs and of float32 numbers differ in the order of sums only.
func TestBFloat16(t *testing.T) {
	defer graph.SetPairs(graph.BFloat16.Faster())
	defer graph.SetThreads(graph.Threads())
	single := rounding(t, graph.SinglePrecision)
	run(t, single)
	var trained []map[string][]float32
	for _, pairs := range []bool{false, true} {
		graph.SetPairs(pairs)
		graph.SetThreads(1)
		whole := rounding(t, graph.BFloat16)
		run(t, whole)
		want := values(whole.Model)
		trained = append(trained, want)
		if off := furthest(want, values(single.Model)); off == 0 || off > 2e-2 {
			t.Errorf("pairs %v: the weights differ from those of float32 by at most %g, expected more than 0 and at most 2e-2", pairs, off)
		}
		for threads := 2; threads <= 3; threads++ {
			graph.SetThreads(threads)
			checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
			ctx, cancel := context.WithCancel(context.Background())
			first := rounding(t, graph.BFloat16)
			first.Checkpoint = checkpoint
			first.OnStep = func(step trainer.Step) {
				if step.Number == 2*threads {
					cancel()
				}
			}
			if _, err := first.Run(ctx); err != nil {
				t.Fatal(err)
			}
			second := rounding(t, graph.BFloat16)
			second.Checkpoint, second.Resume = checkpoint, true
			second.OnWarning = func(message string) { t.Errorf("found the warning %q", message) }
			run(t, second)
			if diff := cmp.Diff(want, values(second.Model)); diff != "" {
				t.Errorf("pairs %v, resumed on %d threads:\n%s", pairs, threads, diff)
			}
			other := rounding(t, graph.BFloat16)
			other.Checkpoint, other.Resume = checkpoint, true
			var warnings []string
			other.OnWarning = func(message string) { warnings = append(warnings, message) }
			graph.SetPairs(!pairs)
			run(t, other)
			graph.SetPairs(pairs)
			if !slices.ContainsFunc(warnings, func(w string) bool {
				return strings.Contains(w, "other arithmetic") && strings.Contains(w, "bfloat16 by ")
			}) {
				t.Errorf("resumed with other products: found the warnings %q", warnings)
			}
		}
	}
	if off := furthest(trained[0], trained[1]); off > 1e-3 {
		t.Errorf("with and without pairs: the weights differ by at most %g, expected at most 1e-3", off)
	}
}

// The products of a step by hand: of two towers with 16 images each, 8×8 and 4×4 pixels; the first
// convolution, of one channel, is not rounded. Two parts have as many, and a training in float32 rounds none.
func TestWork(t *testing.T) {
	const first, rounded = 64 * 9 * 6, 16*9*6*7 + 16*7*8
	for _, precision := range []graph.Precision{graph.SinglePrecision, graph.BFloat16} {
		for parts := range 3 {
			training := rounding(t, precision)
			training.Parts = parts
			work, err := training.Work()
			want := graph.Work{Direct: 32 * (first + rounded), Fastest: 32 * (first + rounded)}
			if precision == graph.BFloat16 {
				want.Rounded = 32 * rounded
			}
			if err != nil || work != want {
				t.Errorf("%v, %d parts: found %+v and error %v, expected %+v", precision, parts, work, err, want)
			}
		}
	}
	if _, err := (&trainer.Trainer{}).Work(); err == nil || !strings.Contains(err.Error(), "field Model is missing") {
		t.Errorf("found error %v", err)
	}
}

// The parts of a batch are computed in bfloat16, too.
func TestBFloat16InParts(t *testing.T) {
	weights := map[graph.Precision]map[string][]float32{}
	for _, precision := range []graph.Precision{graph.SinglePrecision, graph.BFloat16} {
		training := rounding(t, precision)
		training.Parts = 2
		run(t, training)
		weights[precision] = values(training.Model)
	}
	if off := furthest(weights[graph.SinglePrecision], weights[graph.BFloat16]); off == 0 || off > 2e-2 {
		t.Errorf("the weights differ by at most %g, expected more than 0 and at most 2e-2", off)
	}
}
