package trainer_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// files is a set of images that are read when a step needs them.
type files struct {
	paths         []string
	labels        []int
	classes       []string
	preprocessing imaging.Preprocessing
}

func (f *files) Len() int                { return len(f.paths) }
func (f *files) Label(i int) int         { return f.labels[i] }
func (f *files) ClassNames() []string    { return f.classes }
func (f *files) ImageSize() imaging.Size { return f.preprocessing.Size }
func (f *files) Source(i int) string     { return f.paths[i] }

func (f *files) Read(i int, pixels []uint8) error {
	decoded, err := imaging.DecodeFile(f.paths[i])
	if err == nil {
		copy(pixels, f.preprocessing.Pixels(decoded))
	}
	return err
}

// neighbors draws triplets whose negative is of the class after the anchor's.
type neighbors struct{ each, classes int } // images of each class, which follow one another

func (n neighbors) Kind() datasets.Kind { return datasets.Triplets }

// Identity names all that decides what is drawn, so that a checkpoint is not resumed with
// other examples.
func (n neighbors) Identity() string {
	return fmt.Sprintf("negatives of the next of %d classes of %d images", n.classes, n.each)
}

func (n neighbors) Sample(r *rand.Rand, count int) datasets.Tuples {
	t := datasets.Tuples{Indices: make([][]int, 3)}
	for range count {
		class := r.IntN(n.classes)
		for tower, of := range []int{class, class, (class + 1) % n.classes} {
			t.Indices[tower] = append(t.Indices[tower], of*n.each+r.IntN(n.each))
		}
	}
	return t
}

// Images of a user's own type, read from files as the steps need them, and triplets
// of a user's own sampler train with validation, augmentation and a checkpoint.
func Example_lazyImages() {
	folder, err := os.MkdirTemp("", "squares")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	images := &files{preprocessing: imaging.Preprocessing{Size: imaging.Size{Height: 8, Width: 8, Channels: 1}}}
	if err := writeSquares(folder, images); err != nil {
		fmt.Println(err)
		return
	}
	network := backbone.Network{Name: "small", Size: images.ImageSize(), Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Activation: "relu"}, graph.Flatten{}, graph.Linear{Units: 8},
	}}
	model, err := likeness.New(network, heads.L2{}, images.preprocessing, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	validation, err := trainer.Verification(images, 200, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	training := trainer.Trainer{
		Model: model, Loss: objectives.Triplet{Margin: 1}, Images: images, Sampler: neighbors{each: 6, classes: 3}, Batch: 16,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-2}, Epochs: 3, EpochSteps: 10,
		Augment:  datasets.EachImage(datasets.Affine{Rotation: 5, Probability: 0.5}),
		Validate: validation, Checkpoint: filepath.Join(folder, "checkpoint.safetensors"),
		OnCollapse: func(c trainer.Collapse) { fmt.Println(c) },
	}
	// The training is interrupted after its first epoch, and resumed.
	ctx, interrupt := context.WithCancel(context.Background())
	training.OnEpoch = func(trainer.Epoch) { interrupt() }
	if _, err := training.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	training.Resume = true
	result, err := training.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(result.Epochs), "epochs, loss fell:", result.Epochs[2].Loss < result.Epochs[0].Loss)
	// Output: 3 epochs, loss fell: true
}

// writeSquares writes the images of squares as PNG files.
func writeSquares(folder string, images *files) error {
	drawn := squares(0, 2, 4)
	images.classes = drawn.Classes
	for i, pixels := range drawn.Images {
		path := filepath.Join(folder, fmt.Sprintf("%d.png", i))
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		gray := &image.Gray{Pix: pixels, Stride: 8, Rect: image.Rect(0, 0, 8, 8)}
		if err := png.Encode(file, gray); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		images.paths, images.labels = append(images.paths, path), append(images.labels, drawn.Labels[i])
	}
	return nil
}
