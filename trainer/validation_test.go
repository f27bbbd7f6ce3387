package trainer_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/trainer"
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
