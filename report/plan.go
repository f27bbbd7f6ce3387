package report

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// The sizes of the trials, each an upper limit where data is scarce.
const (
	references = 10_000 // training images that a nearest neighbour is sought among
	pairs      = 10_000 // of verification, half of them different
	episodes   = 1_000  // of one-shot recognition, one query a class
	ways       = 20     // classes of an episode
	retrieved  = 3_000  // images of retrieval
)

// Plan is the trials that every contender is put to. What the data has no
// images for is left out.
type Plan struct {
	Protocol string

	references, seen   *datasets.Dataset // nearest neighbours
	validation, unseen *datasets.Dataset // verification, one-shot and retrieval
	thresholdPairs     []datasets.Pair   // of validation
	testPairs          []datasets.Pair   // of unseen
	trials             []evaluate.Trial  // of unseen
	groups             []int             // the episode of each trial
	retrieval          *datasets.Dataset
}

// NewPlan draws the trials from the experiment with the seed. The unseen
// classes are those of verification, one-shot recognition and retrieval; where
// there are none, the seen classes' test images take their place and the
// protocol says so.
func NewPlan(e datasets.Experiment, seed uint64) (*Plan, error) {
	p := &Plan{Protocol: strings.TrimSuffix(e.Protocol, "."), seen: e.Seen, validation: e.Validation, unseen: e.Unseen}
	if e.Seen != nil {
		p.references = e.Train.Limit(references, random.Seed(seed, "references"))
		p.say("nearest neighbour of %d test images among %d training images", e.Seen.Len(), p.references.Len())
	}
	kind := "unseen classes"
	if p.unseen == nil {
		p.unseen, kind = e.Seen, "test images of the training classes"
	}
	if p.unseen == nil {
		return p, nil
	}
	if err := p.drawPairs(seed, kind); err != nil {
		return nil, err
	}
	if err := p.drawEpisodes(seed, kind); err != nil {
		return nil, err
	}
	p.retrieval = p.unseen.Limit(retrieved, random.Seed(seed, "retrieval"))
	p.say("retrieval among %d images of the %s", p.retrieval.Len(), kind)
	return p, nil
}

// PlanOf is the plan of listed pairs: verification of test pairs by a
// threshold chosen on validation pairs. Either may be nil.
func PlanOf(validation, test *datasets.PairList) *Plan {
	p := &Plan{Protocol: "listed pairs"}
	if test == nil {
		return p
	}
	p.unseen, p.testPairs = test.Dataset, test.Pairs
	p.say("verification of %d listed test pairs", len(test.Pairs))
	if validation != nil {
		p.validation, p.thresholdPairs = validation.Dataset, validation.Pairs
		p.say("threshold from %d listed validation pairs", len(validation.Pairs))
	}
	return p
}

func (p *Plan) say(format string, arguments ...interface{}) {
	p.Protocol += "; " + fmt.Sprintf(format, arguments...)
}

func (p *Plan) drawPairs(seed uint64, kind string) error {
	sampler, err := datasets.BalancedPairs(p.unseen)
	if errors.Is(err, datasets.ErrTooFew) {
		return nil
	}
	if err != nil {
		return errors.Wrap(err, "draw test pairs")
	}
	p.testPairs = sampler.Pairs(random.New(seed, "test pairs"), pairs)
	p.say("verification of %d balanced pairs of %s", pairs, kind)
	if p.validation == nil {
		return nil
	}
	if sampler, err = datasets.BalancedPairs(p.validation); err != nil {
		return nil // too little to choose a threshold from
	}
	p.thresholdPairs = sampler.Pairs(random.New(seed, "threshold pairs"), pairs)
	p.say("threshold from %d pairs of the validation images", pairs)
	return nil
}

func (p *Plan) drawEpisodes(seed uint64, kind string) error {
	populated := 0
	for _, images := range p.unseen.ByClass() {
		if len(images) > 1 {
			populated++
		}
	}
	if populated < 2 {
		return nil
	}
	way := min(ways, populated)
	sampler, err := datasets.NewEpisodes(p.unseen, way, 1, 1)
	if err != nil {
		return errors.Wrap(err, "draw one-shot episodes")
	}
	for episode := range episodes {
		drawn := sampler.Episode(random.New(seed, "episode", episode))
		for class, queries := range drawn.Queries {
			p.trials = append(p.trials, evaluate.Trial{Support: drawn.Support, Query: queries[0], Answer: class})
			p.groups = append(p.groups, episode)
		}
	}
	p.say("%d-way one-shot over %d episodes of %s", way, episodes, kind)
	return nil
}
