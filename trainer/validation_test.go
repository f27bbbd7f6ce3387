package trainer_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Verification of all pairs is the area under the ROC curve counted pair by
// pair.
func TestVerificationIsTheAUC(t *testing.T) {
	images := unseen.Subset([]int{0, 1, 2, 12, 13, 24, 25, 26, 36})
	var pairs []datasets.Pair
	for i, label := range images.Labels {
		for j := range i {
			pairs = append(pairs, datasets.Pair{Left: i, Right: j, Different: label != images.Labels[j]})
		}
	}
	model := newModel(t, tiny(), heads.L2{})
	found, err := trainer.VerificationOf(images, pairs).Measure(model)
	if err != nil {
		t.Fatal(err)
	}
	if want := auc(t, model, images); math.Abs(found-want) > 1e-9 {
		t.Errorf("found %v, expected %v", found, want)
	}
}

// Validations are drawn once, from their seed: they give one model one value,
// and a trained model a better one.
func TestValidationsAreDrawnOnce(t *testing.T) {
	untrained := newModel(t, tiny(), heads.L2{})
	training := newTrainer(t, tiny())
	training.EpochSteps, training.Solver.LearningRate = 100, 1e-2
	run(t, training)
	for name, draw := range map[string]func(seed uint64) (trainer.Validation, error){
		"one-shot":     func(seed uint64) (trainer.Validation, error) { return trainer.OneShot(unseen, 5, 40, seed) },
		"verification": func(seed uint64) (trainer.Validation, error) { return trainer.Verification(unseen, 200, seed) },
	} {
		var scores []float64
		for _, seed := range []uint64{1, 1, 2} {
			validate, err := draw(seed)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				score, err := validate.Measure(untrained)
				if err != nil {
					t.Fatal(err)
				}
				scores = append(scores, score)
			}
			score, err := validate.Measure(training.Model)
			if err != nil {
				t.Fatal(err)
			}
			if score < scores[0]+0.1 {
				t.Errorf("%s: found %v trained and %v untrained, expected a gain of 0.1", name, score, scores[0])
			}
		}
		for _, same := range scores[1:4] {
			if same != scores[0] {
				t.Errorf("%s: found %v, expected one value with seed 1 and one with seed 2", name, scores)
			}
		}
		if scores[4] != scores[5] || scores[4] == scores[0] {
			t.Errorf("%s: found %v, expected one value with seed 1 and one with seed 2", name, scores)
		}
	}
}

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
	plain.OnStep = func(step trainer.Step) { costs[0] = append(costs[0], step.Loss) }
	averaged.OnStep = func(step trainer.Step) { costs[1] = append(costs[1], step.Loss) }
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

// Validation by retrieval is the MAP@R of the embeddings, and refuses images without it.
func TestRetrievalValidation(t *testing.T) {
	validation, err := trainer.Retrieval(unseen)
	if err != nil {
		t.Fatal(err)
	}
	model := newModel(t, tiny(), heads.L2{})
	value, err := validation.Measure(model)
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := model.EmbedAll(unseen, nil)
	if err != nil {
		t.Fatal(err)
	}
	metric, err := model.Metric()
	if err != nil {
		t.Fatal(err)
	}
	want, err := evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: embeddings, Labels: unseen.Labels}, 1)
	if err != nil || value != want.MAPAtR.Value || value <= 0 {
		t.Errorf("found %v, expected %v (%v)", value, want.MAPAtR.Value, err)
	}
	other, err := trainer.Retrieval(seen)
	if err != nil || other.Identity() == validation.Identity() {
		t.Errorf("other images have the same identity, %q (%v)", validation.Identity(), err)
	}
	for name, images := range map[string]datasets.Images{"none": nil, "one class": blobs(1, 6, 1), "one image of each class": blobs(6, 1, 1), "no labels": &datasets.Dataset{Size: size, Images: unseen.Images}} {
		if _, err := trainer.Retrieval(images); err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
}
