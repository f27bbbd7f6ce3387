package trainer_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
)

// firstCost is the cost of the first step, and the distances before it of all
// images from one another.
func firstCost(t *testing.T, loss objectives.Loss, images datasets.Images, sampler datasets.Sampler, batch int) (cost float64, distance func(i, j int) float64) {
	t.Helper()
	training := newTrainer(t, tiny())
	training.Loss, training.Images, training.Sampler, training.Batch, training.Epochs, training.EpochSteps = loss, images, sampler, batch, 1, 1
	embeddings, err := training.Model.EmbedAll(seen, nil)
	if err != nil {
		t.Fatal(err)
	}
	between, err := heads.L2{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	training.OnStep = func(step trainer.Step) { cost = step.Cost }
	run(t, training)
	return cost, func(i, j int) float64 { return between.Between(embeddings.Row(i), embeddings.Row(j)) }
}

// A batch of one group trains like any other.
func TestGroupBatches(t *testing.T) {
	grouped := *seen
	grouped.Classes = nil
	for i, name := range seen.Classes {
		grouped.Classes = append(grouped.Classes, fmt.Sprintf("%c/%s", 'A'+i%3, name))
	}
	sampler, err := datasets.GroupBatches(&grouped, 6, 4)
	if err != nil {
		t.Fatal(err)
	}
	if cost, _ := firstCost(t, objectives.NPair{Temperature: 1}, &grouped, sampler, 24); !(cost > 0) {
		t.Errorf("found the loss %v, expected one above zero", cost)
	}
}

// Listed pairs are shown as they are listed, with their labels: the cost is
// that of equation 4 of Hadsell, Chopra & LeCun 2006, worked out pair by pair.
func TestListedPairs(t *testing.T) {
	list := &datasets.PairList{Dataset: seen, Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 2, Right: 40, Different: true}, {Left: 90, Right: 95}}}
	const margin = 5
	cost, distance := firstCost(t, objectives.Contrastive{Margin: margin}, list.Dataset, datasets.ListedPairs(list.Pairs), 3)
	var want float64
	for _, pair := range list.Pairs {
		d := distance(pair.Left, pair.Right)
		if pair.Different {
			d = max(0, margin-d)
		}
		want += d * d / 2 / 3
	}
	if math.Abs(cost-want) > 1e-5*want {
		t.Errorf("found cost %v, expected %v", cost, want)
	}
}

func TestListedTriplets(t *testing.T) {
	list := &datasets.TripletList{Dataset: seen, Triplets: []datasets.Triplet{{Anchor: 0, Positive: 1, Negative: 50}, {Anchor: 30, Positive: 25, Negative: 2}}}
	const margin = 0.5
	cost, distance := firstCost(t, objectives.Triplet{Margin: margin}, list.Dataset, datasets.ListedTriplets(list.Triplets), 2)
	var want float64
	for _, triplet := range list.Triplets {
		want += max(0, distance(triplet.Anchor, triplet.Positive)-distance(triplet.Anchor, triplet.Negative)+margin) / 2
	}
	if math.Abs(cost-want) > 1e-5*want {
		t.Errorf("found cost %v, expected %v", cost, want)
	}
}

// A labeled batch has as many images of each class as asked for, and where
// there are too few classes for that, more images of all of them.
func TestBatchesOfFewClasses(t *testing.T) {
	for _, test := range []struct{ classes, batch, perClass, images int }{
		{24, 32, 0, 32},   // 8 classes × 4
		{24, 30, 0, 28},   // 7 × 4
		{24, 32, 2, 32},   // 16 × 2
		{3, 32, 0, 30},    // 3 × 10
		{2, 64, 8, 64},    // 2 × 32: more than there are, so that some come again
		{24, 9, 4, 8},     // 2 × 4
		{24, 144, 6, 144}, // all 24 × 6
	} {
		objective := objectives.BatchHard{Margin: 0.2}
		images := blobs(test.classes, 12, 1)
		sampler, err := datasets.DefaultSampler(datasets.Labeled, images, test.batch, test.perClass)
		if err != nil {
			t.Fatal(err)
		}
		training := newTrainer(t, tiny())
		training.Loss, training.Images, training.Sampler, training.Batch, training.Epochs, training.EpochSteps = objective, images, sampler, test.batch, 1, 1
		training.OnStep = func(step trainer.Step) {
			if step.Images != test.images {
				t.Errorf("batch of %d, %d a class, of %d classes: found %d images, expected %d", test.batch, test.perClass, test.classes, step.Images, test.images)
			}
		}
		run(t, training)
	}
}
