//go:build !race

// Thousands of steps of arithmetic: the race detector makes them slow and has
// nothing to find in them that one training does not show.

package trainer_test

import (
	"fmt"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// Whatever objective is given whatever head goes with it, its cost falls, and
// what it teaches holds for classes that it has not seen: the area under the
// ROC curve grows by 0.05 or more.
func TestEveryObjectiveTeachesEveryHead(t *testing.T) {
	skipOneByOne(t)
	taught := 0
	for _, name := range objectives.Names {
		for _, headName := range heads.Names {
			head, err := heads.Named(headName)
			if err != nil {
				t.Fatal(err)
			}
			objective, _, err := objectives.Named(name, headName, objectives.Options{Features: 8})
			if err != nil || objective.Check(head) != nil {
				continue // the two do not go together
			}
			if objective.Kind() == datasets.Views {
				continue // see TestLossesWithoutLabelsTeach
			}
			taught++
			t.Run(fmt.Sprintf("%s/%s", name, headName), func(t *testing.T) {
				if taught%10 != 1 {
					testutil.SkipUnlessLong(t, "every tenth combination stands for the others")
				}
				model := newModel(t, tiny(), head)
				untrained := auc(t, model, unseen)
				result := run(t, &trainer.Trainer{
					Model: model, Loss: objective, Images: seen, Batch: 24,
					Solver: solver.Config{Solver: "adam", LearningRate: 1e-2, Schedule: "cosine"},
					Epochs: 2, EpochSteps: 100, Seed: 1,
				})
				trained := auc(t, model, unseen)
				if trained < untrained+0.05 {
					t.Errorf("AUC on unseen classes: found %.3f trained and %.3f untrained, expected a gain of 0.05", trained, untrained)
				}
				if first, last := result.Epochs[0].Loss, result.Epochs[1].Loss; last >= first {
					t.Errorf("mean cost of the epochs: found %v and then %v, expected it to fall", first, last)
				}
			})
		}
	}
	if want := 97; taught != want {
		t.Errorf("found %d pairs of an objective and a head, expected %d", taught, want)
	}
}
