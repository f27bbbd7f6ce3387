package main

import (
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// trialSeed draws the trials, the same for every training.
const trialSeed = 1

// lake is the accuracy over the official runs, each trial decided by itself;
// the interval takes the runs for the unit.
func lake(runs []datasets.Run, size imaging.Size) measurement {
	images, trials, groups, err := datasets.RunTrials(runs, size)
	return func(c contender) (evaluate.Measure, error) {
		if err != nil {
			return evaluate.Measure{}, err
		}
		embeddings, err := c.embed(images.Images)
		if err != nil {
			return evaluate.Measure{}, err
		}
		score, err := evaluate.OneShot(c.metric, embeddings, trials, evaluate.MeanDistance)
		if err != nil {
			return evaluate.Measure{}, err
		}
		return score.Clustered(groups)
	}
}

// episodes is the accuracy over episodes with so many queries a class, drawn at
// random; within a group of classes, each group as often, where that is asked. The
// interval resamples the images that are asked about, which come in many episodes.
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
	return func(c contender) (evaluate.Measure, error) {
		embeddings, err := c.embed(images.Images)
		if err != nil {
			return evaluate.Measure{}, err
		}
		rule := evaluate.MeanDistance
		if shot > 1 {
			rule = evaluate.Prototype
		}
		score, err := evaluate.OneShot(c.metric, embeddings, asked, rule)
		return score.Measure, err
	}, nil
}

// pairsOf draws balanced pairs; with within, the images of a pair are of one
// group of classes.
func pairsOf(images *datasets.Dataset, count int, within bool) ([]datasets.Pair, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, err
	}
	r := random.New(trialSeed, "pairs", images.Name)
	if !within {
		return sampler.Pairs(r, count), nil
	}
	group := func(i int) string { return datasets.GroupOf(images.Classes[images.Labels[i]]) }
	var pairs []datasets.Pair
	kinds := map[bool]int{}
	for len(pairs) < count {
		for _, pair := range sampler.Pairs(r, count) {
			if group(pair.Left) == group(pair.Right) && kinds[pair.Different] < count/2 {
				kinds[pair.Different]++
				pairs = append(pairs, pair)
			}
		}
	}
	return pairs, nil
}

// verify is the accuracy over pairs of test images at the threshold that is best
// for pairs of the reference images.
func verify(reference, test *datasets.Dataset, referencePairs, testPairs []datasets.Pair) measurement {
	return func(c contender) (evaluate.Measure, error) {
		known, err := verificationOf(c, reference, referencePairs)
		if err != nil {
			return evaluate.Measure{}, err
		}
		asked, err := verificationOf(c, test, testPairs)
		if err != nil {
			return evaluate.Measure{}, err
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
