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
	"github.com/likeness-go/likeness/trainer"
)

// update writes the fixture of the present format, where there is none:
// go test ./trainer -run TestEveryCheckpointFormatIsRead -update
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
