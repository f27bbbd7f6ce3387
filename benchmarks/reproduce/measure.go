package main

import (
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas/blas32"
)

// trialSeed is the random seed of the test trials, the same for every training.
const trialSeed = 1

// lake is the accuracy over the official runs, each trial independently; the interval
// takes the runs for the unit.
func lake(runs []datasets.OneShotRun, size imaging.Size) measurement {
	images, trials, groups, err := datasets.RunTrials(runs, size)
	return func(c contender) (evaluate.Estimate, error) {
		if err != nil {
			return evaluate.Estimate{}, err
		}
		embeddings, err := c.embed(images.Images)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		score, err := evaluate.OneShot(c.metric, embeddings, trials, evaluate.MeanDistance)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		return score.Clustered(groups)
	}
}

// episodes is the accuracy over episodes with the given number of queries per class,
// drawn at random; within a group of classes, each group as often, where that is asked.
// The interval resamples the images that are asked about, which come in many episodes.
func episodes(images *datasets.Dataset, way, shot, queries, count int, within bool) (measurement, error) {
	parts := []*datasets.Dataset{images}
	var places [][]int // of a part's images in all
	if within {
		parts = nil
		for _, group := range images.Groups() {
			part, err := images.OnlyClasses(group...)
			if err != nil {
				return nil, err
			}
			if len(group) >= way {
				parts = append(parts, part)
			}
		}
	}
	place := map[*uint8]int{}
	for i, image := range images.Images {
		place[&image[0]] = i
	}
	samplers := make([]*datasets.Episodes, len(parts))
	for i, part := range parts {
		var err error
		if samplers[i], err = datasets.NewEpisodes(part, way, shot, queries); err != nil {
			return nil, err
		}
		at := make([]int, part.Len())
		for j, image := range part.Images {
			at[j] = place[&image[0]]
		}
		places = append(places, at)
	}
	if len(parts) == 0 {
		return nil, errors.Errorf("no group of %s has %d classes", images.Name, way)
	}
	var asked []evaluate.Trial
	for e := range count {
		r := random.New(trialSeed, "episode", e)
		part := r.IntN(len(parts))
		episode := samplers[part].Episode(r)
		support := make([][]int, way)
		for class, examples := range episode.Support {
			for _, i := range examples {
				support[class] = append(support[class], places[part][i])
			}
		}
		for class, own := range episode.Queries {
			for _, i := range own {
				asked = append(asked, evaluate.Trial{Support: support, Query: places[part][i], Answer: class})
			}
		}
	}
	return func(c contender) (evaluate.Estimate, error) {
		embeddings, err := c.embed(images.Images)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		rule := evaluate.MeanDistance
		if shot > 1 {
			rule = evaluate.Prototype
		}
		result, err := evaluate.OneShot(c.metric, embeddings, asked, rule)
		return result.Estimate, err
	}, nil
}

// pairsOf samples balanced pairs; with within, both images of a pair are of one group of
// classes.
func pairsOf(images *datasets.Dataset, count int, within bool) ([]datasets.Pair, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, err
	}
	r := random.New(trialSeed, "pairs", images.Name)
	if !within {
		return sampler.Sample(r, count).Pairs(), nil
	}
	group := func(i int) string { return datasets.GroupOf(images.Classes[images.Labels[i]]) }
	var pairs []datasets.Pair
	kinds := map[bool]int{}
	for len(pairs) < count {
		for _, pair := range sampler.Sample(r, count).Pairs() {
			if group(pair.Left) == group(pair.Right) && kinds[pair.Different] < count/2 {
				kinds[pair.Different]++
				pairs = append(pairs, pair)
			}
		}
	}
	return pairs, nil
}

// verify measures the accuracy over pairs of test images at the best threshold for pairs
// of the reference images.
func verify(reference, test *datasets.Dataset, referencePairs, testPairs []datasets.Pair) measurement {
	return func(c contender) (evaluate.Estimate, error) {
		known, err := verificationOf(c, reference, referencePairs)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		asked, err := verificationOf(c, test, testPairs)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		return asked.AccuracyAt(known.BestThreshold()), nil
	}
}

// verificationOf is a contender's distances of pairs of images.
func verificationOf(c contender, images *datasets.Dataset, pairs []datasets.Pair) (*evaluate.Verification, error) {
	embeddings, err := c.embed(images.Images)
	if err != nil {
		return nil, err
	}
	return evaluate.Verify(c.metric, embeddings, pairs)
}

// contender is a method that is measured: it embeds images, given as bytes of the size of
// the network, and has a distance.
type contender struct {
	embed  func(pixels [][]uint8) (evaluate.Embeddings, error)
	metric evaluate.Metric
}

// plain returns a model without test-time augmentation.
func plain(model *likeness.Model) (contender, error) {
	metric, err := model.Metric()
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows, err := model.EmbedPixels(pixels)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		return evaluate.FromRows(rows)
	}, metric}, err
}

// viewed returns a model with test-time augmentation.
func viewed(model *likeness.Model, views likeness.TTA) contender {
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows, err := model.EmbedTTA(views, pixels)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		return evaluate.FromRows(rows)
	}, cosine}
}

// cosine is the cosine distance.
var cosine = distanceOf(heads.Cosine{})

// distanceOf is the distance of a head without weights.
func distanceOf(head heads.Head) heads.Distance {
	distance, err := head.Distance(nil)
	if err != nil {
		panic(err) // a head without weights does not fail
	}
	return distance
}

// rawPixels compares the images themselves by cosine.
var rawPixels = contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
	rows := make([][]float32, len(pixels))
	for i, image := range pixels {
		for _, v := range image {
			rows[i] = append(rows[i], float32(v)/255)
		}
	}
	return evaluate.FromRows(rows)
}, cosine}

// together returns an ensemble that averages the cosines of its members, by concatenating
// their embeddings scaled to length 1. A single member is returned unchanged.
func together(members []contender) contender {
	if len(members) == 1 {
		return members[0]
	}
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows := make([][]float32, len(pixels))
		for _, member := range members {
			embeddings, err := member.embed(pixels)
			if err != nil {
				return evaluate.Embeddings{}, err
			}
			for i := range rows {
				unit := blas32.Vector{N: embeddings.Columns, Data: slices.Clone(embeddings.Row(i)), Inc: 1}
				if length := blas32.Nrm2(unit); length > 0 {
					blas32.Scal(1/length, unit)
				}
				rows[i] = append(rows[i], unit.Data...)
			}
		}
		return evaluate.FromRows(rows)
	}, cosine}
}

// remembering returns a contender that caches the embeddings of the same images.
func (c contender) remembering() contender {
	known := map[*[]uint8]evaluate.Embeddings{} // by the first of a list, which lists do not share
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		if e, found := known[&pixels[0]]; found && e.Rows == len(pixels) {
			return e, nil
		}
		e, err := c.embed(pixels)
		if err == nil {
			known[&pixels[0]] = e
		}
		return e, err
	}, c.metric}
}

// measurement measures a contender on test trials, which are the same for all.
type measurement func(c contender) (evaluate.Estimate, error)

// field is the contenders that are measured after a training.
type field struct {
	trained, untrained, pixels, viewed contender
	views                              int // of each image that viewed looks at
}

// viewCount returns the number of views of each image.
func viewCount(views likeness.TTA) int {
	n, image, size := 1, []uint8{0}, imaging.Size{Height: 1, Width: 1, Channels: 1}
	if views.Affine {
		n *= len(imaging.AffineAugmentations(image, size))
	}
	if views.Symmetries {
		n *= len(imaging.SymmetryAugmentations(image, size))
	}
	return n
}

// newField is a trained network, plain and by its views, the same before training
// and raw pixels.
func newField(network outcome) (f field, err error) {
	if f.trained, err = plain(network.trained); err != nil {
		return f, err
	}
	if f.untrained, err = plain(network.untrained); err != nil {
		return f, err
	}
	f.trained, f.untrained = f.trained.remembering(), f.untrained.remembering()
	f.pixels, f.viewed = rawPixels.remembering(), viewed(network.trained, network.views).remembering()
	f.views = viewCount(network.views)
	return f, nil
}

// newFields are the fields of networks one by one.
func newFields(networks []outcome) ([]field, error) {
	fields := make([]field, len(networks))
	for i, network := range networks {
		var err error
		if fields[i], err = newField(network); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// joined returns the field of an ensemble.
func joined(fields []field) field {
	var trained, untrained, viewed []contender
	for _, f := range fields {
		trained, untrained, viewed = append(trained, f.trained), append(untrained, f.untrained), append(viewed, f.viewed)
	}
	return field{
		together(trained).remembering(), together(untrained).remembering(), fields[0].pixels,
		together(viewed).remembering(), fields[0].views,
	}
}

// measure evaluates the trained network and its baselines. It returns one row and, if
// byViews is set, a second one with test-time augmentation.
func (f field) measure(row Row, m measurement, byViews bool) ([]Row, error) {
	figure, err := m(f.trained)
	if err != nil {
		return nil, err
	}
	base, err := m(f.untrained)
	if err != nil {
		return nil, err
	}
	pixels, err := m(f.pixels)
	if err != nil {
		return nil, err
	}
	row.set(figure)
	row.Untrained, row.Pixels = 100*base.Value, 100*pixels.Value
	row.Views = 1
	rows := []Row{row}
	if byViews {
		if figure, err = m(f.viewed); err != nil {
			return nil, err
		}
		row.Views = f.views
		row.set(figure)
		rows = append(rows, row)
	}
	return rows, nil
}

// set sets the figure and its interval, in percent.
func (r *Row) set(m evaluate.Estimate) {
	r.Figure, r.Low, r.High, r.Error = 100*m.Value, 100*m.Low, 100*m.High, 100*m.StandardError
}

// scoreOf is the score of embedded test images, given embedded training images.
func scoreOf(train, test *datasets.Dataset, score func(metric evaluate.Metric, known, asked evaluate.Labeled) (evaluate.Score, error)) measurement {
	return func(c contender) (evaluate.Estimate, error) {
		known, err := c.labeledEmbeddings(train)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		asked, err := c.labeledEmbeddings(test)
		if err != nil {
			return evaluate.Estimate{}, err
		}
		result, err := score(c.metric, known, asked)
		return result.Estimate, err
	}
}

// labeledEmbeddings are the embeddings of images with their labels.
func (c contender) labeledEmbeddings(d *datasets.Dataset) (evaluate.Labeled, error) {
	embeddings, err := c.embed(d.Images)
	return evaluate.Labeled{Embeddings: embeddings, Labels: d.Labels}, err
}
