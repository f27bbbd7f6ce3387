package trainer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/trainer"
)

// trained are the weights after a training in which everything draws chance or
// adds up over threads: distortion, dropout, batch norm, a weight average.
func trained(t *testing.T, seed uint64) map[string][]float32 {
	t.Helper()
	training := newTrainer(t, everything())
	training.Seed = seed
	training.Augment = datasets.EachImage(datasets.Affine{Rotation: 10, Translation: 1, Probability: 0.5})
	training.Solver.Average = 0.9
	run(t, training)
	return values(training.Model)
}

func TestOneSeedGivesTheSameBits(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	want := trained(t, 1)
	for _, threads := range []int{1, 2, 3} {
		graph.SetThreads(threads)
		if diff := cmp.Diff(want, trained(t, 1)); diff != "" {
			t.Errorf("%d threads (-first run +this run):\n%s", threads, diff)
		}
	}
}

func TestAnotherSeedGivesOtherWeights(t *testing.T) {
	if cmp.Equal(trained(t, 1), trained(t, 2)) {
		t.Error("seeds 1 and 2 gave the same weights")
	}
}

// Each image of a pair is distorted in its own way: an image beside itself is
// at distance zero, and is so no longer when the two are distorted.
func TestAugmentDistortsEachTower(t *testing.T) {
	twins := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 0}, {Left: 20, Right: 20}})
	for _, augment := range []*datasets.Augmentation{nil, datasets.EachImage(datasets.Affine{Translation: 1, Probability: 1})} {
		training := newTrainer(t, tiny())
		training.Sampler, training.Batch, training.Augment = twins, 2, augment
		training.OnStep = func(step trainer.Step) {
			if distorted := step.Cost > 0; distorted != (augment != nil) {
				t.Errorf("step %d, distortion %v: found cost %v", step.Number, augment, step.Cost)
			}
		}
		run(t, training)
	}
}
