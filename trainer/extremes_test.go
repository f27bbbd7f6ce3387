package trainer_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// extreme is a training at the end of what numbers can be. It must come to its
// end, or to an error that says why; must says which, where it is known.
type extreme struct {
	name    string
	images  func() *datasets.Dataset
	options objectives.Options
	prepare func(*trainer.Trainer)
	must    string // "train" or "diverge"; empty for either
}

func nothing(*trainer.Trainer) {}

// painted are three classes of four images, all of whose pixels have a value.
func painted(value uint8) func() *datasets.Dataset {
	return func() *datasets.Dataset {
		d := blobs(3, 4, 1)
		for _, image := range d.Images {
			for i := range image {
				image[i] = value
			}
		}
		return d
	}
}

func few() *datasets.Dataset { return blobs(3, 4, 1) }

// weights sets every learned weight to a value.
func weights(value float32) func(*trainer.Trainer) {
	return func(training *trainer.Trainer) {
		for _, weight := range training.Model.Weights.All() {
			if weight.Trainable() {
				if err := weight.Value.Memset(value); err != nil {
					panic(err)
				}
			}
		}
	}
}

func deviation(value float64) func(*trainer.Trainer) {
	return func(training *trainer.Trainer) { training.Model.Preprocessing.StdDev = []float64{value} }
}

func rate(name string, value float64) func(*trainer.Trainer) {
	return func(training *trainer.Trainer) {
		training.Solver = solver.Config{Solver: name, LearningRate: value, Average: 0.9}
	}
}

var extremes = []extreme{
	{"black images", painted(0), objectives.Options{}, nothing, "train"},
	{"one image again and again", painted(200), objectives.Options{}, nothing, "train"},
	{"weights of zero: all distances are", few, objectives.Options{}, weights(0), "train"},
	{"denormal weights", few, objectives.Options{}, weights(1e-42), "train"},
	// The gradient of a direction by a vector of length 1e-39 is beyond float32.
	{"denormal inputs", few, objectives.Options{}, deviation(1e40), ""},
	{"huge weights", few, objectives.Options{}, weights(1e12), ""},
	{"the hugest weights", few, objectives.Options{}, weights(math.MaxFloat32), "diverge"},
	{"huge inputs", few, objectives.Options{}, deviation(1e-15), ""},
	{"infinite inputs", few, objectives.Options{}, deviation(1e-300), "diverge"},
	{"a huge margin", few, objectives.Options{Margin: 1e30}, nothing, ""},
	{"the hugest margin", few, objectives.Options{Margin: math.MaxFloat64}, nothing, ""},
	{"a tiny margin", few, objectives.Options{Margin: 5e-324}, nothing, "train"},
	{"a huge scale", few, objectives.Options{Scale: 1e300}, nothing, ""},
	{"a tiny temperature", few, objectives.Options{Temperature: 1e-30}, nothing, ""},
	{"the tiniest temperature", few, objectives.Options{Temperature: 5e-324}, nothing, ""},
	{"a huge temperature", few, objectives.Options{Temperature: 1e300}, nothing, "train"},
	{"a huge rate", few, objectives.Options{}, rate("sgd", 1e25), ""},
	{"a huge rate of adam", few, objectives.Options{}, rate("adam", 1e25), ""},
	{"a rate beyond float32", few, objectives.Options{}, rate("sgd", 1e300), ""},
}

// eachCombination calls f for each head that goes with each objective.
func eachCombination(options objectives.Options, f func(objective objectives.Loss, head heads.Head)) (combinations int) {
	for _, name := range objectives.Names {
		for _, with := range heads.Names {
			options.Features = 8
			objective, head, err := objectives.Named(name, with, options)
			if err != nil {
				continue // they do not go together, or have no such option
			}
			f(objective, head)
			combinations++
		}
	}
	return combinations
}

// With every second combination of an objective and a head (without LIKENESS_LONG every
// thirtieth; other ones at each extreme), a training at an extreme ends with
// weights that are numbers, or stops and says at which step, and nothing that it
// leaves behind holds anything else: neither the model nor a checkpoint nor a
// saved file.
func TestExtremes(t *testing.T) {
	skipOneByOne(t)
	for i, extreme := range extremes {
		t.Run(extreme.name, func(t *testing.T) {
			tried := i // so that all combinations take part in some
			combinations := eachCombination(extreme.options, func(objective objectives.Loss, head heads.Head) {
				if tried++; testutil.Long() && tried%2 == 0 || tried%30 == 1 {
					extreme := extreme
					// The gradient of a direction by a vector of length 1e-42 is beyond float32. That
					// of directions which are all equal is zero, but class vectors have others.
					if _, vectors := objective.(objectives.ClassVectorLoss); vectors && extreme.name == "denormal weights" {
						extreme.must = ""
					}
					extreme.run(t, objective, head)
				}
			})
			if combinations == 0 {
				t.Error("found no objective and head to train with")
			}
		})
	}
}

// samplerFor draws six pairs, triplets or images, two of each class.
func samplerFor(loss objectives.Loss, images datasets.Images) (datasets.Sampler, error) {
	return datasets.DefaultSampler(loss.Kind(), images, 6, 2)
}

func (e extreme) run(t *testing.T, objective objectives.Loss, head heads.Head) {
	t.Helper()
	name := objective.Name() + " with " + head.Name()
	images := e.images()
	sampler, err := samplerFor(objective, images)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	training := &trainer.Trainer{
		Model: newModel(t, normed(), head), Loss: objective, Images: images, Sampler: sampler, Batch: 6,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-2, Average: 0.9}, Epochs: 2, EpochSteps: 2, Seed: 1,
		Checkpoint: filepath.Join(t.TempDir(), "checkpoint.safetensors"),
	}
	training.Model.Preprocessing = images.Preprocessing()
	if objective.Kind() == datasets.Views {
		training.Augment = jitter
	}
	e.prepare(training)
	_, err = training.Run(context.Background())
	switch {
	case err == nil && e.must == "diverge":
		t.Errorf("%s: it trained, expected that it stops with a reason", name)
	case err != nil && e.must == "train":
		t.Errorf("%s: %v", name, err)
	case err != nil && !(errors.Is(err, trainer.ErrNotFinite) && strings.Contains(err.Error(), "step ")):
		t.Errorf("%s: found %v, expected ErrNotFinite with the step", name, err)
	}
	expectFinite(t, name, training)
}

// normed is a network whose batch norm keeps statistics.
func normed() backbone.Network {
	return backbone.Network{Name: "normed", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		graph.Flatten{}, graph.Linear{Units: 8, Weight: graph.Normal(0, 0.03)},
	}}
}

// expectFinite looks at all that a training leaves behind.
func expectFinite(t *testing.T, name string, training *trainer.Trainer) {
	t.Helper()
	for weight, elements := range values(training.Model) {
		if !finite(elements) {
			t.Errorf("%s: weight %s is not finite", name, weight)
		}
	}
	if _, err := os.Stat(training.Checkpoint); err == nil {
		expectFiniteFile(t, name, training.Checkpoint)
	}
	path := filepath.Join(filepath.Dir(training.Checkpoint), "model.safetensors")
	if err := training.Model.Save(path); err == nil {
		expectFiniteFile(t, name, path)
		if _, err := likeness.Load(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	} else if !strings.Contains(err.Error(), "expected a finite number") {
		t.Errorf("%s: %v", name, err)
	}
}

func expectFiniteFile(t *testing.T, name, path string) {
	t.Helper()
	file, err := safetensors.ReadFile(path)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, tensor := range file.Tensors {
		if elements, ok := tensor.Data.([]float32); ok && !finite(elements) {
			t.Errorf("%s: %s: tensor %s is not finite", name, filepath.Base(path), tensor.Name)
		}
	}
}

func finite(elements []float32) bool {
	for _, v := range elements {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}

// Classes that leave nothing to compare are refused before the first step, with
// the reason, for every objective.
func TestTooFewIsRefused(t *testing.T) {
	for name, images := range map[string]*datasets.Dataset{
		"one class":            blobs(1, 8, 1),
		"one image in a class": blobs(4, 1, 1),
		"one image":            blobs(1, 1, 1),
		"no images":            {Name: "none", Size: size, Classes: []string{"a", "b"}, Labels: []int{}},
	} {
		eachCombination(objectives.Options{}, func(objective objectives.Loss, head heads.Head) {
			if objective.Kind() == datasets.Views && images.Len() > 1 {
				return // classes are of no importance
			}
			_, err := samplerFor(objective, images)
			if err == nil || !strings.Contains(err.Error(), "image") {
				t.Errorf("%s, %s: found %v, expected the reason", name, objective.Name(), err)
			}
		})
	}
}

// Images of one pixel are trained on like others, by every objective; with every head only
// with LIKENESS_LONG.
func TestImagesOfOnePixel(t *testing.T) {
	skipOneByOne(t)
	one := imaging.Size{Height: 1, Width: 1, Channels: 1}
	images := &datasets.Dataset{Name: "pixels", Size: one}
	for class := range 3 {
		images.Classes = append(images.Classes, fmt.Sprint(class))
		for i := range 4 {
			images.Images, images.Labels = append(images.Images, []uint8{uint8(80*class + i)}), append(images.Labels, class)
		}
	}
	network := backbone.Network{Name: "pixel", Size: one, Blocks: []graph.Block{
		graph.Conv{Filters: 3, Kernel: 1, NoBias: true, BatchNorm: true, Activation: "relu"}, graph.Flatten{}, graph.Linear{Units: 8},
	}}
	tried := map[string]bool{}
	eachCombination(objectives.Options{}, func(objective objectives.Loss, head heads.Head) {
		if tried[objective.Name()] && !testutil.Long() {
			return
		}
		tried[objective.Name()] = true
		sampler, err := samplerFor(objective, images)
		if err != nil {
			t.Fatal(err)
		}
		model, err := likeness.New(network, head, images.Preprocessing(), 1)
		if err != nil {
			t.Fatal(err)
		}
		training := &trainer.Trainer{
			Model: model, Loss: objective, Images: images, Sampler: sampler, Batch: 6, Seed: 1, Epochs: 1, EpochSteps: 2,
			Solver: solver.Config{Solver: "adam", LearningRate: 1e-2}, Checkpoint: filepath.Join(t.TempDir(), "checkpoint.safetensors"),
		}
		if objective.Kind() == datasets.Views {
			training.Augment = jitter
		}
		if _, err := training.Run(context.Background()); err != nil {
			t.Errorf("%s with %s: %v", objective.Name(), head.Name(), err)
		}
		expectFinite(t, objective.Name(), training)
	})
}
