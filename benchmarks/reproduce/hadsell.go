package main

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// neighbors is the number of images that are similar to an image in Hadsell, Chopra &
// LeCun 2006: the five nearest by pixel distance. Labels are not used.
const neighbors = 5

// mapped is how many images of a test set are drawn.
const mapped = 1000

// mapBatch pairs are a batch; mapObjective and mapSolver are how a map is learned.
const mapBatch = 128

var (
	mapObjective = objectives.Contrastive{Margin: 1}
	mapSolver    = solver.Config{Solver: "adam", LearningRate: 1e-3, Schedule: "cosine"}
)

// mapSteps of training.
func (s settings) mapSteps() int {
	if s.quick {
		return 800
	}
	return 8000
}

// shifts along a row, in pixels.
var shifts = []int{-6, -3, 0, 3, 6}

// foursAndNines is the paper's map of digits: 3,000 fours and as many nines, in
// two dimensions.
func foursAndNines(ctx context.Context, s settings) ([]Row, error) {
	train, test, err := foursNines(3000, 1)
	if err != nil {
		return nil, err
	}
	near := nearest(train.Images)
	trained, untrained, took, err := mapping(ctx, s, train, near)
	if err != nil {
		return nil, err
	}
	if err := s.draw("fours-nines.png", trained, test, test.Labels); err != nil {
		return nil, err
	}
	field, err := newField(outcome{trained: trained, untrained: untrained})
	if err != nil {
		return nil, err
	}
	settings, err := mapSettings(s)
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "fours and nines: nearest neighbor of 1,991 test images among 6,000, in two dimensions", Published: "figure only", Settings: settings}
	return field.measure(s.fill(row, "contrastive, l2, Hadsell's network, similar pairs by pixel distance", took), nearestNeighbor(train, test), false)
}

// shifted is the paper's map of digits that are shifted along a row, whose
// neighbors' shifted images are similar to them whatever the shifts: the map
// should know the digit and not the shift.
func shifted(ctx context.Context, s settings) ([]Row, error) {
	train, test, err := foursNines(1500, len(shifts))
	if err != nil {
		return nil, err
	}
	whole, digits := len(shifts), train.Len()/len(shifts)
	near := nearest(train.Images[2*digits : 3*digits]) // those that are not shifted
	alike := make([][]int, train.Len())
	for i := range alike {
		for _, j := range append(near[i%digits], i%digits) {
			for shift := range whole {
				if other := shift*digits + j; other != i {
					alike[i] = append(alike[i], other)
				}
			}
		}
	}
	trained, untrained, took, err := mapping(ctx, s, train, alike)
	if err != nil {
		return nil, err
	}
	byShift := func(d *datasets.Dataset) *datasets.Dataset {
		other := &datasets.Dataset{Images: d.Images}
		for i := range d.Images {
			other.Labels = append(other.Labels, i/(d.Len()/whole))
		}
		return other
	}
	if err := s.draw("shifted.png", trained, test, byShift(test).Labels); err != nil {
		return nil, err
	}
	field, err := newField(outcome{trained: trained, untrained: untrained})
	if err != nil {
		return nil, err
	}
	settings, err := mapSettings(s)
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "shifted fours and nines: nearest neighbor of 9,955 test images among 15,000, in two dimensions", Published: "figure only", Settings: settings}
	method := "contrastive, l2, Hadsell's network, similar pairs by pixel distance and shift"
	digit, err := field.measure(s.fill(row, method, took), nearestNeighbor(train, test), false)
	if err != nil {
		return nil, err
	}
	row.Protocol = "shifted fours and nines: the shift of the nearest neighbor, of five, to which the map should be invariant (chance: 20)"
	of, err := field.measure(s.fill(row, method, took), nearestNeighbor(byShift(train), byShift(test)), false)
	return append(digit, of...), err
}

// mapping learns a map from pairs: each image with each that is alike, and as
// many of two that are not.
func mapping(ctx context.Context, s settings, images *datasets.Dataset, alike [][]int) (trained, untrained *likeness.Model, took time.Duration, err error) {
	var pairs []datasets.Pair
	r := random.New(s.seed, "unlike")
	for i, others := range alike {
		for _, j := range others {
			pairs = append(pairs, datasets.Pair{Left: i, Right: j})
			for {
				k := r.IntN(images.Len())
				if k != i && !slices.Contains(others, k) && !slices.Contains(alike[k], i) {
					pairs = append(pairs, datasets.Pair{Left: i, Right: k, Different: true})
					break
				}
			}
		}
	}
	network, head := backbone.Hadsell(2), heads.L2{}
	if untrained, err = likeness.New(network, head, images.Preprocessing(), s.seed); err != nil {
		return nil, nil, 0, err
	}
	if trained, err = likeness.New(network, head, images.Preprocessing(), s.seed); err != nil {
		return nil, nil, 0, err
	}
	const epochs = 10
	training := trainer.Trainer{
		Model: trained, Loss: mapObjective, Images: images, Sampler: datasets.ListedPairs(pairs), Batch: mapBatch,
		Solver: mapSolver,
		Epochs: epochs, EpochSteps: s.mapSteps() / epochs, Seed: s.seed,
		OnEpoch: func(e trainer.Epoch) {
			s.note("%3d %% trained: loss %.4f, %.0f images/s", 100*e.Epoch/epochs, e.Loss, e.ImagesPerSecond)
		},
	}
	result, err := training.Run(ctx)
	if err == nil && result.Stopped != "" {
		err = ctx.Err()
	}
	return trained, untrained, time.Duration(result.Seconds * float64(time.Second)), err
}

// draw writes the picture of the map of test images to the folder of the results.
func (s settings) draw(name string, model *likeness.Model, test *datasets.Dataset, kinds []int) error {
	if s.out == "" {
		return nil
	}
	chosen := random.New(trialSeed, "map").Perm(test.Len())[:mapped]
	var images [][]uint8
	var shown []int
	for _, i := range chosen {
		images = append(images, test.Images[i])
		shown = append(shown, kinds[i])
	}
	embeddings, err := model.EmbedPixels(images)
	if err != nil {
		return err
	}
	return plot.WriteScatter(filepath.Join(s.out, name), embeddings, images, test.Size.Width, shown)
}

// nearestNeighbor is the share of test images whose nearest training image is
// of their class.
func nearestNeighbor(train, test *datasets.Dataset) measurement {
	return scoreOf(train, test, func(metric evaluate.Metric, known, asked evaluate.Labeled) (evaluate.Score, error) {
		return evaluate.NearestNeighbors{K: 1, Metric: metric}.Accuracy(known, asked)
	})
}

// foursNines are the given number of training images of either digit, and all test
// images, in the first few of the shifts; with one, as they are.
func foursNines(each, copies int) (train, test *datasets.Dataset, err error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, nil, err
	}
	if train, err = splits.Train.OnlyClasses("4", "9"); err != nil {
		return nil, nil, err
	}
	if test, err = splits.Test.OnlyClasses("4", "9"); err != nil {
		return nil, nil, err
	}
	var chosen []int
	for _, images := range train.ByClass() {
		r := random.New(trialSeed, "digits", len(chosen))
		r.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
		chosen = append(chosen, images[:each]...)
	}
	train = train.Subset(chosen)
	if copies == 1 {
		return train, test, nil
	}
	return shift(train), shift(test), nil
}

// shift is a dataset in every shift, one after the other.
func shift(d *datasets.Dataset) *datasets.Dataset {
	all := &datasets.Dataset{Name: d.Name + " shifted", Size: d.Size, Classes: d.Classes}
	for _, by := range shifts {
		for i, image := range d.Images {
			moved := make([]uint8, len(image))
			for p, v := range image {
				if column := p%d.Size.Width + by; column >= 0 && column < d.Size.Width {
					moved[p+by] = v
				}
			}
			all.Images = append(all.Images, moved)
			all.Labels = append(all.Labels, d.Labels[i])
		}
	}
	return all
}

// nearest returns the indices of the nearest neighbors of each image.
func nearest(images [][]uint8) [][]int {
	near := make([][]int, len(images))
	type other struct{ distance, index int }
	parallel.For(len(images), func(i int) {
		others := make([]other, 0, len(images))
		for j, image := range images {
			if j != i {
				others = append(others, other{squares(images[i], image), j})
			}
		}
		slices.SortFunc(others, func(a, b other) int { return cmp.Or(cmp.Compare(a.distance, b.distance), a.index-b.index) })
		for _, o := range others[:neighbors] {
			near[i] = append(near[i], o.index)
		}
	})
	return near
}

// squares is the squared distance of two images.
func squares(a, b []uint8) (sum int) {
	for i, v := range a {
		d := int(v) - int(b[i])
		sum += d * d
	}
	return sum
}
