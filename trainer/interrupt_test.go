package trainer_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/trainer"
)

// history are the weights before the first step and after each.
func history(t *testing.T) []map[string][]float32 {
	t.Helper()
	training := newTrainer(t, everything())
	weights := []map[string][]float32{values(training.Model)}
	training.OnStep = func(trainer.Step) { weights = append(weights, values(training.Model)) }
	run(t, training)
	return weights
}

// Whenever the context ends, the weights are those of the last whole step.
func TestInterruptedBetweenSteps(t *testing.T) {
	weights := history(t)
	for last := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		training := newTrainer(t, everything())
		training.OnStep = func(step trainer.Step) {
			if step.Number == last {
				cancel()
			}
		}
		if last == 0 {
			cancel()
		}
		result, err := training.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if result.Stopped != trainer.Interrupted {
			t.Errorf("interrupted in step %d: found %q, expected %q", last, result.Stopped, trainer.Interrupted)
		}
		if epochs := (last + 4) / 5; len(result.Epochs) != epochs || result.BestEpoch != epochs {
			t.Errorf("interrupted in step %d: found %d epochs, the best %d, expected %d", last, len(result.Epochs), result.BestEpoch, epochs)
		}
		if diff := cmp.Diff(weights[last], values(training.Model)); diff != "" {
			t.Errorf("interrupted in step %d (-the weights after it +found):\n%s", last, diff)
		}
	}
}

// The same where the end comes from another goroutine, at any moment.
func TestInterruptedAnywhere(t *testing.T) {
	weights := history(t)
	for trial := range 50 {
		ctx, cancel := context.WithCancel(context.Background())
		training := newTrainer(t, everything())
		steps := 0
		training.OnStep = func(step trainer.Step) {
			if steps = step.Number; steps == 1+trial%9 {
				go cancel()
			}
		}
		result, err := training.Run(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if whole := result.Stopped == ""; whole != (steps == 10) && result.Stopped != trainer.Interrupted {
			t.Errorf("found %q after %d of 10 steps", result.Stopped, steps)
		}
		if diff := cmp.Diff(weights[steps], values(training.Model)); diff != "" {
			t.Errorf("interrupted after %d steps (-the weights after them +found):\n%s", steps, diff)
		}
	}
}
