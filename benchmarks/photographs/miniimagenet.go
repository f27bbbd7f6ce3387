package main

import (
	"context"
	"fmt"
	"image"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
)

const (
	miniSide     = 84
	miniEpoch    = 64 * 600 // images of an epoch: the number of training images
	miniL2       = 2.5e-4
	miniEpisodes = 10000
)

// miniStage is a part of the training, which begins with the weights of the part before.
type miniStage struct {
	name              string
	side              int // of the images, in pixels
	epochs            int
	loss              objectives.Loss
	classes, perClass int     // of a batch
	rate, final       float64 // the learning rate falls from the first to the last by a cosine
	warmup            float64 // epochs
	smallest          float64 // area of a random resized crop, as a fraction of the image
}

// No setting was chosen on the test classes. An image of 48 pixels costs a third as much as one of
// 84, so the network sees most images in that size.
var miniStages = []miniStage{
	{"classes, 48 pixels", 48, 40, objectives.NormalizedSoftmax{Temperature: 0.1}, 64, 2, 0.1, 0.03, 1, 0.25},
	{"classes", miniSide, 22, objectives.NormalizedSoftmax{Temperature: 0.1}, 64, 2, 0.06, 0, 0.5, 0.4},
	{"prototypes", miniSide, 2, objectives.Prototypical{Temperature: 0.1}, 16, 8, 0.005, 0, 0, 0.4},
}

func miniSize(side int) imaging.Size {
	return imaging.Size{Height: side, Width: side, Channels: 3}
}

// miniImageNet trains Conv4 from scratch on the training classes of miniImageNet and
// classifies images of the test classes from one and from five examples of each class.
func miniImageNet(o options) error {
	start := time.Now()
	train, err := o.part("train", miniSide)
	if err != nil {
		return err
	}
	validation, err := o.part("val", miniSide)
	if err != nil {
		return err
	}
	mean, deviation, err := datasets.Moments(train)
	if err != nil {
		return err
	}
	preprocessing := imaging.Preprocessing{Mean: mean, StdDev: deviation}
	const header = "| 5-way, %d episodes of 15 queries per class, %s classes | 1-shot | 5-shot |\n|---|---|---|\n"
	var chosen, rows strings.Builder
	fmt.Fprintf(&chosen, header, miniEpisodes, "validation")
	fmt.Fprintf(&rows, header, miniEpisodes, "test")
	var trained []*likeness.Model
	var took []string
	all := miniViews()
	for seed := uint64(1); seed <= uint64(o.seeds); seed++ {
		model, used, err := o.miniTrain(preprocessing, seed, func(name string, model *likeness.Model) (best float64, err error) {
			for _, v := range all {
				scores, err := measureFewShot(model, v, train, validation)
				if err != nil {
					return 0, err
				}
				miniRow(io.MultiWriter(&chosen, os.Stderr), fmt.Sprintf("seed %d, after the part %s, %s", seed, name, v.name), scores)
				best = max(best, scores[0].Value+scores[1].Value)
			}
			return best, nil
		})
		if err != nil {
			return err
		}
		trained = append(trained, model)
		took = append(took, fmt.Sprintf("%.0f min of processor time, which two processors have in %.0f min", used.Minutes(), used.Minutes()/2))
	}
	fmt.Println(chosen.String() + strings.Join(took, "; "))
	if o.validate {
		return nil
	}
	test, err := o.part("test", miniSide)
	if err != nil {
		return err
	}
	miniRow(&rows, "prototypical networks (Snell, Swersky & Zemel 2017, table 2)", [2]evaluate.Estimate{{Value: 0.4942, Low: 0.4864, High: 0.5020}, {Value: 0.6820, Low: 0.6754, High: 0.6886}})
	var files pictures
	for i := range test.Len() {
		files.files, files.labels = append(files.files, test.Source(i)), append(files.labels, test.Label(i))
	}
	pixels, err := rawPixels(files)
	if err != nil {
		return err
	}
	scores, err := fewShot(pixels.Embeddings, test)
	if err != nil {
		return err
	}
	miniRow(&rows, "raw pixels, 32×32, cosine", scores)
	for i, model := range trained {
		untrained, err := miniModel(miniSide, preprocessing, uint64(i+1))
		if err != nil {
			return err
		}
		for _, each := range []struct {
			name  string
			model *likeness.Model
		}{{"untrained", untrained}, {"trained", model}} {
			for _, v := range all {
				if scores, err = measureFewShot(each.model, v, train, test); err != nil {
					return err
				}
				miniRow(&rows, fmt.Sprintf("Conv4, %s, seed %d, %s", each.name, i+1, v.name), scores)
			}
		}
	}
	fmt.Print(rows.String())
	if err := trained[0].Save(o.save); err != nil {
		return err
	}
	parts := "| part | size | epochs of 38,400 images | loss | batch, classes × images | learning rate |\n|---|---|---|---|---|---|\n"
	for _, s := range miniStages {
		parts += fmt.Sprintf("| %s | %d×%d | %d | %s | %d × %d | %v to %v |\n", s.name, s.side, s.side, s.epochs, s.loss.Name(), s.classes, s.perClass, s.rate, s.final)
	}
	return record.Record{
		Title:   "Conv4 from scratch on miniImageNet",
		Command: fmt.Sprintf("go run ./benchmarks/photographs miniimagenet -data %s -seeds %d", filepath.Base(o.data), o.seeds),
		Took:    time.Since(start),
		Result: "64 classes for training, 16 for the choice of the settings, 20 for testing (the split of Ravi & Larochelle 2017), 600 JPEG\nfiles of 84×84 pixels each, in the folders train, val and test of -data. " +
			"The network has four blocks of 64 filters, the last\nwithout ReLU, and 1,600 features. It is trained in the parts below, each with the weights of the one before, with random resized\ncrops, horizontal flips and color jitter; the network after the part that is\nbest on the validation classes is tested, on images of 84×84 pixels. " +
			"An embedding\nis the sum of those of the image and its mirror image, or of five parts of 71×71 pixels (the middle and the corners, scaled to 84×84)\nand their mirror images, less the mean of training images, scaled to length 1; a query belongs to\nthe class with the nearest mean of the examples. Intervals are of 95 % and resample the query images.\n\n" +
			rows.String() + "\n" + parts + "\n" + chosen.String() + "\nTraining by seed: " + strings.Join(took, "; ") + ".\n",
	}.WriteFile(filepath.Join(o.out, "photographs-miniimagenet.md"))
}

// miniRow writes a row of a table: accuracies with one and with five examples.
func miniRow(w io.Writer, name string, scores [2]evaluate.Estimate) {
	fmt.Fprintf(w, "| %s |", name)
	for _, s := range scores {
		fmt.Fprintf(w, " %.2f [%.2f, %.2f] |", 100*s.Value, 100*s.Low, 100*s.High)
	}
	fmt.Fprintln(w)
}

// part returns the images of a folder of -data with a folder for each class.
func (o options) part(name string, side int) (*datasets.Files, error) {
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
	return datasets.NewFiles(references, classes, imaging.Preprocessing{Size: miniSize(side)}, math.MaxInt64)
}

// miniModel is Conv4 for images of a side.
func miniModel(side int, p imaging.Preprocessing, seed uint64) (*likeness.Model, error) {
	block := graph.Conv{Filters: 64, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2}
	last := block
	last.Activation = "" // cosines of vectors without negative values are less expressive
	network := backbone.Network{Name: "conv4", Size: miniSize(side), Blocks: []graph.Block{block, block, block, last, graph.Flatten{}}}
	p.Size = network.Size
	return likeness.New(network, heads.Cosine{}, p, seed)
}

// miniTrain trains a model in all parts. It returns the one that is best by validate after a part,
// for images of the full size, and the processor time of the training, also that of earlier
// processes whose checkpoints in -keep it resumed.
func (o options) miniTrain(p imaging.Preprocessing, seed uint64, validate func(name string, model *likeness.Model) (float64, error)) (best *likeness.Model, used time.Duration, err error) {
	full, err := miniModel(miniSide, p, seed)
	if err != nil {
		return nil, 0, err
	}
	value := math.Inf(-1)
	for number, stage := range miniStages {
		model, err := miniModel(stage.side, p, seed)
		if err != nil {
			return nil, 0, err
		}
		if _, err := trainer.CopyWeights(model, full); err != nil {
			return nil, 0, err
		}
		took, err := o.miniPart(model, stage, number, seed)
		if err != nil {
			return nil, 0, err
		}
		used += took
		if full, err = miniModel(miniSide, p, seed); err != nil {
			return nil, 0, err
		}
		if _, err := trainer.CopyWeights(full, model); err != nil {
			return nil, 0, err
		}
		found, err := validate(stage.name, full)
		if err != nil {
			return nil, 0, err
		}
		if found > value {
			best, value = full, found
		}
	}
	return best, used, nil
}

// miniPart trains a model in one part.
func (o options) miniPart(model *likeness.Model, stage miniStage, number int, seed uint64) (used time.Duration, err error) {
	images, err := o.part("train", stage.side)
	if err != nil {
		return 0, err
	}
	sampler, err := datasets.ClassBatches(images, stage.classes, stage.perClass)
	if err != nil {
		return 0, err
	}
	batch := stage.classes * stage.perClass
	t := &trainer.Trainer{
		Model: model, Loss: stage.loss, Images: images, Sampler: sampler, Batch: batch,
		Solver: solver.Config{Solver: "sgd", LearningRate: stage.rate, FinalLearningRate: stage.final, Momentum: 0.9, Nesterov: true, L2: miniL2, Schedule: "cosine", Warmup: stage.warmup},
		Epochs: stage.epochs, EpochSteps: miniEpoch / batch, Seed: seed,
		Augment: &datasets.Augmentation{Photo: datasets.Photo{
			Crop:           datasets.RandomResizedCrop{ScaleMin: stage.smallest, ScaleMax: 1},
			HorizontalFlip: 0.5,
			Jitter:         datasets.ColorJitter{Brightness: 0.2, Contrast: 0.2, Saturation: 0.2, Probability: 0.8},
		}},
	}
	var earlier time.Duration
	seconds := ""
	if o.keep != "" {
		t.Checkpoint, t.Resume = filepath.Join(o.keep, fmt.Sprintf("seed%d-stage%d.checkpoint", seed, number+1)), true
		seconds = t.Checkpoint + ".seconds"
		if text, err := os.ReadFile(seconds); err == nil {
			value, err := strconv.ParseFloat(string(text), 64)
			if err != nil {
				return 0, errors.Wrap(err, seconds)
			}
			earlier = time.Duration(value * float64(time.Second))
		}
	}
	begin := processorTime()
	var kept error
	t.OnEpoch = func(e trainer.Epoch) {
		used := earlier + processorTime() - begin
		fmt.Fprintf(os.Stderr, "seed %d, %s: epoch %d of %d: loss %.3f, %.0f images/s, %.1f min of processor time\n", seed, stage.name, e.Epoch, stage.epochs, e.Loss, e.ImagesPerSecond, used.Minutes())
		if seconds != "" {
			kept = os.WriteFile(seconds, fmt.Append(nil, used.Seconds()), 0o666)
		}
	}
	if _, err := t.Run(context.Background()); err != nil {
		return 0, err
	}
	return earlier + processorTime() - begin, errors.Wrap(kept, "-keep")
}

// processorTime is the time that this process has used on all processors.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// view is a part of an image, scaled to the size of the whole.
type view struct {
	part     image.Rectangle
	mirrored bool // left and right exchanged
}

// views are ways to see an image, whose embeddings are added up.
type views struct {
	name string
	all  []view
}

// Networks that are trained with random resized crops see objects larger than they are in whole images
// (Touvron et al. 2019, "Fixing the train-test resolution discrepancy"), so that parts are
// recognized better.
func miniViews() []views {
	const whole, side = miniSide, miniSide * 85 / 100
	last := whole - side
	each := []views{{name: "image and mirror image"}, {name: "five crops and mirror images"}}
	for _, mirrored := range []bool{false, true} {
		each[0].all = append(each[0].all, view{image.Rect(0, 0, whole, whole), mirrored})
		for _, corner := range []image.Point{{last / 2, last / 2}, {0, 0}, {last, 0}, {0, last}, {last, last}} {
			each[1].all = append(each[1].all, view{image.Rect(0, 0, side, side).Add(corner), mirrored})
		}
	}
	return each
}

// seen are images in one view.
type seen struct {
	datasets.Images
	view view
}

func (s seen) Read(i int, pixels []uint8) error {
	size := s.ImageSize()
	whole := make([]uint8, len(pixels))
	if err := s.Images.Read(i, whole); err != nil {
		return err
	}
	if err := imaging.ResizedCrop(pixels, size, whole, size, s.view.part); err != nil || !s.view.mirrored {
		return err
	}
	return imaging.FlipHorizontal(pixels, size)
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

// embedViews returns the sums of the normalized embeddings of the views of images.
func embedViews(model *likeness.Model, images datasets.Images, v views) (sum evaluate.Embeddings, err error) {
	for i, each := range v.all {
		one, err := model.EmbedAll(seen{images, each}, nil)
		if err != nil {
			return sum, err
		}
		normalize(one)
		if i == 0 {
			sum = one
			continue
		}
		for j, value := range one.Data {
			sum.Data[j] += value
		}
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
func measureFewShot(model *likeness.Model, v views, train, held datasets.Images) ([2]evaluate.Estimate, error) {
	const centering = 3200 // training images whose mean is subtracted
	r := rand.New(rand.NewPCG(1, 1))
	base, err := embedViews(model, some{train, r.Perm(train.Len())[:min(centering, train.Len())]}, v)
	if err != nil {
		return [2]evaluate.Estimate{}, err
	}
	mean := make([]float64, base.Columns)
	for i := range base.Rows {
		for j, v := range base.Row(i) {
			mean[j] += float64(v) / float64(base.Rows)
		}
	}
	embeddings, err := embedViews(model, held, v)
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
// by the cosine with the mean of the normalized examples.
func fewShot(embeddings evaluate.Embeddings, images datasets.Images) (scores [2]evaluate.Estimate, err error) {
	normalize(embeddings)
	for i, shot := range []int{1, 5} {
		episodes, err := datasets.NewEpisodes(images, 5, shot, 15)
		if err != nil {
			return scores, err
		}
		r := rand.New(rand.NewPCG(1, uint64(shot)))
		drawn := make([]datasets.Episode, miniEpisodes)
		for k := range drawn {
			drawn[k] = episodes.Episode(r)
		}
		distances := make([][][]float64, len(drawn))
		parallel.For(len(drawn), func(k int) { distances[k] = episodeDistances(embeddings, drawn[k]) })
		var answers, queries []int
		for _, episode := range drawn {
			for class, some := range episode.Queries {
				for _, query := range some {
					answers, queries = append(answers, class), append(queries, query)
				}
			}
		}
		score, err := evaluate.OneShotDistances(slices.Concat(distances...), answers)
		if err != nil {
			return scores, err
		}
		if scores[i], err = score.Clustered(queries); err != nil {
			return scores, err
		}
	}
	return scores, nil
}

// episodeDistances returns, for each query of an episode, the cosine distances from the means of
// the examples of the classes. The embeddings have length 1.
func episodeDistances(embeddings evaluate.Embeddings, episode datasets.Episode) (distances [][]float64) {
	means := make([][]float64, len(episode.Support))
	for class, examples := range episode.Support {
		means[class] = make([]float64, embeddings.Columns)
		for _, example := range examples {
			for j, v := range embeddings.Row(example) {
				means[class][j] += float64(v)
			}
		}
		if length := floats.Norm(means[class], 2); length > 0 {
			floats.Scale(1/length, means[class])
		}
	}
	for _, some := range episode.Queries {
		for _, query := range some {
			row := make([]float64, len(means))
			for class, mean := range means {
				product := 0.0
				for j, v := range embeddings.Row(query) {
					product += float64(v) * mean[j]
				}
				row[class] = 1 - product
			}
			distances = append(distances, row)
		}
	}
	return distances
}
