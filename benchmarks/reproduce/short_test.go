package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/run"
)

// The recorded job short is what likeness train does by default: the same settings give
// the same weights, bit for bit.
func TestShortIsTheDefaultTraining(t *testing.T) {
	for loss, objective := range map[string]string{
		"n-pair": "", "triplet": "batch-all", "ratio": "batch-ratio", "batch-contrastive": "batch-contrastive", "cross-entropy": "batch-cross-entropy",
	} {
		t.Run(loss, func(t *testing.T) {
			testutil.SkipUnlessLong(t, "the settings of both are tested by themselves")
			s := settings{seed: 3, side: side, steps: 10, note: t.Logf}
			splits, err := omniglot.Small1(s.options(""))
			if err != nil {
				t.Fatal(err)
			}
			r, _ := shortRecipe(loss)
			recorded, _, err := r.train(context.Background(), s, splits.Train)
			if err != nil {
				t.Fatal(err)
			}
			settings := run.Settings{Objective: objective, Seed: 3, Epochs: 10, StepsPerEpoch: 1, TestLimit: 1, Out: filepath.Join(t.TempDir(), "run")}
			result, err := run.Train(context.Background(), settings, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(values(recorded.trained), values(result.Model)); diff != "" {
				t.Errorf("weights (-short +default):\n%.600s", diff)
			}
			if diff := cmp.Diff(recorded.trained.Preprocessing, result.Model.Preprocessing); diff != "" {
				t.Errorf("preprocessing (-short +default):\n%s", diff)
			}
			defaults := run.Defaults()
			if loss == "n-pair" && defaults.Epochs*defaults.StepsPerEpoch != shortSteps {
				t.Errorf("found %d epochs of %d steps, expected %d steps", defaults.Epochs, defaults.StepsPerEpoch, shortSteps)
			}
		})
	}
}

func values(model *likeness.Model) map[string][]float32 {
	all := map[string][]float32{}
	for _, weight := range model.Weights.All() {
		all[weight.Name] = weight.Value.Float32s()
	}
	return all
}
