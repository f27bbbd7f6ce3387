package trials

import (
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// portion is how many images are embedded between two words of progress. It is
// a multiple of a model's batches, so the embeddings do not depend on it.
const portion = 1024

// Embeddings are the model's of all images, in their order. Now and then embedded,
// unless it is nil, is told how many more are done.
func Embeddings(model *likeness.Model, images *datasets.Dataset, embedded func(images int)) (evaluate.Embeddings, error) {
	rows := make([][]float32, 0, images.Len())
	for part := range slices.Chunk(images.Images, portion) {
		some, err := model.EmbedPixels(part)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		rows = append(rows, some...)
		if embedded != nil {
			embedded(len(some))
		}
	}
	return evaluate.FromRows(rows)
}

// Verification measures the pairs' distances. Both kinds of pairs must be there.
func Verification(metric evaluate.Metric, embeddings evaluate.Embeddings, pairs []datasets.Pair) (*evaluate.Verification, error) {
	left, right, images := make([]int, len(pairs)), make([]int, len(pairs)), make([]evaluate.Pair, len(pairs))
	for i, pair := range pairs {
		if min(pair.Left, pair.Right) < 0 || max(pair.Left, pair.Right) >= embeddings.Rows {
			return nil, errors.Errorf("pair %d is of the images %d and %d, expected 0 to %d", i, pair.Left, pair.Right, embeddings.Rows-1)
		}
		left[i], right[i], images[i] = pair.Left, pair.Right, evaluate.Pair(pair)
	}
	distances := make([]float64, len(pairs))
	if err := metric.Pairs(distances, embeddings.Select(left), embeddings.Select(right)); err != nil {
		return nil, err
	}
	return evaluate.NewVerification(distances, images)
}

// OneShot draws episodes with one example and one query a class, and gives way
// trials for each. An episode is a function of the seed, the stream's name and its
// number.
func OneShot(images *datasets.Dataset, way, episodes int, seed uint64, stream string) (trials []evaluate.Trial, err error) {
	sampler, err := datasets.NewEpisodes(images, way, 1, 1)
	if err != nil {
		return nil, err
	}
	for episode := range episodes {
		drawn := sampler.Episode(random.New(seed, stream, episode))
		for class, queries := range drawn.Queries {
			trials = append(trials, evaluate.Trial{Support: drawn.Support, Query: queries[0], Answer: class})
		}
	}
	return trials, nil
}

// Populated is the number of classes that have two images or more.
func Populated(images *datasets.Dataset) int {
	populated := 0
	for _, class := range images.ByClass() {
		if len(class) > 1 {
			populated++
		}
	}
	return populated
}
