package report

import (
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// outcome is what a contender made of a plan.
type outcome struct {
	scores       map[string]evaluate.Score // by the name of the figure
	verification *evaluate.Verification
	threshold    *float64 // chosen on validation pairs
}

// measure puts a contender to the trials.
func (p *Plan) measure(c contender) (outcome, error) {
	o := outcome{scores: map[string]evaluate.Score{}}
	metric, err := c.metric()
	if err != nil {
		return o, err
	}
	if p.seen != nil {
		if err := p.neighbours(c, metric, &o); err != nil {
			return o, errors.Wrap(err, "nearest neighbours")
		}
	}
	if p.testPairs == nil && p.trials == nil {
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
		if err := p.recognise(metric, embeddings, &o); err != nil {
			return o, errors.Wrap(err, "one-shot")
		}
	}
	if p.retrieval != nil {
		if err := p.retrieve(c, metric, &o); err != nil {
			return o, errors.Wrap(err, "retrieval")
		}
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
	o.scores[knnAccuracy], err = evaluate.NearestNeighbours{Metric: metric}.Accuracy(
		evaluate.Labelled{Embeddings: known, Labels: p.references.Labels},
		evaluate.Labelled{Embeddings: asked, Labels: p.seen.Labels})
	return err
}

func (p *Plan) verify(c contender, metric evaluate.Metric, embeddings evaluate.Embeddings, o *outcome) error {
	var err error
	if o.verification, err = evaluate.Verify(metric, embeddings, p.testPairs); err != nil || p.thresholdPairs == nil {
		return err
	}
	held, err := c.embed(p.validation)
	if err != nil {
		return err
	}
	validation, err := evaluate.Verify(metric, held, p.thresholdPairs)
	if err != nil {
		return errors.Wrap(err, "threshold")
	}
	threshold := validation.BestThreshold()
	o.threshold = &threshold
	return nil
}

func (p *Plan) recognise(metric evaluate.Metric, embeddings evaluate.Embeddings, o *outcome) error {
	score, err := evaluate.OneShot(metric, embeddings, p.trials, evaluate.MeanDistance)
	if err == nil && p.groups != nil {
		score.Measure, err = score.Clustered(p.groups)
	}
	o.scores[oneShotAccuracy] = score
	return err
}

func (p *Plan) retrieve(c contender, metric evaluate.Metric, o *outcome) error {
	embeddings, err := c.embed(p.retrieval)
	if err != nil {
		return err
	}
	retrieval, err := evaluate.Retrieve(metric, evaluate.Labelled{Embeddings: embeddings, Labels: p.retrieval.Labels}, 1)
	o.scores[recallAt1], o.scores[mapAtR] = retrieval.RecallAt[1], retrieval.MAPAtR
	return err
}
