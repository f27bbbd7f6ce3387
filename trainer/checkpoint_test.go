package trainer_test

import (
	"context"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// remembering has all that a training remembers: batch norm, dropout, an average
// of weights, distortion, the best weights on validation.
func remembering(t *testing.T, checkpoint string) *trainer.Trainer {
	t.Helper()
	training := newTrainer(t, everything())
	training.Epochs = 4
	training.Solver.Average, training.Solver.Schedule = 0.9, "cosine"
	training.Augment = datasets.EachImage(datasets.Affine{Rotation: 10, Probability: 0.5})
	var err error
	if training.Validate, err = trainer.Verification(unseen, 100, 1); err != nil {
		t.Fatal(err)
	}
	training.Checkpoint = checkpoint
	return training
}

// timeless leaves out of a result what no two runs have in common.
var timeless = cmpopts.IgnoreFields(trainer.Epoch{}, "Seconds", "ImagesPerSecond")

// An earlier version did not freeze the batch norm with its convolution. A training that
// it began continues as it began, with a warning; one that this version began with less
// frozen is another training.
func TestCheckpointsOfEarlierFreezing(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	freezing := func(checkpoint string, patterns ...string) *trainer.Trainer {
		training := remembering(t, checkpoint)
		if err := training.Model.Weights.Freeze(patterns...); err != nil {
			t.Fatal(err)
		}
		return training
	}
	whole := freezing("", "conv1.weight", "conv1.bias")
	want := run(t, whole)
	ctx, cancel := context.WithCancel(context.Background())
	first := freezing(checkpoint, "conv1.weight", "conv1.bias")
	first.OnEpoch = func(trainer.Epoch) { cancel() }
	if _, err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	resumed := freezing(checkpoint, "conv1")
	resumed.Resume = true
	if _, err := resumed.Run(context.Background()); !errors.Is(err, trainer.ErrOtherTraining) {
		t.Fatalf("found the error %v, expected that of another training", err)
	}
	file, err := safetensors.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	delete(file.Metadata, "likeness.freezing") // which earlier versions did not write
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(checkpoint, file); err != nil {
		t.Fatal(err)
	}
	if err := resumed.Check(); err != nil {
		t.Fatal(err)
	}
	if !resumed.Model.Weights.Get("norm1.weight").Frozen {
		t.Error("Check has changed the model")
	}
	var warnings []string
	resumed.OnWarning = func(warning string) { warnings = append(warnings, warning) }
	got := run(t, resumed)
	if diff := cmp.Diff(want, got, timeless, cmpopts.IgnoreFields(trainer.Result{}, "Seconds", "ImagesPerSecond")); diff != "" {
		t.Errorf("(-whole +resumed):\n%s", diff)
	}
	if diff := cmp.Diff(values(whole.Model), values(resumed.Model)); diff != "" {
		t.Errorf("weights (-whole +resumed):\n%s", diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "norm1.") {
		t.Errorf("found the warnings %q, expected one that names norm1", warnings)
	}
}

// Whenever a training is interrupted and gone on with, it comes to the same
// weights and the same epochs as one that never stopped.
func TestResumeIsTheSameBitForBit(t *testing.T) {
	whole := remembering(t, "")
	want := run(t, whole)
	for last := range 20 {
		if !testutil.Long() && last%7 != 0 {
			continue
		}
		checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		ctx, cancel := context.WithCancel(context.Background())
		first := remembering(t, checkpoint)
		first.OnStep = func(step trainer.Step) {
			if step.Number == last {
				cancel()
			}
		}
		if last == 0 {
			cancel()
		}
		if _, err := first.Run(ctx); err != nil {
			t.Fatal(err)
		}
		second, steps := remembering(t, checkpoint), 0
		second.Resume = true
		second.OnStep = func(trainer.Step) { steps++ }
		got := run(t, second)
		if steps != 20-last {
			t.Errorf("interrupted after step %d: went on with %d steps, expected %d", last, steps, 20-last)
		}
		if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
			t.Fatalf("interrupted after step %d:\n%s", last, diff)
		}
		if diff := cmp.Diff(want.Epochs, got.Epochs, timeless); diff != "" {
			t.Errorf("interrupted after step %d:\n%s", last, diff)
		}
		if want.BestEpoch != got.BestEpoch || got.Stopped != "" {
			t.Errorf("interrupted after step %d: best epoch %d, stopped %q, expected %d and nothing", last, got.BestEpoch, got.Stopped, want.BestEpoch)
		}
	}
}

// What a killed training leaves is the checkpoint of an epoch: it is gone on from
// like any other.
func TestResumeFromEveryEpoch(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	whole := remembering(t, checkpoint)
	var left [][]byte // after each epoch
	whole.OnEpoch = func(trainer.Epoch) {
		content, err := os.ReadFile(checkpoint)
		if err != nil {
			t.Error(err)
		}
		left = append(left, content)
	}
	run(t, whole)
	for i, content := range left {
		if err := os.WriteFile(checkpoint, content, 0o666); err != nil {
			t.Fatal(err)
		}
		second := remembering(t, checkpoint)
		second.Resume = true
		var told int
		second.OnResume = func(done []trainer.Epoch) { told = len(done) }
		run(t, second)
		if told != i+1 {
			t.Errorf("told of %d epochs, expected %d", told, i+1)
		}
		if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
			t.Fatalf("after epoch %d:\n%s", i+1, diff)
		}
	}
}

// Without a checkpoint there is nothing to go on from, and it begins.
func TestResumeWithoutCheckpointBegins(t *testing.T) {
	training := remembering(t, filepath.Join(t.TempDir(), "checkpoint.safetensors"))
	training.Resume = true
	if result := run(t, training); len(result.Epochs) != 4 {
		t.Errorf("found %d epochs, expected 4", len(result.Epochs))
	}
}

// A checkpoint of other settings, other images or another network is refused by
// the name of what differs, and the model keeps its weights.
func TestResumeRefuses(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	run(t, remembering(t, checkpoint))
	for name, test := range map[string]struct {
		change func(*trainer.Trainer)
		want   string
	}{
		"seed":      {func(tr *trainer.Trainer) { tr.Seed = 2 }, "seed: found 1, expected 2"},
		"precision": {func(tr *trainer.Trainer) { tr.Precision = graph.BFloat16 }, "precision: found none, expected bfloat16"},
		"epochs":    {func(tr *trainer.Trainer) { tr.Epochs = 5 }, "epochs: found 4, expected 5"},
		"solver":    {func(tr *trainer.Trainer) { tr.Solver.LearningRate = 0.5 }, "solver, Rate: found 0.001, expected 0.5"},
		"objective": {func(tr *trainer.Trainer) { tr.Loss = objectives.Contrastive{Margin: 2} }, "parameters of the objective, Margin: found 1, expected 2"},
		"images": {func(tr *trainer.Trainer) {
			tr.Images = unseen
		}, "images: found 288 of digest"},
		"network": {func(tr *trainer.Trainer) { tr.Model = newModel(t, tiny(), tr.Model.Head) }, "backbone, block: found"},
	} {
		training := remembering(t, checkpoint)
		training.Resume = true
		test.change(training)
		before := values(training.Model)
		_, err := training.Run(context.Background())
		if !errors.Is(err, trainer.ErrOtherTraining) {
			t.Errorf("%s: found %v, expected ErrOtherTraining", name, err)
		}
		expectMessage(t, name, err, test.want)
		if diff := cmp.Diff(before, values(training.Model)); diff != "" {
			t.Errorf("%s: the weights have changed:\n%s", name, diff)
		}
	}
	broken := remembering(t, checkpoint)
	broken.Resume = true
	if err := os.WriteFile(checkpoint, []byte("no tensors"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := broken.Run(context.Background())
	expectMessage(t, "broken file", err, checkpoint)
	broken.Checkpoint = ""
	_, err = broken.Run(context.Background())
	expectMessage(t, "no file", err, "field Resume: it is set, but the field Checkpoint")
}

func expectMessage(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: found %v, expected %q", name, err, want)
	}
}

// update writes the fixture of the current format if there is none: go test ./trainer
// -run TestEveryCheckpointFormatIsRead -update
var update = flag.Bool("update", false, "write the checkpoint of the present format to testdata")

// checkpoints are the formats that there ever were, the newest last. A fixture is
// written once, by the program whose format it is, and never again: it holds
// remembering after its seventh step, and beside it are the weights of
// "norm1.weight" that the training comes to.
var checkpoints = []string{"checkpoint-1", "checkpoint-2"}

// A training goes on from a checkpoint of any format, and comes to what it would
// have come to.
func TestEveryCheckpointFormatIsRead(t *testing.T) {
	for i, name := range checkpoints {
		fixture := filepath.Join("testdata", name+".safetensors")
		answer := filepath.Join("testdata", name+".json")
		if *update && i == len(checkpoints)-1 {
			writeCheckpoint(t, fixture, answer)
		}
		checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		content, err := os.ReadFile(fixture)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(checkpoint, content, 0o666); err != nil {
			t.Fatal(err)
		}
		training, steps := remembering(t, checkpoint), 0
		training.Resume = true
		training.OnStep = func(trainer.Step) { steps++ }
		var warnings []string
		training.OnWarning = func(message string) { warnings = append(warnings, message) }
		run(t, training)
		if earlier := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "written by an earlier version") }); earlier != (i < len(checkpoints)-1) {
			t.Errorf("%s: found the warnings %q", name, warnings)
		}
		if steps != 13 {
			t.Errorf("%s: found %d more steps, expected 13", name, steps)
		}
		var want []float32
		text, err := os.ReadFile(answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		// Other instructions round otherwise.
		near := cmp.Comparer(func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-4 })
		if diff := cmp.Diff(want, values(training.Model)["norm1.weight"], near); diff != "" {
			t.Errorf("%s (-want +found):\n%s", name, diff)
		}
	}
}

func writeCheckpoint(t *testing.T, fixture, answer string) {
	t.Helper()
	if _, err := os.Stat(fixture); err == nil {
		t.Fatalf("%s is there already: a fixture is never written again", fixture)
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := remembering(t, fixture)
	first.OnStep = func(step trainer.Step) {
		if step.Number == 7 {
			cancel()
		}
	}
	if _, err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	whole := remembering(t, "")
	run(t, whole)
	text, err := json.Marshal(values(whole.Model)["norm1.weight"])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answer, append(text, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
}

// A checkpoint of a format to come is refused with both versions.
func TestAFutureCheckpointIsRefused(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "checkpoint-1.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	future := strings.Replace(string(content), "likeness-checkpoint/1", "likeness-checkpoint/9", 1)
	if err := os.WriteFile(checkpoint, []byte(future), 0o666); err != nil {
		t.Fatal(err)
	}
	training := remembering(t, checkpoint)
	training.Resume = true
	_, err = training.Run(context.Background())
	expectMessage(t, "future", err, checkpoint)
	expectMessage(t, "future", err, `found "likeness-checkpoint/9", expected "likeness-checkpoint/2" or "likeness-checkpoint/1"`)
}
