package trainer_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
)

// By default an epoch looks at as many images as there are: 288 here.
func TestEpochStepsDefault(t *testing.T) {
	for _, test := range []struct {
		objective    objectives.Loss
		batch, steps int
		images       int // in a step
	}{
		{objectives.Contrastive{Margin: 1}, 16, 9, 32},
		{objectives.Triplet{Margin: 1}, 16, 6, 48},
		{objectives.BatchHard{Margin: 1}, 32, 9, 32},
		{objectives.BatchHard{Margin: 1}, 40, 8, 40}, // 7.2, rounded up
		{objectives.Contrastive{Margin: 1}, 200, 1, 400},
	} {
		training := newTrainer(t, tiny())
		training.Loss, training.Batch, training.EpochSteps, training.Epochs = test.objective, test.batch, 0, 1
		var last trainer.Step
		training.OnStep = func(step trainer.Step) { last = step }
		run(t, training)
		if last.Number != test.steps || last.Steps != test.steps || last.Images != test.images {
			t.Errorf("%s, batch %d: found step %d of %d with %d images, expected %d of %d with %d",
				test.objective.Name(), test.batch, last.Number, last.Steps, last.Images, test.steps, test.steps, test.images)
		}
	}
}

func TestWhatIsToldOfStepsAndEpochs(t *testing.T) {
	training := newTrainer(t, tiny())
	var steps []trainer.Step
	var epochs []trainer.Epoch
	training.OnStep = func(step trainer.Step) { steps = append(steps, step) }
	training.OnEpoch = func(epoch trainer.Epoch) {
		if len(steps) != 5*epoch.Epoch {
			t.Errorf("epoch %d was told of after %d steps", epoch.Epoch, len(steps))
		}
		epochs = append(epochs, epoch)
	}
	result := run(t, training)

	var mean [2]float64
	for i, step := range steps {
		want := trainer.Step{Number: i + 1, Steps: 10, Epoch: 1 + i/5, Cost: step.Cost, Images: 32}
		if diff := cmp.Diff(want, step); diff != "" {
			t.Errorf("step (-want +found):\n%s", diff)
		}
		mean[i/5] += step.Cost / 5
	}
	if len(steps) != 10 {
		t.Errorf("found %d steps, expected 10", len(steps))
	}
	if diff := cmp.Diff(result.Epochs, epochs); diff != "" {
		t.Errorf("epochs (-in the result +told):\n%s", diff)
	}
	var seconds float64
	for i, epoch := range epochs {
		if epoch.Epoch != i+1 || math.Abs(epoch.Cost-mean[i]) > 1e-12 || epoch.Rate != 1e-3 || !epoch.Best || epoch.Validation != nil {
			t.Errorf("epoch %d: found %+v, expected a cost of %v, a rate of 0.001, to be the best so far, no validation", i+1, epoch, mean[i])
		}
		if !(epoch.GradientNorm > 0) || !(epoch.ImagesPerSecond > 0) || math.Abs(epoch.ImagesPerSecond*epoch.Seconds-5*32) > 1e-6 {
			t.Errorf("epoch %d: found a gradient of norm %v, %v images/s for %v s, expected 160 images", i+1, epoch.GradientNorm, epoch.ImagesPerSecond, epoch.Seconds)
		}
		seconds += epoch.Seconds
	}
	if math.Abs(result.Seconds-seconds) > 1e-9 || math.Abs(result.ImagesPerSecond*result.Seconds-10*32) > 1e-6 || result.BestEpoch != 2 {
		t.Errorf("found %v images/s for %v s, best epoch %d, expected 320 images in %v s, 2", result.ImagesPerSecond, result.Seconds, result.BestEpoch, seconds)
	}
}

// A second run goes on from the weights of the first, and a threshold of other
// weights is none.
func TestRunAgain(t *testing.T) {
	training := newTrainer(t, tiny())
	threshold := 0.5
	training.Model.Threshold = &threshold
	first := run(t, training)
	if training.Model.Threshold != nil {
		t.Errorf("found the threshold %v after training, expected none", *training.Model.Threshold)
	}
	training.Epochs = 10
	second := run(t, training)
	if first.Epochs[0].Cost <= second.Epochs[9].Cost {
		t.Errorf("mean cost: found %v in the first epoch of the first run and %v in the last of the second, expected it to fall", first.Epochs[0].Cost, second.Epochs[9].Cost)
	}
}
