package trainer_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// withMemory trains for 20 steps with a warm-up of 3 steps and a ring of 37 embeddings, which
// batches of 24 images do not divide.
func withMemory(t *testing.T, checkpoint string) *trainer.Trainer {
	t.Helper()
	training := remembering(t, checkpoint)
	training.Model = newModel(t, everything(), heads.Cosine{})
	training.Batch = 24
	training.Loss = objectives.CrossBatchMemory{Loss: objectives.NPair{Temperature: 0.1}, Size: 61, Warmup: 3}
	return training
}

// A training with a memory that is interrupted, in the warm-up, while the ring fills or when it
// is full, ends with the same bits as one that never stopped.
func TestResumeWithMemory(t *testing.T) {
	whole := withMemory(t, "")
	want := run(t, whole)
	for _, last := range []int{2, 4, 11} {
		checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		ctx, cancel := context.WithCancel(context.Background())
		first := withMemory(t, checkpoint)
		first.OnStep = func(step trainer.Step) {
			if step.Number == last {
				cancel()
			}
		}
		if _, err := first.Run(ctx); err != nil {
			t.Fatal(err)
		}
		second := withMemory(t, checkpoint)
		second.Resume = true
		got := run(t, second)
		if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
			t.Fatalf("interrupted after step %d:\n%s", last, diff)
		}
		if diff := cmp.Diff(want.Epochs, got.Epochs, timeless); diff != "" {
			t.Errorf("interrupted after step %d:\n%s", last, diff)
		}
	}
}

// The memory changes the training, from the step after the first that it keeps, and not before.
func TestMemoryChangesTheTraining(t *testing.T) {
	losses := func(loss objectives.Loss) (losses []float64) {
		training := withMemory(t, "")
		training.Loss = loss
		training.OnStep = func(step trainer.Step) { losses = append(losses, step.Loss) }
		run(t, training)
		return losses
	}
	pair := objectives.NPair{Temperature: 0.1}
	alone := losses(pair)
	with := losses(objectives.CrossBatchMemory{Loss: pair, Size: 61, Warmup: 3})
	// Steps 1 to 3 are the warm-up, and step 4 has no earlier batch yet. The gradients of a warm-up
	// are added up in another order, so later losses are those of slightly different weights.
	for step := range 4 {
		if d := with[step] - alone[step]; d > 1e-4 || d < -1e-4 {
			t.Errorf("step %d: loss %v, without a memory %v", step+1, with[step], alone[step])
		}
	}
	// Step 5 compares with 24 more images, most of them negatives.
	if with[4] < alone[4]+0.1 {
		t.Errorf("step 5: loss %v, without a memory %v: expected that of more negatives", with[4], alone[4])
	}
}

// One seed gives the same bits on any number of threads.
func TestMemoryOnThreads(t *testing.T) {
	t.Cleanup(func() { graph.SetThreads(runtime.NumCPU()) })
	var want map[string][]float32
	for _, threads := range []int{1, 2, 5} {
		graph.SetThreads(threads)
		training := withMemory(t, "")
		training.Epochs = 2
		run(t, training)
		if want == nil {
			want = values(training.Model)
		} else if diff := cmp.Diff(want, values(training.Model)); diff != "" {
			t.Errorf("%d threads: %s", threads, diff)
		}
	}
}

// A checkpoint with another memory, without one, or with a damaged one is refused, and so is a
// memory that is not larger than a batch.
func TestMemoryRefused(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	training := withMemory(t, checkpoint)
	training.StopAfter = 1
	run(t, training)
	resumed := func(loss objectives.Loss) error {
		again := withMemory(t, checkpoint)
		again.StopAfter, again.Resume, again.Loss = 1, true, loss
		return again.Check()
	}
	pair, same := objectives.NPair{Temperature: 0.1}, training.Loss
	if err := resumed(same); err != nil {
		t.Fatal(err)
	}
	for name, loss := range map[string]objectives.Loss{
		"none": pair, "another size": objectives.CrossBatchMemory{Loss: pair, Size: 62, Warmup: 3}, "another warm-up": objectives.CrossBatchMemory{Loss: pair, Size: 61},
	} {
		if err := resumed(loss); !errors.Is(err, trainer.ErrOtherTraining) {
			t.Errorf("%s: found %v, expected the error of another training", name, err)
		}
	}
	if err := resumed(objectives.CrossBatchMemory{Loss: pair, Size: 24}); err == nil || !strings.Contains(err.Error(), "found size 24 and 24 images of a batch") {
		t.Errorf("found %v, expected an error about the size", err)
	}

	file, err := safetensors.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	var others []safetensors.Tensor
	for _, found := range file.Tensors {
		if strings.HasPrefix(found.Name, "memory/") {
			shapes[found.Name] = found.Shape
		} else {
			others = append(others, found)
		}
	}
	if diff := cmp.Diff(map[string][]int{"memory/embeddings": {37, 8}, "memory/labels": {37}}, shapes); diff != "" {
		t.Errorf("tensors of the memory: %s", diff)
	}
	file.Tensors = others
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(checkpoint, file); err != nil {
		t.Fatal(err)
	}
	if err := resumed(same); err == nil || !strings.Contains(err.Error(), "cross-batch memory: found 0 tensors") {
		t.Errorf("found %v, expected an error about the missing memory", err)
	}
}

// A network that gives all images one embedding is told by its loss with a full memory, which
// has more negatives than a batch.
func TestCollapseWithMemory(t *testing.T) {
	training := judging(t, objectives.CrossBatchMemory{Loss: objectives.NPair{Temperature: 1}, Size: 200}, heads.L2{}, 1e-9, 1)
	last := training.Model.Weights.Get("linear1.weight").Value.Data().([]float32)
	for i := range last {
		last[i] /= 100
	}
	alarms := watched(t, training, 200)
	if len(alarms) != 1 || !strings.Contains(alarms[0].Found, "stuck") {
		t.Errorf("found %v, expected that the loss is stuck", alarms)
	}
}
