package report

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// The sizes of the trials. Where data is scarce there are fewer: not more pairs
// than differ from each other, lest an interval be narrow by repetition.
const (
	references = 10_000 // training images that a nearest neighbour is sought among
	pairs      = 10_000 // of verification, half of them different
	episodes   = 1_000  // of one-shot recognition, one query a class
	ways       = 20     // classes of an episode
	retrieved  = 3_000  // images of retrieval
	perClass   = 4      // of these at least, where there are so many
	shown      = 500    // images on a map, which has no room for more
	classes    = 20     // of these at most, so that each has some images there
)

// Plan is the trials that every contender is put to. What the data has no
// images for is left out.
type Plan struct {
	Protocol string
	// Progress, unless it is nil, is told how many of the images are embedded that
	// Measure or Examine embeds, the same image once for each contender and trial.
	Progress func(done, total int)

	references, seen   *datasets.Dataset // nearest neighbours
	validation, unseen *datasets.Dataset // verification, one-shot and retrieval
	thresholdPairs     []datasets.Pair   // of validation
	testPairs          []datasets.Pair   // of unseen
	trials             []evaluate.Trial  // of unseen
	groups             []int             // of trials that an interval resamples together; nil: those of one query
	retrieval          *datasets.Dataset
	shown              *datasets.Dataset // of unseen, for maps
	kind               string            // what the images of unseen are
	published          []Published       // results of others on the trials
}

// NewPlan draws the trials from the experiment with the seed. The unseen
// classes are those of verification, one-shot recognition and retrieval; where
// there are none, the seen classes' test images take their place and the
// protocol says so. These three need two classes of two images.
func NewPlan(e datasets.Experiment, seed uint64) (*Plan, error) {
	p := &Plan{Protocol: strings.TrimSuffix(e.Protocol, "."), seen: e.Seen, validation: e.Validation, unseen: e.Unseen}
	if p.seen != nil {
		p.references = e.Train.Limit(references, random.Seed(seed, "references"))
		p.say("nearest neighbour of %d test images among %d training images", p.seen.Len(), p.references.Len())
	}
	p.kind = "unseen classes"
	if p.unseen == nil {
		p.unseen, p.kind = e.Seen, "test images of the training classes"
	}
	if p.unseen == nil {
		return p, nil
	}
	if p.unseen.Populated(2) < 2 {
		p.say("no verification, one-shot recognition or retrieval, for want of two classes of two images among the %s", p.kind)
		return p, nil
	}
	for _, draw := range []func(seed uint64) error{p.drawPairs, p.drawEpisodes, p.drawRetrieval, p.drawShown} {
		if err := draw(seed); err != nil {
			return nil, errors.Wrap(err, "plan")
		}
	}
	return p, nil
}

// PlanOf is the plan of listed pairs: verification of test pairs by a
// threshold chosen on validation pairs. Either may be nil.
func PlanOf(validation, test *datasets.PairList) *Plan {
	p := &Plan{Protocol: "listed pairs"}
	if test == nil {
		return p
	}
	p.unseen, p.testPairs, p.kind = test.Dataset, test.Pairs, "listed test pairs"
	p.shown = test.Dataset.Limit(shown, 0)
	p.say("verification of %d listed test pairs", len(test.Pairs))
	if validation != nil {
		p.validation, p.thresholdPairs = validation.Dataset, validation.Pairs
		p.say("threshold from %d listed validation pairs", len(validation.Pairs))
	}
	return p
}

// NewRunsPlan plans the one-shot tasks of Lake, Salakhutdinov & Tenenbaum 2015, see
// datasets.Run, for a network that is trained on train. The one-shot accuracy is that of
// all trials, and its interval resamples the runs. Verification is of each test image
// with the training image of its class and with that of another class of its run, which
// is drawn with the seed. The threshold is chosen on balanced pairs of the training
// images, of which there are no others. There is no retrieval, since runs share
// characters. published are the results of others to print beside.
func NewRunsPlan(train *datasets.Dataset, runs []datasets.Run, seed uint64, published []Published) (*Plan, error) {
	if train == nil {
		return nil, errors.New("plan: found no training images")
	}
	images, trials, groups, err := datasets.RunTrials(runs, train.Size)
	if err != nil {
		return nil, errors.Wrap(err, "plan")
	}
	p := &Plan{unseen: images, trials: trials, groups: groups, published: published, kind: "unseen characters"}
	p.Protocol = fmt.Sprintf("%s: trained on %d images of %d classes", train.Name, train.Len(), train.Populated(1))
	if alphabets := len(train.Groups()); alphabets > 1 {
		p.Protocol += fmt.Sprintf(" in %d groups", alphabets)
	}
	p.say("one-shot accuracy over the %d trials of %d runs (Lake et al. 2015), with characters of other alphabets", len(trials), len(runs))
	for i, trial := range trials {
		if len(trial.Support) < 2 {
			continue // a run with one class has no different pair
		}
		wrong := random.New(seed, "run pairs", i).IntN(len(trial.Support) - 1)
		if wrong >= trial.Answer {
			wrong++
		}
		p.testPairs = append(p.testPairs,
			datasets.Pair{Left: trial.Query, Right: trial.Support[trial.Answer][0]},
			datasets.Pair{Left: trial.Query, Right: trial.Support[wrong][0], Different: true})
	}
	if p.testPairs != nil {
		p.say("verification of %d pairs of images of one run", len(p.testPairs))
		if train.Populated(2) >= 2 {
			p.validation = train
			if p.thresholdPairs, err = balanced(train, random.Seed(seed, "threshold pairs")); err != nil {
				return nil, errors.Wrap(err, "plan")
			}
			p.say("threshold from %d balanced pairs of the training images", len(p.thresholdPairs))
		}
	}
	return p, errors.Wrap(p.drawShown(seed), "plan")
}

func (p *Plan) say(format string, arguments ...interface{}) {
	p.Protocol += "; " + fmt.Sprintf(format, arguments...)
}

func (p *Plan) drawPairs(seed uint64) (err error) {
	if p.testPairs, err = balanced(p.unseen, random.Seed(seed, "test pairs")); err != nil {
		return err
	}
	p.say("verification of %d balanced pairs of %s", len(p.testPairs), p.kind)
	if p.validation == nil || p.validation.Populated(2) < 2 {
		return nil
	}
	if p.thresholdPairs, err = balanced(p.validation, random.Seed(seed, "threshold pairs")); err != nil {
		return err
	}
	p.say("threshold from %d balanced pairs of the validation images", len(p.thresholdPairs))
	return nil
}

func (p *Plan) drawEpisodes(seed uint64) (err error) {
	way := min(ways, p.unseen.Populated(2))
	same, _ := distinct(p.unseen)
	count := min(episodes, 2*same/way) // support and query may change places
	if p.trials, err = datasets.OneShotTrials(p.unseen, way, count, seed, "episode"); err != nil {
		return err
	}
	p.say("%d-way one-shot over %d episodes of %s", way, count, p.kind)
	return nil
}

func (p *Plan) drawRetrieval(seed uint64) (err error) {
	p.retrieval = p.unseen
	if p.unseen.Populated(2) > retrieved/perClass {
		if _, p.retrieval, err = p.unseen.SplitClasses(retrieved/perClass, random.Seed(seed, "retrieved classes")); err != nil {
			return err
		}
	}
	p.retrieval = p.retrieval.Limit(retrieved, random.Seed(seed, "retrieval"))
	p.say("retrieval among %d images of the %s", p.retrieval.Len(), p.kind)
	return nil
}

// drawShown says nothing of itself: no figure depends on it.
func (p *Plan) drawShown(seed uint64) (err error) {
	p.shown = p.unseen
	if p.unseen.Populated(2) > classes {
		if _, p.shown, err = p.unseen.SplitClasses(classes, random.Seed(seed, "shown classes")); err != nil {
			return err
		}
	}
	p.shown = p.shown.Limit(shown, random.Seed(seed, "shown"))
	return nil
}

// balanced draws pairs, half of them different, as many as there may be without
// repetition.
func balanced(images *datasets.Dataset, seed uint64) ([]datasets.Pair, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, errors.Wrap(err, "draw pairs")
	}
	return sampler.Pairs(random.New(seed), min(pairs, 2*min(distinct(images)))), nil
}

// distinct is how many pairs of one class there are, and of two.
func distinct(images *datasets.Dataset) (same, different int) {
	for _, class := range images.ByClass() {
		same += len(class) * (len(class) - 1) / 2
	}
	return same, images.Len()*(images.Len()-1)/2 - same
}
