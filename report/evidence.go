package report

import (
	"cmp"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// Evidence is the images that a report's figures were measured on, and what the
// trained network made of them, for people to look at. What the plan has no
// trials for is nil.
type Evidence struct {
	Kind      string // what the images are, such as "unseen classes"; empty without any
	Verified  *Verified
	Retrieved *Retrieved
	Shown     *Shown
}

// Verified is the test pairs and how far apart the contenders take them to be.
type Verified struct {
	Images    *datasets.Dataset
	Pairs     []datasets.Pair // of Images
	Distances []float64       // of each pair, by the trained network
	Threshold *float64        // chosen on validation pairs; nil without any

	// What each contender made of the pairs.
	Trained, Untrained, Pixels *evaluate.Verification
}

// Retrieved is the images of retrieval and the queries that found nothing of
// their class among their Depth nearest, the worst first.
type Retrieved struct {
	Images  *datasets.Dataset
	Queries int // images that were asked: those whose class has another
	Depth   int
	Misses  []evaluate.Miss // rows are indices into Images
}

// Shown is some hundred test images with their embeddings, for maps. Where
// there are many classes it is all images of some of them.
type Shown struct {
	Images     *datasets.Dataset // without labels where pairs are listed
	Embeddings evaluate.Embeddings
	Distances  []float64 // by the trained network, of each image from each: (images, images)
}

// depth is how many of the nearest images are looked at.
const depth = 5

// Examine is Measure that also returns the evidence.
func (p *Plan) Examine(trained, untrained *likeness.Model) (Report, *Evidence, error) {
	embedded := p.told(true)
	report, outcomes, err := p.contend(trained, untrained, embedded)
	if err != nil {
		return report, nil, err
	}
	evidence, err := p.evidence(network{trained, embedded}, outcomes)
	if err != nil {
		return Report{}, nil, errors.Wrap(err, "gather evidence")
	}
	return report, evidence, nil
}

func (p *Plan) evidence(c contender, outcomes [3]outcome) (*Evidence, error) {
	metric, err := c.metric()
	if err != nil {
		return nil, err
	}
	e := &Evidence{Kind: p.kind}
	if p.testPairs != nil {
		e.Verified = &Verified{
			Images: p.unseen, Pairs: p.testPairs, Distances: outcomes[0].verification.Distances(), Threshold: outcomes[0].threshold,
			Trained: outcomes[0].verification, Untrained: outcomes[1].verification, Pixels: outcomes[2].verification,
		}
	}
	if p.retrieval != nil {
		embeddings, err := c.embed(p.retrieval)
		if err != nil {
			return nil, err
		}
		set := evaluate.Labelled{Embeddings: embeddings, Labels: p.retrieval.Labels}
		e.Retrieved = &Retrieved{Images: p.retrieval, Queries: queries(p.retrieval), Depth: min(depth, set.Rows-1)}
		if e.Retrieved.Misses, err = evaluate.Misses(metric, set, e.Retrieved.Depth); err != nil {
			return nil, errors.Wrap(err, "retrieval")
		}
	}
	if p.shown != nil {
		embeddings, err := c.embed(p.shown)
		if err != nil {
			return nil, err
		}
		e.Shown = &Shown{Images: p.shown, Embeddings: embeddings, Distances: make([]float64, p.shown.Len()*p.shown.Len())}
		if err := metric.Distances(e.Shown.Distances, embeddings, embeddings); err != nil {
			return nil, errors.Wrap(err, "map")
		}
	}
	return e, nil
}

// queries is how many images have another of their class.
func queries(images *datasets.Dataset) (count int) {
	for _, class := range images.ByClass() {
		if len(class) > 1 {
			count += len(class)
		}
	}
	return count
}

// Hardest returns at most n pairs of each kind that are the easiest to get
// wrong, the worst first, as indices into Pairs: those of one class with the
// greatest distances, and those of two with the smallest. Two images that were
// drawn together more than once come once, and of equally hard pairs the one
// that was drawn first.
func (v *Verified) Hardest(n int) (same, different []int) {
	type images [2]int
	seen := map[images]bool{}
	for i, pair := range v.Pairs {
		both := images{min(pair.Left, pair.Right), max(pair.Left, pair.Right)}
		switch {
		case seen[both]:
		case pair.Different:
			different = append(different, i)
		default:
			same = append(same, i)
		}
		seen[both] = true
	}
	slices.SortStableFunc(same, func(i, j int) int { return cmp.Compare(v.Distances[j], v.Distances[i]) })
	slices.SortStableFunc(different, func(i, j int) int { return cmp.Compare(v.Distances[i], v.Distances[j]) })
	return same[:min(n, len(same))], different[:min(n, len(different))]
}
