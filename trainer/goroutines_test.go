package trainer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/trainer"
	"go.uber.org/goleak"
)

// However a run ends, nothing of it goes on: neither what prepares its inputs nor
// what runs its graph.
func TestRunLeavesNoGoroutine(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, training *trainer.Trainer){
		"by itself": func(t *testing.T, training *trainer.Trainer) { run(t, training) },
		"by its context": func(t *testing.T, training *trainer.Trainer) {
			ctx, cancel := context.WithCancel(t.Context())
			training.OnStep = func(trainer.Step) { cancel() }
			if result, err := training.Run(ctx); err != nil || result.Stopped != trainer.Interrupted {
				t.Errorf("found %+v, %v", result, err)
			}
		},
		"by a context that has ended": func(t *testing.T, training *trainer.Trainer) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if result, err := training.Run(ctx); err != nil || result.Stopped != trainer.Interrupted {
				t.Errorf("found %+v, %v", result, err)
			}
		},
		"by weights that are not finite": func(t *testing.T, training *trainer.Trainer) {
			training.Solver.LearningRate = 1e39
			if _, err := training.Run(t.Context()); !errors.Is(err, trainer.ErrNotFinite) {
				t.Errorf("found %v", err)
			}
		},
		"by an augmentation that cannot be": func(t *testing.T, training *trainer.Trainer) {
			training.Augment = &datasets.Augmentation{Image: datasets.Distortion{Affine: datasets.Affine{Rotation: -1}}}
			if _, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "Augment") {
				t.Errorf("found %v", err)
			}
		},
		"by a validation that fails": func(t *testing.T, training *trainer.Trainer) {
			broken := errors.New("broken")
			training.Validate = trainer.ValidationFunc("broken", func(*likeness.Model) (float64, error) { return 0, broken })
			if _, err := training.Run(t.Context()); !errors.Is(err, broken) {
				t.Errorf("found %v", err)
			}
		},
		"by a panic of the caller's": func(t *testing.T, training *trainer.Trainer) {
			training.OnStep = func(trainer.Step) { panic("of the caller's") }
			if _, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "OnStep panics: of the caller's") {
				t.Errorf("found %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, testutil.SharedGoroutines(), goleak.IgnoreCurrent())
			training := newTrainer(t, tiny())
			training.Augment = datasets.EachImage(datasets.KochAffine())
			end(t, training)
		})
	}
}
