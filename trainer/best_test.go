package trainer_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// script validates by given values, one an epoch, and notes the weights seen.
func script(seen *[]map[string][]float32, scores ...float64) trainer.Validation {
	return trainer.ValidationFunc("script", func(model *likeness.Model) (float64, error) {
		*seen = append(*seen, values(model))
		return scores[len(*seen)-1], nil
	})
}

func TestPatienceKeepsTheBestEpoch(t *testing.T) {
	for _, average := range []float64{0, 0.9} {
		training := newTrainer(t, everything())
		training.Epochs, training.Patience, training.Solver.Average = 9, 2, average
		var seen []map[string][]float32
		training.Validate = script(&seen, 0.5, 0.7, 0.7, 0.6) // as good is not better
		result := run(t, training)

		var best []bool
		var scores []float64
		for _, epoch := range result.Epochs {
			best, scores = append(best, epoch.Best), append(scores, *epoch.Validation)
		}
		if diff := cmp.Diff([]bool{true, true, false, false}, best); diff != "" {
			t.Errorf("best (-want +found):\n%s", diff)
		}
		if diff := cmp.Diff([]float64{0.5, 0.7, 0.7, 0.6}, scores); diff != "" {
			t.Errorf("validation (-want +found):\n%s", diff)
		}
		if want := "no gain on validation in 2 epochs"; result.BestEpoch != 2 || result.Stopped != want {
			t.Errorf("found best epoch %d, stopped %q, expected 2, %q", result.BestEpoch, result.Stopped, want)
		}
		if diff := cmp.Diff(seen[1], values(training.Model)); diff != "" {
			t.Errorf("average %v: weights (-as validated in epoch 2 +found):\n%s", average, diff)
		}
		if cmp.Equal(seen[1], seen[3]) {
			t.Error("epochs 2 and 4 have the same weights")
		}
	}
}

// Without patience all epochs are run, and a negative score may be the best.
func TestBestEpochWithoutPatience(t *testing.T) {
	training := newTrainer(t, tiny())
	training.Epochs = 3
	var seen []map[string][]float32
	training.Validate = script(&seen, -3, -5, -4)
	result := run(t, training)
	if result.BestEpoch != 1 || len(result.Epochs) != 3 || result.Stopped != "" {
		t.Errorf("found best epoch %d of %d, stopped %q, expected 1 of 3", result.BestEpoch, len(result.Epochs), result.Stopped)
	}
	if diff := cmp.Diff(seen[0], values(training.Model)); diff != "" {
		t.Errorf("weights (-as validated in epoch 1 +found):\n%s", diff)
	}
}

// Under weight averaging it is the average that is validated and that, without
// validation, the model ends with; the steps go on from the weights themselves.
func TestAverage(t *testing.T) {
	for _, validated := range []bool{true, false} {
		training := newTrainer(t, everything())
		training.Epochs, training.Solver.Average = 1, 0.9
		average := solver.Average{Decay: 0.9}
		training.OnStep = func(trainer.Step) {
			if err := average.Update(tensors(training.Model.Weights)); err != nil {
				t.Fatal(err)
			}
		}
		var seen []map[string][]float32
		if validated {
			training.Validate = script(&seen, 1)
		}
		run(t, training)
		found := values(training.Model)
		var want map[string][]float32
		err := average.Evaluate(tensors(training.Model.Weights), func() error {
			want = values(training.Model)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("weights in the end (-average +found):\n%s", diff)
		}
		if validated {
			if diff := cmp.Diff(want, seen[0]); diff != "" {
				t.Errorf("weights validated (-average +found):\n%s", diff)
			}
		}
	}
}

// Averaging looks on: it changes no step.
func TestAverageChangesNoStep(t *testing.T) {
	plain, averaged := newTrainer(t, everything()), newTrainer(t, everything())
	averaged.Solver.Average = 0.9
	var costs [2][]float64
	plain.OnStep = func(step trainer.Step) { costs[0] = append(costs[0], step.Cost) }
	averaged.OnStep = func(step trainer.Step) { costs[1] = append(costs[1], step.Cost) }
	run(t, plain)
	run(t, averaged)
	if diff := cmp.Diff(costs[0], costs[1]); diff != "" {
		t.Errorf("costs (-plain +averaged):\n%s", diff)
	}
}

func TestValidationFails(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		measure func(*likeness.Model) (float64, error)
		want    string
	}{
		{func(*likeness.Model) (float64, error) { return 0, broken }, "validate epoch 1: broken"},
		{func(*likeness.Model) (float64, error) { return math.NaN(), nil }, "validate epoch 1: found NaN, expected a finite number"},
	} {
		training := newTrainer(t, tiny())
		training.Validate = trainer.ValidationFunc("test", test.measure)
		if _, err := training.Run(context.Background()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected %q", err, test.want)
		}
	}
}

func tensors(weights *graph.Weights) map[string]*tensor.Dense {
	tensors := map[string]*tensor.Dense{}
	for _, weight := range weights.All() {
		tensors[weight.Name] = weight.Value
	}
	return tensors
}
