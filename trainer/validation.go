package trainer

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Validation measures a model; the higher the better. It must not change the
// model and should not look at test classes.
type Validation func(*likeness.Model) (float64, error)

// OneShot validates by the one-shot accuracy over episodes of the given number
// of ways, with one query a class, drawn once from the images; as Koch, Zemel
// & Salakhutdinov 2015 do with 320 trials.
func OneShot(images *datasets.Dataset, way, episodes int, seed uint64) (Validation, error) {
	sampler, err := datasets.NewEpisodes(images, way, 1, 1)
	if err != nil {
		return nil, errors.Wrap(err, "one-shot validation")
	}
	var trials []evaluate.Trial
	for episode := range episodes {
		drawn := sampler.Episode(random.New(seed, "validation episode", episode))
		for class, queries := range drawn.Queries {
			trials = append(trials, evaluate.Trial{Support: drawn.Support, Query: queries[0], Answer: class})
		}
	}
	return func(model *likeness.Model) (float64, error) {
		embeddings, metric, err := embed(model, images)
		if err != nil {
			return 0, err
		}
		score, err := evaluate.OneShot(metric, embeddings, trials, evaluate.MeanDistance)
		return score.Value, err
	}, nil
}

// Verification validates by the area under the ROC curve over balanced pairs,
// drawn once from the images.
func Verification(images *datasets.Dataset, pairs int, seed uint64) (Validation, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, errors.Wrap(err, "verification")
	}
	return VerificationOf(images, sampler.Pairs(random.New(seed, "validation pairs"), pairs)), nil
}

// VerificationOf is Verification over given pairs.
func VerificationOf(images *datasets.Dataset, pairs []datasets.Pair) Validation {
	return func(model *likeness.Model) (float64, error) {
		embeddings, metric, err := embed(model, images)
		if err != nil {
			return 0, err
		}
		left, right, different := make([]int, len(pairs)), make([]int, len(pairs)), make([]bool, len(pairs))
		for i, pair := range pairs {
			left[i], right[i], different[i] = pair.Left, pair.Right, pair.Different
		}
		distances := make([]float64, len(pairs))
		if err := metric.Pairs(distances, embeddings.Select(left), embeddings.Select(right)); err != nil {
			return 0, err
		}
		verification, err := evaluate.NewVerification(distances, different)
		if err != nil {
			return 0, err
		}
		return verification.AUC().Value, nil
	}
}

// embed gives the embeddings of all images and the metric between them.
func embed(model *likeness.Model, images *datasets.Dataset) (evaluate.Embeddings, evaluate.Metric, error) {
	rows, err := model.EmbedPixels(images.Images)
	if err != nil {
		return evaluate.Embeddings{}, nil, err
	}
	embeddings, err := evaluate.FromRows(rows)
	if err != nil {
		return evaluate.Embeddings{}, nil, err
	}
	metric, err := model.Metric()
	return embeddings, metric, err
}
