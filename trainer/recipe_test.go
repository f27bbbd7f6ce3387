package trainer_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// folder writes images as class folders.
func folder(t *testing.T, images *datasets.Dataset) string {
	t.Helper()
	root := t.TempDir()
	for i, pixels := range images.Images {
		class := filepath.Join(root, images.Classes[images.Labels[i]])
		if err := os.MkdirAll(class, 0o755); err != nil {
			t.Fatal(err)
		}
		// The order of files is that of examples, so names are the same each time.
		file, err := os.Create(filepath.Join(class, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		grey := &image.Gray{Pix: pixels, Stride: images.Size.Width, Rect: image.Rect(0, 0, images.Size.Width, images.Size.Height)}
		if err := png.Encode(file, grey); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRecipesUsualChoices(t *testing.T) {
	images := blobs(3, 4, 1)
	images.Size = imaging.Size{Height: 16, Width: 16, Channels: 1} // conv4 halves it four times
	for i, pixels := range images.Images {
		images.Images[i] = append(pixels, make([]uint8, 192)...)
	}
	training, err := trainer.New(images, trainer.Recipe{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(backbone.Conv4(images.Size, 64, true), training.Model.Backbone); diff != "" {
		t.Errorf("backbone (-want +found):\n%s", diff)
	}
	if diff := cmp.Diff(images.Preprocessing(), training.Model.Preprocessing); diff != "" {
		t.Errorf("preprocessing (-want +found):\n%s", diff)
	}
	if head, objective := (heads.L2{}), (objectives.Contrastive{Margin: 1}); training.Model.Head != head || training.Objective != objective {
		t.Errorf("found %v and %v, expected %v and %v", training.Model.Head, training.Objective, head, objective)
	}
	if diff := cmp.Diff(solver.Config{Solver: "adam", LearningRate: 1e-3, Schedule: "cosine"}, training.Solver); diff != "" {
		t.Errorf("solver (-want +found):\n%s", diff)
	}
	if training.Epochs != 5 || training.Seed != 3 {
		t.Errorf("found %d epochs and seed %d, expected 5 and 3", training.Epochs, training.Seed)
	}
}

// The usual margin is that of the network's features, of which residual has 128.
func TestRecipesMarginSuitsTheFeatures(t *testing.T) {
	training, err := trainer.New(blobs(3, 4, 1), trainer.Recipe{Backbone: "residual", Head: "l1"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (objectives.Contrastive{Margin: math.Sqrt(128)}); training.Objective != want {
		t.Errorf("found %+v, expected %+v", training.Objective, want)
	}
}

// A folder of class folders becomes a model in one call, and the same model as
// in single steps; images are brought to the recipe's size.
func TestFolder(t *testing.T) {
	path := folder(t, blobs(3, 4, 1))
	recipe := trainer.Recipe{
		Size: imaging.Size{Height: 20, Width: 20, Channels: 1}, Backbone: "digits",
		Objective: "triplet", Head: "l2", Batch: 4, Epochs: 1, Rate: 1e-3, Seed: 1,
	}
	model, err := trainer.Folder(context.Background(), path, recipe)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := datasets.Open(path, datasets.Options{Size: recipe.Size})
	if err != nil {
		t.Fatal(err)
	}
	training, err := trainer.New(splits.Train, recipe)
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(values(training.Model), values(model)) {
		t.Error("the model has the weights of an untrained one")
	}
	run(t, training)
	if diff := cmp.Diff(values(training.Model), values(model)); diff != "" {
		t.Errorf("weights (-New and Run +Folder):\n%s", diff)
	}
}

func TestRecipeRefuses(t *testing.T) {
	path := folder(t, blobs(2, 2, 1))
	for _, test := range []struct {
		path   string
		recipe trainer.Recipe
		want   string
	}{
		{filepath.Join(path, "nowhere"), trainer.Recipe{}, "nowhere"},
		{path, trainer.Recipe{Backbone: "conv5"}, "conv5"},
		{path, trainer.Recipe{Objective: "contrastve"}, "contrastve"},
		{path, trainer.Recipe{Head: "squared-l2"}, "squared-l2"},
		{path, trainer.Recipe{Batch: -1}, "found a batch of -1"},
		{path, trainer.Recipe{Epochs: -1}, "field Epochs: found -1"},
		{path, trainer.Recipe{Rate: 1e39, Batch: 2}, "training diverged"},
	} {
		model, err := trainer.Folder(context.Background(), test.path, test.recipe)
		if err == nil || model != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found %v, error %v, expected one with %q", model, err, test.want)
		}
	}
	if _, err := trainer.New(blobs(1, 4, 1), trainer.Recipe{Backbone: "residual"}); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("one class: found error %v, expected ErrTooFew", err)
	}
	if _, err := trainer.New(nil, trainer.Recipe{}); err == nil {
		t.Error("no images: found no error")
	}
}
