package trainer_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// jitter is an augmentation of each image for which any size is large enough.
var jitter = &datasets.Augmentation{Photo: datasets.Photo{Jitter: datasets.ColorJitter{Brightness: 0.4, Contrast: 0.4, Probability: 1}}}

// shift moves each image by up to a pixel.
var shift = datasets.EachImage(datasets.Affine{Translation: 1, Probability: 1})

var withoutLabels = []objectives.Loss{
	objectives.SimCLR{Temperature: 0.1},
	objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1},
	objectives.BarlowTwins{Redundancy: 5e-3},
}

// withoutClasses has no classes at all.
func withoutClasses(images *datasets.Dataset) *datasets.Dataset {
	return &datasets.Dataset{Name: "unlabeled", Size: images.Size, Images: images.Images}
}

// found is the probability that an image which was moved by a pixel is nearer to the image itself
// than to another one.
func found(t *testing.T, model *likeness.Model, images *datasets.Dataset) float64 {
	t.Helper()
	var moved [][]uint8
	for _, pixels := range images.Images {
		right := make([]uint8, len(pixels))
		for i := range right {
			if i%8 > 0 {
				right[i] = pixels[i-1]
			}
		}
		moved = append(moved, right)
	}
	queries, err := model.EmbedPixels(moved)
	if err != nil {
		t.Fatal(err)
	}
	gallery, err := model.EmbedPixels(images.Images)
	if err != nil {
		t.Fatal(err)
	}
	distance, err := model.Head.Distance(model.Weights)
	if err != nil {
		t.Fatal(err)
	}
	farther := 0
	for i, query := range queries {
		own := distance.Between(query, gallery[i])
		for j, other := range gallery {
			if j != i && distance.Between(query, other) > own {
				farther++
			}
		}
	}
	return float64(farther) / float64(len(queries)*(len(queries)-1))
}

// Losses without labels learn what the augmentation leaves: images that were not trained on are
// nearer to themselves after they have been moved than those of the untrained network.
func TestLossesWithoutLabelsTeach(t *testing.T) {
	skipOneByOne(t)
	for _, loss := range withoutLabels {
		model := newModel(t, tiny(), heads.Cosine{})
		untrained := found(t, model, unseen)
		result := run(t, &trainer.Trainer{
			Model: model, Loss: loss, Images: withoutClasses(seen), Batch: 32, Augment: shift,
			Solver: solver.Config{Solver: "adam", LearningRate: 1e-2, Schedule: "cosine"}, Epochs: 2, EpochSteps: 100, Seed: 1,
		})
		if trained := found(t, model, unseen); trained < untrained+0.05 {
			t.Errorf("%s: found %.3f trained and %.3f untrained, expected a gain of 0.05", loss.Name(), trained, untrained)
		}
		if first, last := result.Epochs[0].Loss, result.Epochs[1].Loss; last >= first {
			t.Errorf("%s: found the mean loss %v and then %v, expected it to fall", loss.Name(), first, last)
		}
	}
}

// A training of views with a projection and a regularizer is resumed bit for bit, labels change
// nothing of it, and the saved model has no weights of the projection.
func TestResumeOfViews(t *testing.T) {
	newViews := func(images *datasets.Dataset, checkpoint string) *trainer.Trainer {
		return &trainer.Trainer{
			Model: newModel(t, everything(), heads.Cosine{}), Images: images, Batch: 16, Augment: shift,
			Loss: objectives.Sum{
				{Weight: 0.1, Loss: objectives.KoLeo{}},
				{Weight: 1, Loss: objectives.Projection{Loss: objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1}, Units: []int{12, 6}}},
			},
			Solver: solver.Config{Solver: "adam", LearningRate: 1e-3, Average: 0.9}, Epochs: 2, EpochSteps: 5, Seed: 1, Checkpoint: checkpoint,
		}
	}
	whole := newViews(withoutClasses(seen), "")
	run(t, whole)
	for _, weight := range []string{"loss.2.projection.linear1.weight", "loss.2.projection.batchnorm1.running_mean", "loss.2.projection.linear2.bias"} {
		if len(values(whole.Model)[weight]) == 0 {
			t.Errorf("found no weight %s", weight)
		}
	}
	labeled := newViews(seen, "")
	run(t, labeled)
	if diff := cmp.Diff(values(whole.Model), values(labeled.Model)); diff != "" {
		t.Errorf("labels change the training:\n%s", diff)
	}
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	ctx, cancel := context.WithCancel(context.Background())
	first := newViews(withoutClasses(seen), checkpoint)
	first.OnStep = func(step trainer.Step) {
		if step.Number == 7 {
			cancel()
		}
	}
	if _, err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	second := newViews(withoutClasses(seen), checkpoint)
	second.Resume = true
	run(t, second)
	if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
		t.Errorf("resumed after step 7:\n%s", diff)
	}
	other := newViews(withoutClasses(seen), checkpoint)
	other.Resume = true
	other.Loss.(objectives.Sum)[1].Loss = objectives.Projection{Loss: objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1}, Units: []int{12, 7}}
	if err := other.Check(); err == nil || !strings.Contains(err.Error(), "projection of 12, 6, expected") {
		t.Errorf("another projection: found error %v", err)
	}

	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := whole.Model.Save(path); err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range file.Tensors {
		if strings.HasPrefix(tensor.Name, objectives.WeightPrefix) {
			t.Errorf("the model file has the weight %s of the loss", tensor.Name)
		}
	}
}

// Without an augmentation of each image both views are equal, and one image has nothing to be
// compared with.
func TestViewsRefuse(t *testing.T) {
	for want, change := range map[string]func(*trainer.Trainer){
		"field Augment: found none, but simclr compares two augmented views": func(t *trainer.Trainer) { t.Augment = nil },
		"field Augment: found nothing in Image and Photo": func(t *trainer.Trainer) {
			t.Augment = &datasets.Augmentation{Batch: shift.Image}
		},
		"at least two are needed":                         func(t *trainer.Trainer) { t.Images = withoutClasses(blobs(1, 1, 1)) },
		"simclr: found a batch of 1 image":                func(t *trainer.Trainer) { t.Batch = 1 },
		"it draws pairs, but the loss simclr needs views": func(t *trainer.Trainer) { t.Sampler = datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 1}}) },
	} {
		training := newTrainer(t, tiny())
		training.Loss, training.Images, training.Augment = withoutLabels[0], withoutClasses(seen), shift
		change(training)
		if err := training.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, want %s", err, want)
		}
	}
	training := newTrainer(t, tiny())
	training.Loss, training.Images = objectives.NPair{Temperature: 1}, withoutClasses(seen)
	if err := training.Check(); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Errorf("a loss of labeled images on images without labels: found error %v", err)
	}
}
