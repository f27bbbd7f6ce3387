package trainer_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// watched runs a training of so many steps and returns the alarms.
func watched(t *testing.T, training *trainer.Trainer, steps int) (alarms []trainer.Collapse) {
	t.Helper()
	training.Epochs, training.EpochSteps = 4, steps/4
	training.OnCollapse = func(c trainer.Collapse) { alarms = append(alarms, c) }
	run(t, training)
	return alarms
}

func judging(t *testing.T, objective objectives.Loss, head heads.Head, rate float64, seed uint64) *trainer.Trainer {
	t.Helper()
	training := newTrainer(t, tiny())
	training.Model = newModel(t, tiny(), head)
	training.Loss = objective
	training.Solver.LearningRate, training.Seed = rate, seed
	return training
}

// Collapses that are provoked set the alarm off, once each: a penalty that pulls all
// embeddings together, a rate at which the hardest triplets do, one at which the ReLUs of
// a network die, and one at which embeddings that are alike do not move.
func TestCollapsesAreTold(t *testing.T) {
	skipOneByOne(t)
	pulled := judging(t, objectives.Contrastive{Margin: 1}, heads.L2{}, 1e-2, 1)
	pulled.Penalties = []objectives.WeightPenalty{{Pattern: "*", Lambda: 100}}
	stuck := judging(t, objectives.BatchHard{Soft: true}, heads.L2{}, 1e-9, 1)
	last := stuck.Model.Weights.Get("linear1.weight").Value.Data().([]float32)
	for i := range last {
		last[i] /= 100
	}
	for name, test := range map[string]struct {
		training *trainer.Trainer
		want     string
	}{
		"no movement":         {stuck, "the loss is stuck at 0.69"}, // ln 2
		"a huge penalty":      {pulled, "all images have nearly one embedding"},
		"the hardest at once": {judging(t, objectives.BatchHard{Soft: true}, heads.L2{}, 1, 1), "embedding"},
		"dead units":          {judging(t, objectives.CrossEntropy{}, heads.WeightedL1{Signed: true}, 3, 1), "embedding"},
	} {
		alarms := watched(t, test.training, 200)
		if len(alarms) != 1 || !strings.Contains(alarms[0].Found, test.want) || alarms[0].Try == "" {
			t.Errorf("%s: found %v, expected one alarm with %q", name, alarms, test.want)
		}
	}
}

// Seeds that learn set nothing off, whatever the objective.
func TestHealthySeedsAreNotTold(t *testing.T) {
	skipOneByOne(t)
	healthy := []struct {
		objective objectives.Loss
		head      heads.Head
	}{
		{objectives.Contrastive{Margin: 1}, heads.L2{}},
		{objectives.CrossEntropy{}, heads.WeightedL1{Signed: true}},
		{objectives.Triplet{Margin: 1}, heads.L2{}},
		{objectives.TripletRatio{Scale: 1}, heads.L2{}},
		{objectives.BatchAll{Margin: 0.2}, heads.Cosine{}},
		{objectives.ArcFace{Margin: 28.6, Scale: 64}, heads.Cosine{}},
		{objectives.ProxyAnchor{Margin: 0.1, Scale: 32}, heads.Cosine{}},
	}
	seeds, steps := uint64(len(healthy)), 100
	if testutil.Long() {
		seeds, steps = 2*seeds, 200
	}
	for seed := range seeds {
		judged := healthy[seed%uint64(len(healthy))]
		training := judging(t, judged.objective, judged.head, 3e-3, seed)
		before := auc(t, training.Model, seen)
		alarms := watched(t, training, steps)
		if after := auc(t, training.Model, seen); len(alarms) > 0 || after <= before {
			t.Errorf("seed %d, %s: AUC %.2f before and %.2f after, alarms %v", seed, judged.objective.Name(), before, after, alarms)
		}
	}
}

// A loss that falls to 0 because the classes are far apart is no collapse, also not in a
// training that resumes there. A loss that was 0 from the first step teaches nothing,
// which is told.
func TestLossOfZero(t *testing.T) {
	far := blobs(2, 8, 3)
	for i, pixels := range far.Images { // one class is dark and the other one bright
		for j := range pixels {
			pixels[j] = uint8(20*far.Labels[i]) + pixels[j]/8
		}
	}
	easy := func() *trainer.Trainer {
		training := judging(t, objectives.Triplet{Margin: 2}, heads.L2{}, 1e-2, 1)
		training.Images, training.Checkpoint = far, filepath.Join(t.TempDir(), "checkpoint")
		return training
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	training := easy()
	training.Epochs, training.EpochSteps = 4, 30
	var alarms []trainer.Collapse
	training.OnCollapse = func(c trainer.Collapse) { alarms = append(alarms, c) }
	var first, last float64
	training.OnStep = func(s trainer.Step) {
		if last = s.Loss; s.Number == 1 {
			first = s.Loss
		}
		if s.Number == 60 {
			stop()
		}
	}
	if result, err := training.Run(ctx); err != nil || result.Stopped != trainer.Interrupted || first == 0 || last != 0 {
		t.Fatalf("found the losses %v and %v, %+v, error %v; expected one that falls to 0 and an interruption", first, last, result, err)
	}
	training.Resume = true
	if result := run(t, training); result.Steps != 120 || last != 0 || auc(t, training.Model, far) != 1 {
		t.Errorf("found loss %v after %d steps, expected 0 after 120", last, result.Steps)
	}
	if len(alarms) > 0 {
		t.Errorf("found %v, expected no alarm of classes that are far apart", alarms)
	}

	training = easy()
	for i := range far.Images { // further apart than the margin before the first step
		for j := range far.Images[i] {
			far.Images[i][j] = uint8(255 * far.Labels[i])
		}
	}
	training.Loss = objectives.Triplet{Margin: 1e-9}
	training.OnStep = nil
	if alarms := watched(t, training, 40); len(alarms) != 1 || !strings.Contains(alarms[0].Found, "0 from the first step") {
		t.Errorf("found %v, expected one alarm of a loss that was never above 0", alarms)
	}
}

// What the watch cannot do ends the training with an error that names it: a callback that
// panics, and images that cannot be read.
func TestWatchFails(t *testing.T) {
	training := judging(t, objectives.BatchHard{Soft: true}, heads.L2{}, 1, 1)
	training.Epochs, training.EpochSteps = 4, 50
	training.OnCollapse = panicAt[trainer.Collapse](1)
	if result, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "OnCollapse panics: broken") || result.Steps == 0 {
		t.Errorf("a panic: found %d steps, error %v", result.Steps, err)
	}
	training = judging(t, objectives.Contrastive{Margin: 1}, heads.L2{}, 1, 1)
	training.Images = unreadable{seen}
	training.OnCollapse = func(trainer.Collapse) {}
	if result, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "train: read the image ") || result.Steps != 0 {
		t.Errorf("unreadable images: found %d steps, error %v", result.Steps, err)
	}
}

// unreadable has images that cannot be read.
type unreadable struct{ *datasets.Dataset }

func (unreadable) Read(int, []uint8) error { return errors.New("no such sector") }

func (unreadable) Source(i int) string { return fmt.Sprintf("the image %d", i) }

// Watching changes no bit of what is learned.
func TestWatchingChangesNothing(t *testing.T) {
	plain := newTrainer(t, everything())
	plain.Epochs, plain.EpochSteps = 4, 15
	run(t, plain)
	training := newTrainer(t, everything())
	watched(t, training, 60)
	for name, want := range values(plain.Model) {
		for i, v := range values(training.Model)[name] {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%s differs", name)
			}
		}
	}
}

// Weights of float64 are watched as well.
func TestWatchingFloat64(t *testing.T) {
	training := judging(t, objectives.CrossEntropy{}, heads.WeightedL1{Signed: true}, 1e-3, 1)
	training.Model.Weights = training.Model.Weights.Convert(tensor.Float64)
	if alarms := watched(t, training, 60); len(alarms) > 0 {
		t.Errorf("found %v", alarms)
	}
}

func TestCollapseText(t *testing.T) {
	c := trainer.Collapse{Step: 40, Found: "all embeddings are equal", Try: "a lower learning rate"}
	if found, want := c.String(), "step 40: all embeddings are equal; try a lower learning rate"; found != want {
		t.Errorf("found %q, expected %q", found, want)
	}
}
