package trainer_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// fineTuned is a model of which conv1 is frozen, after a training, and the weights before.
func fineTuned(t *testing.T) (trained *likeness.Model, start *graph.Weights) {
	t.Helper()
	training := newTrainer(t, deep())
	training.Solver.LearningRate = 1e-2
	freeze(t, training, "conv1")
	start = training.Model.Weights.Clone()
	run(t, training)
	return training.Model, start
}

// The weights and running statistics are (1 − share)·start + share·trained; at the ends they are
// those of the start and of the training, bit for bit, and frozen ones stay at any share.
func TestInterpolate(t *testing.T) {
	trained, start := fineTuned(t)
	end := values(trained)
	before := map[string][]float32{}
	for _, weight := range start.All() {
		before[weight.Name] = slices.Clone(weight.Value.Float32s())
	}
	if cmp.Equal(before["conv2.weight"], end["conv2.weight"]) || cmp.Equal(before["norm2.running_var"], end["norm2.running_var"]) {
		t.Fatal("the training changed nothing")
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.9, 1} {
		model := newModel(t, deep(), heads.L2{})
		if err := model.Weights.CopyFrom(trained.Weights); err != nil {
			t.Fatal(err)
		}
		threshold := 0.5
		model.Threshold, model.HalfPrecision = &threshold, true
		if err := trainer.Interpolate(model, start, share); err != nil {
			t.Fatal(err)
		}
		if model.Threshold != nil || model.HalfPrecision != (share == 1) {
			t.Errorf("share %v: found the threshold %v and half precision %v", share, model.Threshold, model.HalfPrecision)
		}
		for name, found := range values(model) {
			for i, v := range found {
				want := float32((1-share)*float64(before[name][i]) + share*float64(end[name][i]))
				if exact := share == 0 || share == 1 || before[name][i] == end[name][i]; exact {
					if want = end[name][i]; share == 0 {
						want = before[name][i]
					}
					if math.Float32bits(v) != math.Float32bits(want) {
						t.Fatalf("share %v: %s[%d]: found %v, expected the bits of %v", share, name, i, v, want)
					}
				} else if math.Abs(float64(v-want)) > 1e-7*math.Max(1, math.Abs(float64(want))) {
					t.Fatalf("share %v: %s[%d]: found %v, expected %v", share, name, i, v, want)
				}
			}
		}
	}
	if diff := cmp.Diff(before["conv2.weight"], start.Get("conv2.weight").Value.Float32s()); diff != "" {
		t.Errorf("the start changed: %s", diff)
	}
}

// A quarter of 5 and three quarters of 1 are 2. A weight of the loss, which the start lacks, stays.
func TestInterpolateByHand(t *testing.T) {
	trained := newModel(t, tiny(), heads.L2{})
	start := trained.Weights.Clone()
	start.Get("conv1.weight").Value.Float32s()[3] = 1
	trained.Weights.Get("conv1.weight").Value.Float32s()[3] = 5
	if err := trained.Weights.Add(objectives.WeightPrefix+"vectors", graph.Kernel, []int{2}, []float64{7, 8}); err != nil {
		t.Fatal(err)
	}
	if err := trainer.Interpolate(trained, start, 0.25); err != nil {
		t.Fatal(err)
	}
	if found := trained.Weights.Get("conv1.weight").Value.Float32s()[3]; found != 2 {
		t.Errorf("found %v, expected 2", found)
	}
	if found := trained.Weights.Get(objectives.WeightPrefix + "vectors").Value.Float32s(); !slices.Equal(found, []float32{7, 8}) {
		t.Errorf("the weights of the loss are %v", found)
	}
}

// Of shares of equal value the smallest is chosen; the model has the interpolated weights.
func TestChooseInterpolation(t *testing.T) {
	trained, start := fineTuned(t)
	end := trained.Weights.Clone()
	expect := func(name string, found trainer.Interpolation, err error, share float64, candidates ...float64) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var shares []float64
		for _, candidate := range found.Candidates {
			shares = append(shares, candidate.Share)
		}
		if found.Share != share || !slices.Equal(shares, candidates) {
			t.Errorf("%s: found %v, expected the share %v of %v", name, found, share, candidates)
		}
		want := newModel(t, deep(), heads.L2{})
		if err := want.Weights.CopyFrom(end); err != nil {
			t.Fatal(err)
		}
		if err := trainer.Interpolate(want, start, share); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values(want), values(trained)); diff != "" {
			t.Errorf("%s: the model has other weights:\n%s", name, diff)
		}
		if err := trained.Weights.CopyFrom(end); err != nil {
			t.Fatal(err)
		}
	}
	// The value is that of the distance to the weights after two thirds of the way.
	from, to := start.Get("conv2.weight").Value.Float32s()[0], end.Get("conv2.weight").Value.Float32s()[0]
	near := func(at float32) trainer.Validation {
		return trainer.ValidationFunc("near", func(m *likeness.Model) (float64, error) {
			return -math.Abs(float64(m.Weights.Get("conv2.weight").Value.Float32s()[0] - (from + at*(to-from)))), nil
		})
	}
	equal := trainer.ValidationFunc("equal", func(*likeness.Model) (float64, error) { return 1, nil })
	found, err := trainer.ChooseInterpolation(trained, start, near(0.66), nil)
	expect("two thirds", found, err, 0.75, 0, 0.25, 0.5, 0.75, 1)
	found, err = trainer.ChooseInterpolation(trained, start, near(2), nil)
	expect("beyond the end", found, err, 1, 0, 0.25, 0.5, 0.75, 1)
	found, err = trainer.ChooseInterpolation(trained, start, equal, nil)
	expect("all equal", found, err, 0, 0, 0.25, 0.5, 0.75, 1)
	if text := found.String(); text != "weight interpolation: the share of the trained weights is 0, that of the weights before the training 1; validation by the share 0: 1.0000, 0.25: 1.0000, 0.5: 1.0000, 0.75: 1.0000, 1: 1.0000" {
		t.Errorf("found %q", text)
	}
	found, err = trainer.ChooseInterpolation(trained, start, equal, nil, 0.8, 0.4)
	expect("two shares", found, err, 0.4, 0.4, 0.8)

	// With the results of the frozen blocks the values are those without them.
	retrieval, err := trainer.Retrieval(unseen)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := trainer.NewPrefix(context.Background(), trained, unseen)
	if err != nil || prefix == nil {
		t.Fatalf("found the prefix %v, %v", prefix, err)
	}
	plain, err := trainer.ChooseInterpolation(trained, start, retrieval, nil)
	expect("without a prefix", plain, err, plain.Share, 0, 0.25, 0.5, 0.75, 1)
	shared, err := trainer.ChooseInterpolation(trained, start, retrieval, prefix)
	expect("with a prefix", shared, err, plain.Share, 0, 0.25, 0.5, 0.75, 1)
	for i, candidate := range shared.Candidates {
		if want := plain.Candidates[i].Validation; math.Abs(candidate.Validation-want) > 0.01 {
			t.Errorf("share %v: found %v with a prefix, %v without", candidate.Share, candidate.Validation, want)
		}
	}
	if plain.Candidates[0].Validation == plain.Candidates[4].Validation {
		t.Error("the training changed nothing on the validation images")
	}
}

// After an error the trained weights and their threshold are those before.
func TestInterpolateRefuses(t *testing.T) {
	trained, start := fineTuned(t)
	threshold := 0.5
	trained.Threshold = &threshold
	before := values(trained)
	other := newModel(t, tiny(), heads.L2{}).Weights
	more := start.Clone()
	if err := more.Add("extra.weight", graph.Kernel, []int{1}, []float64{1}); err != nil {
		t.Fatal(err)
	}
	double := start.Convert(graph.Float64)
	measures := 0
	fails := trainer.ValidationFunc("fails", func(*likeness.Model) (float64, error) {
		if measures++; measures > 2 {
			return 0, errors.New("no images")
		}
		return float64(measures), nil
	})
	panics := trainer.ValidationFunc("panics", func(*likeness.Model) (float64, error) { panic("cause") })
	nan := trainer.ValidationFunc("nan", func(*likeness.Model) (float64, error) { return math.NaN(), nil })
	choose := func(v trainer.Validation, shares ...float64) error {
		_, err := trainer.ChooseInterpolation(trained, start, v, nil, shares...)
		return err
	}
	for want, err := range map[string]error{
		"found the share 1.5 of the trained weights, expected a number from 0 to 1": trainer.Interpolate(trained, start, 1.5),
		"found the share -0.1":                        trainer.Interpolate(trained, start, -0.1),
		"found the share NaN":                         trainer.Interpolate(trained, start, math.NaN()),
		"found nil":                                   trainer.Interpolate(trained, nil, 0.5),
		"the start has no weight":                     trainer.Interpolate(trained, other, 0.5),
		`trained model has no weight "extra`:          trainer.Interpolate(trained, more, 0.5),
		"of the start: found float64":                 trainer.Interpolate(trained, double, 0.5),
		"share 0.5: no images":                        choose(fails),
		"panics: cause":                               choose(panics),
		"found NaN, expected a finite number":         choose(nan),
		"interpolation of weights: found nil":         choose(nil),
		"interpolation of weights: found the share 2": choose(nan, 0.5, 2),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
	if diff := cmp.Diff(before, values(trained)); diff != "" || trained.Threshold != &threshold {
		t.Errorf("after errors the model has the threshold %v and other weights:\n%s", trained.Threshold, diff)
	}
}
