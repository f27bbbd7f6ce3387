package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Maximum sizes of the test. With little data there are fewer pairs: no more than
// there are distinct ones, because repeated pairs would make intervals too narrow.
//
// The networks for images of more than largeImage values take many times as long, and each
// image is embedded by three or four networks. A test of all images would take longer than
// a fine-tuning, so there are limits for these images, which the protocol states.
const (
	mostReferences = 10_000 // training images among which nearest neighbors are searched
	pairs          = 10_000 // pairs for verification, half of them of different classes
	episodes       = 1_000  // one-shot episodes, with one query for each class
	ways           = 20     // classes in an episode
	retrieved      = 3_000  // images for retrieval
	perClass       = 4      // images of each class among them at least, if there are as many
	clustered      = 1_000  // images of retrieval to cluster
	clusterClasses = 50     // classes of these, because k-means takes time for each
	shown          = 500    // images on a map
	classes        = 20     // classes on a map, so that each has several images

	// Maximum numbers for large images, or perClass of each class if these are more.
	largeImage      = 128 * 128 * 3
	largeTest       = 400 // test images of the training classes, and of the unseen ones
	largeValidation = 300 // validation images for the threshold
	largeReferences = 400 // training images among which nearest neighbors are searched
)

// Plan holds the trials on which a trained model and its baselines are evaluated. A
// test for which the data has no images is omitted.
type Plan struct {
	Protocol string // a description of the trials, its parts separated by "; "
	// Progress, unless it is nil, is called with the number of images embedded so far
	// and in total by Measure or MeasureWithEvidence. An image counts once for each
	// contender and test, although it is embedded only once for each contender.
	Progress func(done, total int)
	// Pretrained, unless it is nil, is the model before fine-tuning, one more baseline.
	Pretrained *likeness.Model

	references, seen   *datasets.Dataset // nearest neighbors
	validation, unseen *datasets.Dataset // verification, one-shot and retrieval
	thresholdPairs     []datasets.Pair   // of validation
	testPairs          []datasets.Pair   // of unseen
	trials             []evaluate.Trial  // of unseen
	groups             []int             // of trials that an interval resamples together; nil: trials with the same query
	retrieval          *datasets.Dataset
	clustered          []int // indices into retrieval
	clusterSeed        uint64
	shown              *datasets.Dataset // images of unseen, for maps
	kind               string            // a description of the images of unseen
	published          []Published       // published results on the trials
}

// NewPlan draws the trials from the experiment's test data with the random seed.
// Verification, one-shot recognition and retrieval use the unseen classes or, if
// there are none, the test images of the training classes, which the protocol
// states. These three need at least two classes with at least two images each. Of images
// of more than 128×128×3 values, at most 400 training images, 300 validation images, 400 test
// images of the training classes and 400 of the unseen ones are used, or four of each class if
// these are more, drawn from all classes evenly, which the protocol states too.
func NewPlan(e datasets.Experiment, seed uint64) (*Plan, error) {
	p := &Plan{Protocol: strings.TrimSuffix(e.Protocol, ".")}
	references := p.limit(&e, seed)
	p.seen, p.validation, p.unseen = e.Seen, e.Validation, e.Unseen
	if p.seen != nil {
		p.references = e.Train.Limit(references, random.Seed(seed, "references"))
		p.describe("nearest neighbor of %d test images among %d training images", p.seen.Len(), p.references.Len())
	}
	p.kind = "unseen classes"
	if p.unseen == nil {
		p.unseen, p.kind = e.Seen, "test images of the training classes"
	}
	if p.unseen == nil {
		return p, nil
	}
	if p.unseen.Populated(2) < 2 {
		p.describe("no verification, one-shot recognition or retrieval, because the %s have fewer than two classes of two images", p.kind)
		return p, nil
	}
	for _, draw := range []func(seed uint64) error{p.drawPairs, p.drawEpisodes, p.drawRetrieval, p.drawShown} {
		if err := draw(seed); err != nil {
			return nil, errors.Wrap(err, "plan")
		}
	}
	return p, nil
}

// limit replaces the parts of an experiment with large images by some of their images, drawn
// from all classes evenly, and returns the maximum number of references.
func (p *Plan) limit(e *datasets.Experiment, seed uint64) (references int) {
	if e.Train == nil || e.Train.Size.Len() <= largeImage {
		return mostReferences
	}
	for _, part := range []struct {
		name   string
		images **datasets.Dataset
		most   int
	}{
		{"validation images", &e.Validation, largeValidation},
		{"test images of the training classes", &e.Seen, largeTest},
		{"images of unseen classes", &e.Unseen, largeTest},
	} {
		all := *part.images
		if all == nil {
			continue
		}
		*part.images = all.Limit(max(part.most, perClass*all.Populated(1)), random.Seed(seed, "measured", part.name))
		if n := (*part.images).Len(); n < all.Len() {
			p.describe("measured on %d of the %d %s", n, all.Len(), part.name)
		}
	}
	return min(mostReferences, max(largeReferences, perClass*e.Train.Populated(1)))
}

// sample returns at most n images, drawn evenly from at most so many classes.
func sample(images *datasets.Dataset, n, classes int, classSeed, seed uint64) (_ *datasets.Dataset, err error) {
	if images.Populated(2) > classes {
		if _, images, err = images.SplitClasses(classes, classSeed); err != nil {
			return nil, err
		}
	}
	return images.Limit(n, seed), nil
}

// NewPairPlan returns the plan for data that lists pairs: verification of the test
// pairs at a threshold that is chosen on the validation pairs. Either may be nil.
func NewPairPlan(validation, test *datasets.PairList) *Plan {
	p := &Plan{Protocol: "listed pairs"}
	if test == nil {
		return p
	}
	p.unseen, p.testPairs, p.kind = test.Dataset, test.Pairs, "listed test pairs"
	p.shown = test.Dataset.Limit(shown, 0)
	p.describe("verification of %d listed test pairs", len(test.Pairs))
	if validation != nil {
		p.validation, p.thresholdPairs = validation.Dataset, validation.Pairs
		p.describe("threshold from %d listed validation pairs", len(validation.Pairs))
	}
	return p
}

// NewRunsPlan returns the plan for the one-shot tasks of Lake, Salakhutdinov &
// Tenenbaum 2015 (see datasets.OneShotRun) and a network that is trained on train. The
// one-shot accuracy is over all trials, and its interval resamples the runs.
// Verification compares each test image with the training image of its class and with
// that of another class of its run, drawn with the seed. The threshold is chosen on
// balanced pairs of the training images. There is no retrieval, because runs share
// characters. The published results are printed beside the figures.
func NewRunsPlan(train *datasets.Dataset, runs []datasets.OneShotRun, seed uint64, published []Published) (*Plan, error) {
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
	p.describe("one-shot accuracy over the %d trials of %d runs (Lake et al. 2015), with characters of other alphabets", len(trials), len(runs))
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
		p.describe("verification of %d pairs of images of one run", len(p.testPairs))
		if train.Populated(2) >= 2 {
			p.validation = train
			if p.thresholdPairs, err = balanced(train, random.Seed(seed, "threshold pairs")); err != nil {
				return nil, errors.Wrap(err, "plan")
			}
			p.describe("threshold from %d balanced pairs of the training images", len(p.thresholdPairs))
		}
	}
	return p, errors.Wrap(p.drawShown(seed), "plan")
}

func (p *Plan) describe(format string, arguments ...interface{}) {
	p.Protocol += "; " + fmt.Sprintf(format, arguments...)
}

func (p *Plan) drawPairs(seed uint64) (err error) {
	if p.testPairs, err = balanced(p.unseen, random.Seed(seed, "test pairs")); err != nil {
		return err
	}
	p.describe("verification of %d balanced pairs of %s", len(p.testPairs), p.kind)
	if p.validation == nil || p.validation.Populated(2) < 2 {
		return nil
	}
	if p.thresholdPairs, err = balanced(p.validation, random.Seed(seed, "threshold pairs")); err != nil {
		return err
	}
	p.describe("threshold from %d balanced pairs of the validation images", len(p.thresholdPairs))
	return nil
}

func (p *Plan) drawEpisodes(seed uint64) (err error) {
	way := min(ways, p.unseen.Populated(2))
	same, _ := distinct(p.unseen)
	count := min(episodes, 2*same/way) // two images of a class make two trials: either may be the query
	if p.trials, err = datasets.OneShotTrials(p.unseen, way, count, seed, "episode"); err != nil {
		return err
	}
	p.describe("%d-way one-shot over %d episodes of %s", way, count, p.kind)
	return nil
}

func (p *Plan) drawRetrieval(seed uint64) (err error) {
	p.retrieval, err = sample(p.unseen, retrieved, retrieved/perClass, random.Seed(seed, "retrieved classes"), random.Seed(seed, "retrieval"))
	if err != nil {
		return err
	}
	p.describe("retrieval among %d images of the %s", p.retrieval.Len(), p.kind)
	p.drawClustered(seed)
	return nil
}

// drawClustered draws the images that are clustered: all of those of retrieval, or of too many some
// classes, and of these too many some images of each. Only the latter is added to the protocol.
func (p *Plan) drawClustered(seed uint64) {
	var classes [][]int
	for _, class := range p.retrieval.ByClass() {
		if len(class) > 0 {
			classes = append(classes, class)
		}
	}
	chosen := random.New(seed, "clustered classes").Perm(len(classes))
	chosen = chosen[:min(len(chosen), clusterClasses)]
	each := max(perClass, clustered/len(chosen))
	if len(chosen) == len(classes) && p.retrieval.Len() <= clustered {
		each = p.retrieval.Len()
	}
	for _, class := range chosen {
		r := random.New(seed, "clustered images", class)
		for _, i := range r.Perm(len(classes[class]))[:min(each, len(classes[class]))] {
			p.clustered = append(p.clustered, classes[class][i])
		}
	}
	slices.Sort(p.clustered)
	p.clusterSeed = random.Seed(seed, "clusters")
	if len(p.clustered) < p.retrieval.Len() {
		p.describe("clusters of %d of these images, of %d classes", len(p.clustered), len(chosen))
	}
}

// drawShown adds nothing to the protocol, because no figure depends on it.
func (p *Plan) drawShown(seed uint64) (err error) {
	p.shown, err = sample(p.unseen, shown, classes, random.Seed(seed, "shown classes"), random.Seed(seed, "shown"))
	return err
}

// balanced draws pairs, half of them of different classes, up to the number that is
// possible without repetition.
func balanced(images *datasets.Dataset, seed uint64) ([]datasets.Pair, error) {
	sampler, err := datasets.BalancedPairs(images)
	if err != nil {
		return nil, errors.Wrap(err, "draw pairs")
	}
	return sampler.Sample(random.New(seed), min(pairs, 2*min(distinct(images)))).Pairs(), nil
}

// distinct counts the distinct pairs of images of one class and of two classes.
func distinct(images *datasets.Dataset) (same, different int) {
	for _, class := range images.ByClass() {
		same += len(class) * (len(class) - 1) / 2
	}
	return same, images.Len()*(images.Len()-1)/2 - same
}

// progress returns a function that adds to the number of embedded images and calls
// Progress; nil if Progress is nil. The total is the images that all
// contenders embed and, with evidence, those that the trained network embeds again.
func (p *Plan) progress(evidence bool) func(images int) {
	if p.Progress == nil {
		return nil
	}
	done, total := 0, 3*p.embeddings()
	if p.Pretrained != nil {
		total += p.embeddings()
	}
	if evidence {
		total += length(p.retrieval) + length(p.shown)
	}
	return func(images int) {
		done += images
		p.Progress(done, total)
	}
}

// embeddings is the number of images that each contender embeds, some of them twice.
func (p *Plan) embeddings() int {
	images := 0
	if p.seen != nil {
		images += p.references.Len() + p.seen.Len()
	}
	if p.testPairs == nil && p.trials == nil {
		return images
	}
	if p.thresholdPairs != nil {
		images += p.validation.Len()
	}
	return images + p.unseen.Len() + length(p.retrieval)
}

func length(d *datasets.Dataset) int {
	if d == nil {
		return 0
	}
	return d.Len()
}
