package report

import (
	"cmp"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// Evidence holds the test images of a report's figures and the trained network's
// distances between them, for inspection. A part for which the plan has no images is nil.
type Evidence struct {
	Kind         string // what the images are, such as "unseen classes"; empty without any
	Verification *VerificationEvidence
	Retrieval    *RetrievalEvidence
	Map          *MapEvidence
}

// VerificationEvidence holds the test pairs and their distances.
type VerificationEvidence struct {
	Images    *datasets.Dataset
	Pairs     []datasets.Pair // of Images
	Distances []float64       // of each pair, by the trained network
	Threshold *float64        // of the trained network, chosen on validation pairs; nil without any

	// The verification results of the trained network and of its baselines. Pretrained is
	// that of the network before fine-tuning, nil for a training with random weights.
	Trained, Untrained, Pixels, Pretrained *evaluate.Verification
}

// RetrievalEvidence holds the images of the retrieval test and the queries without
// an image of their own class among their Depth nearest images, the worst first.
type RetrievalEvidence struct {
	Images  *datasets.Dataset
	Queries int             // number of query images: those whose class has another image
	Depth   int             // number of nearest images that are inspected for each query
	Misses  []evaluate.Miss // rows are indices into Images
}

// MapEvidence holds up to a few hundred test images with their embeddings, for
// two-dimensional maps. If there are many classes, it holds images of some of them.
type MapEvidence struct {
	Images     *datasets.Dataset // in memory; without labels where pairs are listed
	Embeddings evaluate.Embeddings
	Distances  []float64 // (images, images): all pairwise distances, by the trained network
	// Clustering has the clusters of k-means of the embeddings, as many as there are classes; nil
	// without labels.
	Clustering *evaluate.Clustering
}

// depth is the number of nearest images that are inspected for each query.
const depth = 5

// MeasureWithEvidence is Measure that also returns the test images and distances
// behind the figures.
func (p *Plan) MeasureWithEvidence(trained, untrained *likeness.Model) (Report, *Evidence, error) {
	report, measured, err := p.measureAll(trained, untrained, p.progress(true))
	if err != nil {
		return report, nil, err
	}
	evidence, err := p.evidence(measured.network, measured)
	if err != nil {
		return Report{}, nil, errors.Wrap(err, "gather evidence")
	}
	return report, evidence, nil
}

func (p *Plan) evidence(c *memory, o outcomes) (*Evidence, error) {
	metric, err := c.metric()
	if err != nil {
		return nil, err
	}
	e := &Evidence{Kind: p.kind}
	if p.testPairs != nil {
		e.Verification = &VerificationEvidence{
			Images: p.unseen, Pairs: p.testPairs, Distances: o.trained.verification.Distances(), Threshold: o.trained.threshold,
			Trained: o.trained.verification, Untrained: o.untrained.verification, Pixels: o.pixels.verification,
		}
		if o.pretrained != nil {
			e.Verification.Pretrained = o.pretrained.verification
		}
	}
	if p.retrieval != nil {
		embeddings, err := c.embed(p.retrieval)
		if err != nil {
			return nil, err
		}
		set := evaluate.Labeled{Embeddings: embeddings, Labels: p.retrieval.Labels}
		e.Retrieval = &RetrievalEvidence{Images: p.retrieval, Queries: queries(p.retrieval), Depth: min(depth, set.Rows-1)}
		if e.Retrieval.Misses, err = evaluate.Misses(metric, set, e.Retrieval.Depth); err != nil {
			return nil, errors.Wrap(err, "retrieval")
		}
	}
	if p.shown != nil {
		embeddings, err := c.embed(p.shown)
		if err != nil {
			return nil, err
		}
		images, err := p.shown.InMemory()
		if err != nil {
			return nil, errors.Wrap(err, "map")
		}
		e.Map = &MapEvidence{Images: images, Embeddings: embeddings, Distances: make([]float64, p.shown.Len()*p.shown.Len())}
		if err := metric.Pairwise(e.Map.Distances, embeddings.Data, embeddings.Data, embeddings.Columns); err != nil {
			return nil, errors.Wrap(err, "map")
		}
		if images.Labels != nil {
			e.Map.Clustering, err = evaluate.Cluster(metric, evaluate.Labeled{Embeddings: embeddings, Labels: images.Labels}, evaluate.ClusterOptions{Seed: p.clusterSeed})
			if err != nil {
				return nil, errors.Wrap(err, "map: clusters")
			}
		}
	}
	return e, nil
}

// queries counts the images whose class has another image.
func queries(images *datasets.Dataset) (count int) {
	for _, class := range images.ByClass() {
		if len(class) > 1 {
			count += len(class)
		}
	}
	return count
}

// Hardest returns the n hardest pairs of each kind, the hardest first, as indices
// into Pairs: the same-class pairs with the largest distances and the
// different-class pairs with the smallest. A pair that was drawn repeatedly is
// returned once; ties are in the order in which the pairs were drawn.
func (v *VerificationEvidence) Hardest(n int) (same, different []int) {
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
