package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// The settings of the training, chosen on the validation classes.
const (
	miniClasses     = 64 // of a batch
	miniPerClass    = 2
	miniEpoch       = 100 // steps
	miniTemperature = 0.1
	miniRate        = 0.1
	miniL2          = 2.5e-4
)

const miniEpisodes = 2000

var miniSize = imaging.Size{Height: 84, Width: 84, Channels: 3}

// miniImageNet trains Conv4 from scratch on the training classes of miniImageNet and
// classifies images of the test classes from one and from five examples of each class.
func miniImageNet(o options) error {
	start := time.Now()
	train, err := o.part("train")
	if err != nil {
		return err
	}
	held, name, err := o.measured()
	if err != nil {
		return err
	}
	mean, deviation, err := datasets.Moments(train)
	if err != nil {
		return err
	}
	preprocessing := imaging.Preprocessing{Size: miniSize, Mean: mean, StdDev: deviation}
	var rows strings.Builder
	fmt.Fprintf(&rows, "| 5-way, %d episodes of 15 queries per class | 1-shot | 5-shot |\n|---|---|---|\n", miniEpisodes)
	row := func(name string, scores [2]evaluate.Estimate) {
		fmt.Fprintf(&rows, "| %s |", name)
		for _, s := range scores {
			fmt.Fprintf(&rows, " %.2f [%.2f, %.2f] |", 100*s.Value, 100*s.Low, 100*s.High)
		}
		fmt.Fprintln(&rows)
	}
	row("prototypical networks (Snell, Swersky & Zemel 2017, table 2)", [2]evaluate.Estimate{{Value: 0.4942, Low: 0.4864, High: 0.5020}, {Value: 0.6820, Low: 0.6754, High: 0.6886}})
	var files pictures
	for i := range held.Len() {
		files.files, files.labels = append(files.files, held.Source(i)), append(files.labels, held.Label(i))
	}
	pixels, err := rawPixels(files)
	if err != nil {
		return err
	}
	scores, err := fewShot(pixels.Embeddings, held)
	if err != nil {
		return err
	}
	row("raw pixels, 32×32, cosine", scores)
	var took []string
	for seed := uint64(1); seed <= uint64(o.seeds); seed++ {
		t, err := o.miniTrainer(train, held, preprocessing, seed)
		if err != nil {
			return err
		}
		untrained, err := run.Untrained(t)
		if err != nil {
			return err
		}
		if scores, err = measureFewShot(untrained, train, held); err != nil {
			return err
		}
		row(fmt.Sprintf("Conv4, untrained, seed %d", seed), scores)
		before := processorTime()
		result, err := t.Run(context.Background())
		if err != nil {
			return err
		}
		took = append(took, fmt.Sprintf("%.0f min of processor time, that is %.0f min of two processors (%.0f min passed)", (processorTime()-before).Minutes(), (processorTime()-before).Minutes()/2, result.Seconds/60))
		if err := t.Model.Save(o.save); err != nil {
			return err
		}
		if scores, err = measureFewShot(t.Model, train, held); err != nil {
			return err
		}
		row(fmt.Sprintf("Conv4, trained, seed %d", seed), scores)
		fmt.Print(rows.String())
	}
	if o.validate {
		return nil
	}
	return record.Record{
		Title:   "Conv4 from scratch on miniImageNet",
		Command: fmt.Sprintf("go run ./benchmarks/photographs miniimagenet -data %s -seeds %d -epochs %d", filepath.Base(o.data), o.seeds, o.epochs),
		Took:    time.Since(start),
		Result: fmt.Sprintf("64 classes for training, 16 for the choice of the settings, 20 for testing (the split of Ravi & Larochelle 2017), 600 JPEG\nfiles of 84×84 pixels each, in the folders train, val and test of -data. Measured on the classes of %s. ", name) +
			fmt.Sprintf("Four blocks of 64\nfilters, the last without ReLU; normalized softmax over the 64 classes, %d steps of %d images, augmented. ", o.epochs*miniEpoch, miniClasses*miniPerClass) +
			"An embedding\nis that of the image plus that of its mirror image, less the mean of the training images, scaled to length 1; a query belongs to\nthe class with the nearest mean of the examples. Intervals are of 95 % and resample the query images.\n\n" +
			rows.String() + "\nTraining by seed: " + strings.Join(took, "; ") + ".\n",
	}.WriteFile(filepath.Join(o.out, "photographs-miniimagenet.md"))
}

// part returns the images of a folder of -data with a folder for each class.
func (o options) part(name string) (*datasets.Files, error) {
	folder := filepath.Join(o.data, name)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, errors.Wrap(err, "read -data")
	}
	var references []datasets.Reference
	var classes []string
	for _, entry := range entries {
		found, err := imaging.Find(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, errors.Wrap(err, "read -data")
		}
		for _, file := range found.Files {
			references = append(references, datasets.Reference{Path: file, Class: len(classes)})
		}
		classes = append(classes, entry.Name())
	}
	return datasets.NewFiles(references, classes, imaging.Preprocessing{Size: miniSize}, math.MaxInt64)
}

// measured returns the images on which the network is measured: those of the test classes,
// or of the validation classes to choose settings.
func (o options) measured() (*datasets.Files, string, error) {
	name := "test"
	if o.validate {
		name = "val"
	}
	files, err := o.part(name)
	return files, name, err
}

func (o options) miniTrainer(train, held datasets.Images, p imaging.Preprocessing, seed uint64) (*trainer.Trainer, error) {
	block := graph.Conv{Filters: 64, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2}
	last := block
	last.Activation = "" // cosines of vectors without negative values are less expressive
	network := backbone.Network{Name: "conv4", Size: miniSize, Blocks: []graph.Block{block, block, block, last, graph.Flatten{}}}
	model, err := likeness.New(network, heads.Cosine{}, p, seed)
	if err != nil {
		return nil, err
	}
	sampler, err := datasets.ClassBatches(train, miniClasses, miniPerClass)
	if err != nil {
		return nil, err
	}
	return &trainer.Trainer{
		Model: model, Loss: objectives.NormalizedSoftmax{Temperature: miniTemperature}, Images: train, Sampler: sampler, Batch: miniClasses * miniPerClass,
		Solver: solver.Config{Solver: "sgd", LearningRate: miniRate, Momentum: 0.9, Nesterov: true, L2: miniL2, Schedule: "cosine", Warmup: 2},
		Epochs: o.epochs, EpochSteps: miniEpoch, Seed: seed,
		Augment: &datasets.Augmentation{Photo: datasets.Photo{
			Crop:           datasets.RandomResizedCrop{ScaleMin: 0.5, ScaleMax: 1},
			HorizontalFlip: 0.5,
			Jitter:         datasets.ColorJitter{Brightness: 0.2, Contrast: 0.2, Saturation: 0.2, Probability: 0.8},
		}},
		OnEpoch: func(e trainer.Epoch) {
			fmt.Fprintf(os.Stderr, "epoch %d of %d: loss %.3f, %.0f images/s, %.0f min of processor time\n", e.Epoch, o.epochs, e.Loss, e.ImagesPerSecond, processorTime().Minutes())
			if o.validate && e.Epoch%5 == 0 {
				scores, err := measureFewShot(model, train, held)
				fmt.Fprintln(os.Stderr, "validation:", scores, err)
			}
		},
	}, nil
}

// processorTime is the time that this process has used on all processors.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// mirrored are images with left and right exchanged.
type mirrored struct{ datasets.Images }

func (m mirrored) Read(i int, pixels []uint8) error {
	if err := m.Images.Read(i, pixels); err != nil {
		return err
	}
	size := m.ImageSize()
	for y := range size.Height {
		row := pixels[y*size.Width*size.Channels:][:size.Width*size.Channels]
		for left, right := 0, size.Width-1; left < right; left, right = left+1, right-1 {
			for c := range size.Channels {
				a, b := left*size.Channels+c, right*size.Channels+c
				row[a], row[b] = row[b], row[a]
			}
		}
	}
	return nil
}

// some are the images of the given places.
type some struct {
	datasets.Images
	places []int
}

func (s some) Len() int                         { return len(s.places) }
func (s some) Label(i int) int                  { return s.Images.Label(s.places[i]) }
func (s some) Read(i int, pixels []uint8) error { return s.Images.Read(s.places[i], pixels) }
func (s some) Source(i int) string              { return s.Images.Source(s.places[i]) }

// twoViews are the sums of the normalized embeddings of images and their mirror images.
func twoViews(model *likeness.Model, images datasets.Images) (evaluate.Embeddings, error) {
	sum, err := model.EmbedAll(images, nil)
	if err != nil {
		return sum, err
	}
	other, err := model.EmbedAll(mirrored{images}, nil)
	if err != nil {
		return sum, err
	}
	normalize(sum)
	normalize(other)
	for i, v := range other.Data {
		sum.Data[i] += v
	}
	return sum, nil
}

// normalize scales each row to length 1.
func normalize(e evaluate.Embeddings) {
	for i := range e.Rows {
		row, squares := e.Row(i), 0.0
		for _, v := range row {
			squares += float64(v) * float64(v)
		}
		if squares > 0 {
			for j := range row {
				row[j] /= float32(math.Sqrt(squares))
			}
		}
	}
}

// measureFewShot returns the accuracies of a model with one and with five examples.
func measureFewShot(model *likeness.Model, train, held datasets.Images) ([2]evaluate.Estimate, error) {
	const centering = 3200 // training images whose mean is subtracted
	r := rand.New(rand.NewPCG(1, 1))
	base, err := twoViews(model, some{train, r.Perm(train.Len())[:min(centering, train.Len())]})
	if err != nil {
		return [2]evaluate.Estimate{}, err
	}
	mean := make([]float64, base.Columns)
	for i := range base.Rows {
		for j, v := range base.Row(i) {
			mean[j] += float64(v) / float64(base.Rows)
		}
	}
	embeddings, err := twoViews(model, held)
	if err != nil {
		return [2]evaluate.Estimate{}, err
	}
	for i := range embeddings.Rows {
		for j := range mean {
			embeddings.Row(i)[j] -= float32(mean[j])
		}
	}
	return fewShot(embeddings, held)
}

// fewShot returns the accuracies of 5-way classification with one and with five examples,
// by the nearest mean of the normalized examples.
func fewShot(embeddings evaluate.Embeddings, images datasets.Images) (scores [2]evaluate.Estimate, err error) {
	normalize(embeddings)
	metric, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		return scores, err
	}
	for i, shot := range []int{1, 5} {
		episodes, err := datasets.NewEpisodes(images, 5, shot, 15)
		if err != nil {
			return scores, err
		}
		r := rand.New(rand.NewPCG(1, uint64(shot)))
		var trials []evaluate.Trial
		for range miniEpisodes {
			episode := episodes.Episode(r)
			for class, queries := range episode.Queries {
				for _, query := range queries {
					trials = append(trials, evaluate.Trial{Support: episode.Support, Query: query, Answer: class})
				}
			}
		}
		score, err := evaluate.OneShot(metric, embeddings, trials, evaluate.Prototype)
		if err != nil {
			return scores, err
		}
		scores[i] = score.Estimate
	}
	return scores, nil
}
