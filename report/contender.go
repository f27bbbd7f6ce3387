package report

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// contender is a way to measure how alike images are.
type contender interface {
	embed(*datasets.Dataset) (evaluate.Embeddings, error)
	metric() (evaluate.Metric, error)
}

// network is a model, trained or not.
type network struct{ *likeness.Model }

func (n network) metric() (evaluate.Metric, error) { return n.Metric() }

func (n network) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	rows, err := n.EmbedPixels(d.Images)
	if err != nil {
		return evaluate.Embeddings{}, err
	}
	return evaluate.FromRows(rows)
}

// rawPixels compares images as they are, by the Euclidean distance.
type rawPixels struct{}

func (rawPixels) metric() (evaluate.Metric, error) { return evaluate.Euclidean{}, nil }

func (rawPixels) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	data := make([]float32, 0, d.Len()*d.Size.Len())
	for _, image := range d.Images {
		for _, v := range image {
			data = append(data, float32(v)/255)
		}
	}
	return evaluate.NewEmbeddings(d.Len(), d.Size.Len(), data)
}

// outcome is what a contender made of a plan.
type outcome struct {
	neighbours   *evaluate.Score
	verification *evaluate.Verification
	threshold    *float64
	accepted     *evaluate.Score // accuracy at the threshold
	oneShot      *evaluate.Score
	oneShotRange evaluate.Measure // with the episodes' interval
	retrieval    *evaluate.Retrieval
}

// measure puts a contender to the trials.
func (p *Plan) measure(c contender) (o outcome, err error) {
	metric, err := c.metric()
	if err != nil {
		return o, err
	}
	if p.seen != nil {
		if err := p.neighbours(c, metric, &o); err != nil {
			return o, errors.Wrap(err, "nearest neighbours")
		}
	}
	if p.unseen == nil {
		return o, nil
	}
	embeddings, err := c.embed(p.unseen)
	if err != nil {
		return o, err
	}
	if p.testPairs != nil {
		if err := p.verify(c, metric, embeddings, &o); err != nil {
			return o, errors.Wrap(err, "verification")
		}
	}
	if p.trials != nil {
		score, err := evaluate.OneShot(metric, embeddings, p.trials, evaluate.MeanDistance)
		if err != nil {
			return o, errors.Wrap(err, "one-shot")
		}
		o.oneShot = &score
		if o.oneShotRange, err = score.Clustered(p.groups); err != nil {
			return o, errors.Wrap(err, "one-shot")
		}
	}
	if p.retrieval != nil {
		if embeddings, err = c.embed(p.retrieval); err != nil {
			return o, err
		}
		retrieval, err := evaluate.Retrieve(metric, evaluate.Labelled{Embeddings: embeddings, Labels: p.retrieval.Labels}, 1)
		if err != nil {
			return o, errors.Wrap(err, "retrieval")
		}
		o.retrieval = &retrieval
	}
	return o, nil
}

func (p *Plan) neighbours(c contender, metric evaluate.Metric, o *outcome) error {
	known, err := c.embed(p.references)
	if err != nil {
		return err
	}
	asked, err := c.embed(p.seen)
	if err != nil {
		return err
	}
	score, err := evaluate.NearestNeighbours{Metric: metric}.Accuracy(
		evaluate.Labelled{Embeddings: known, Labels: p.references.Labels},
		evaluate.Labelled{Embeddings: asked, Labels: p.seen.Labels})
	o.neighbours = &score
	return err
}

func (p *Plan) verify(c contender, metric evaluate.Metric, embeddings evaluate.Embeddings, o *outcome) error {
	var err error
	if o.verification, err = verification(metric, embeddings, p.testPairs); err != nil || p.thresholdPairs == nil {
		return err
	}
	held, err := c.embed(p.validation)
	if err != nil {
		return err
	}
	chosen, err := verification(metric, held, p.thresholdPairs)
	if err != nil {
		return err
	}
	threshold := chosen.BestThreshold()
	accuracy := o.verification.AccuracyAt(threshold)
	o.threshold, o.accepted = &threshold, &accuracy
	return nil
}

func verification(metric evaluate.Metric, embeddings evaluate.Embeddings, pairs []datasets.Pair) (*evaluate.Verification, error) {
	left, right, different := make([]int, len(pairs)), make([]int, len(pairs)), make([]bool, len(pairs))
	for i, pair := range pairs {
		left[i], right[i], different[i] = pair.Left, pair.Right, pair.Different
	}
	distances := make([]float64, len(pairs))
	if err := metric.Pairs(distances, embeddings.Select(left), embeddings.Select(right)); err != nil {
		return nil, err
	}
	return evaluate.NewVerification(distances, different)
}
