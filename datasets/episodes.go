package datasets

import (
	"math/rand/v2"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Episode is one trial of few-shot classification, by the indices of its images.
// Row c of Support and row c of Queries are of one class; all images are
// different.
type Episode struct {
	Support [][]int // way × shot: the examples
	Queries [][]int // way × queries: the images to classify
}

// Episodes draws episodes of Way classes with Shot examples and Queries queries
// each.
type Episodes struct {
	Way, Shot, Queries int

	candidates [][]int
}

// NewEpisodes returns a sampler of episodes. Only classes of at least shot +
// queries images take part; it is ErrTooFew when there are fewer than way.
//
// The classes of an episode come from anywhere in d. For episodes within one
// alphabet, choose one of Groups with OnlyClasses first.
func NewEpisodes(d *Dataset, way, shot, queries int) (*Episodes, error) {
	if way < 2 || shot < 1 || queries < 1 {
		return nil, errors.Errorf("episodes: found way %d, shot %d, queries %d, expected at least 2, 1 and 1", way, shot, queries)
	}
	if err := d.labelled(); err != nil {
		return nil, errors.Wrap(err, "episodes")
	}
	e := &Episodes{Way: way, Shot: shot, Queries: queries, candidates: classesOf(d, shot+queries)}
	if len(e.candidates) < way {
		return nil, errors.Wrapf(ErrTooFew, "%d-way episodes of %d examples and %d queries: dataset %s has %d classes of %d images or more",
			way, shot, queries, d.Name, len(e.candidates), shot+queries)
	}
	return e, nil
}

// Episode draws one episode: its classes uniformly and without replacement, then
// the images of each. It returns the zero Episode where r is nil, or where the sampler
// was not made by NewEpisodes, or Way, Shot or Queries have been changed to what the
// dataset does not have.
func (e *Episodes) Episode(r *rand.Rand) Episode {
	if e == nil || r == nil || e.Way < 1 || e.Shot < 1 || e.Queries < 1 || e.Way > len(e.candidates) {
		return Episode{}
	}
	for _, images := range e.candidates {
		if e.Shot > len(images) || e.Queries > len(images)-e.Shot {
			return Episode{}
		}
	}
	var episode Episode
	for _, class := range choose(r, len(e.candidates), e.Way) {
		images := e.candidates[class]
		drawn := pick(images, choose(r, len(images), e.Shot+e.Queries))
		episode.Support = append(episode.Support, drawn[:e.Shot])
		episode.Queries = append(episode.Queries, drawn[e.Shot:])
	}
	return episode
}

// OneShotTrials draws the one-shot trials of a number of episodes, with one query
// for each class. An episode is a function of the seed, the stream and its number.
func OneShotTrials(images *Dataset, way, episodes int, seed uint64, stream string) ([]evaluate.Trial, error) {
	sampler, err := NewEpisodes(images, way, 1, 1)
	if err != nil {
		return nil, err
	}
	var trials []evaluate.Trial
	for episode := range episodes {
		drawn := sampler.Episode(random.New(seed, stream, episode))
		for class, queries := range drawn.Queries {
			trials = append(trials, evaluate.Trial{Support: drawn.Support, Query: queries[0], Answer: class})
		}
	}
	return trials, nil
}
