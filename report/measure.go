package report

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// The names of the figures: keys of Report.Metrics and of result.json.
const (
	knnAccuracy          = "knn_accuracy"
	verificationAUC      = "verification_auc"
	verificationEER      = "verification_eer"
	verificationAccuracy = "verification_accuracy"
	oneShotAccuracy      = "oneshot_accuracy"
	recallAt1            = "recall_at_1"
	mapAtR               = "map_at_r"
	precisionAt5         = "precision_at_5"
	reciprocalRank       = "mrr"
	discountedGain       = "ndcg"
	clusterNMI           = "nmi"
	clusterAMI           = "ami"
)

// Figure is the value of a metric for the trained model with its 95 % confidence
// interval, and the values for the baselines. Pretrained is that of the model before
// fine-tuning; it is nil for a training that began with random weights. Gain, unless it
// is nil, is the difference between the trained model and the best baseline on the same
// trials, with the interval of the paired bootstrap. Intervals describe the variation over
// other images of the same classes; where trials share images, images are
// resampled instead of trials (see the package comment of evaluate).
type Figure struct {
	Value      float64  `json:"value"`
	Low        float64  `json:"low"`
	High       float64  `json:"high"`
	Untrained  float64  `json:"untrained"`
	Pixels     float64  `json:"pixels"`
	Pretrained *float64 `json:"pretrained,omitempty"`
	Gain       *Gain    `json:"gain,omitempty"`
}

// String formats the figure with eight significant digits.
func (f Figure) String() string {
	text := fmt.Sprintf("%.8g [%.8g, %.8g], untrained %.8g, pixels %.8g", f.Value, f.Low, f.High, f.Untrained, f.Pixels)
	if f.Pretrained != nil {
		text += fmt.Sprintf(", pretrained %.8g", *f.Pretrained)
	}
	return text
}

// Gain is a difference with its 95 % confidence interval.
type Gain struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Measure evaluates the trained model, the untrained one, raw pixels and, if there is one,
// the pretrained model on the plan's trials. The caller fills in the report's data set,
// seed and speed.
func (p *Plan) Measure(trained, untrained *likeness.Model) (Report, error) {
	report, _, err := p.measureAll(trained, untrained, p.progress(false))
	return report, err
}

// outcomes are those of the trained model and of its baselines. Pretrained is nil if the
// plan has no pretrained model.
type outcomes struct {
	trained, untrained, pixels outcome
	pretrained                 *outcome

	network *memory // the trained network
}

// best returns the baseline with the largest value; the first of those that are equal.
func (o outcomes) best(value func(outcome) float64) outcome {
	best := o.untrained
	if value(o.pixels) > value(best) {
		best = o.pixels
	}
	if o.pretrained != nil && value(*o.pretrained) > value(best) {
		best = *o.pretrained
	}
	return best
}

// figure returns the figure of these estimates. The gain may be nil.
func (o outcomes) figure(estimate func(outcome) evaluate.Estimate, gain *evaluate.Estimate) Figure {
	trained := estimate(o.trained)
	f := Figure{
		Value: trained.Value, Low: trained.Low, High: trained.High,
		Untrained: estimate(o.untrained).Value, Pixels: estimate(o.pixels).Value,
	}
	if o.pretrained != nil {
		value := estimate(*o.pretrained).Value
		f.Pretrained = &value
	}
	if gain != nil {
		f.Gain = &Gain{gain.Value, gain.Low, gain.High}
	}
	return f
}

// measureAll also returns the outcomes.
func (p *Plan) measureAll(trained, untrained *likeness.Model, embedded func(images int)) (Report, outcomes, error) {
	var o outcomes
	type entry struct {
		name    string
		outcome *outcome
		contender
	}
	entries := []entry{
		{"the trained network", &o.trained, network{trained}},
		{"the untrained network", &o.untrained, network{untrained}},
		{"raw pixels", &o.pixels, rawPixels{}},
	}
	if p.Pretrained != nil {
		o.pretrained = &outcome{}
		entries = append(entries, entry{"the network before fine-tuning", o.pretrained, network{p.Pretrained}})
	}
	for i, e := range entries {
		var err error
		m := &memory{contender: e.contender, rows: map[imageKey][]float32{}, embedded: embedded}
		if i == 0 {
			o.network = m
		}
		if *e.outcome, err = p.measure(m); err != nil {
			return Report{}, o, errors.Wrapf(err, "measure %s", e.name)
		}
	}
	figures, err := p.compare(o)
	if err != nil {
		return Report{}, o, errors.Wrap(err, "compare with the baselines")
	}
	return Report{Protocol: p.Protocol, Threshold: o.trained.threshold, Metrics: figures, Published: p.published}, o, nil
}

// compare combines the outcomes into figures.
func (p *Plan) compare(o outcomes) (map[string]Figure, error) {
	figures := map[string]Figure{}
	for name, score := range o.trained.scores {
		var groups []int
		if name == oneShotAccuracy {
			if groups = p.groups; groups == nil {
				groups = evaluate.Queries(p.trials)
			}
		}
		best := o.best(func(o outcome) float64 { return o.scores[name].Value })
		gain, err := evaluate.Difference(score, best.scores[name], groups)
		if err != nil {
			return nil, errors.Wrap(err, name)
		}
		figures[name] = o.figure(func(o outcome) evaluate.Estimate { return o.scores[name].Estimate }, &gain)
	}
	if o.trained.clustering != nil {
		figures[clusterNMI] = o.figure(func(o outcome) evaluate.Estimate { return o.clustering.NMI }, nil)
		figures[clusterAMI] = o.figure(func(o outcome) evaluate.Estimate { return o.clustering.AMI }, nil)
	}
	if o.trained.verification == nil {
		return figures, nil
	}
	if err := o.compareAUC(figures); err != nil {
		return nil, errors.Wrap(err, verificationAUC)
	}
	if o.trained.threshold == nil {
		return figures, nil
	}
	return figures, errors.Wrap(o.compareAccuracy(figures), verificationAccuracy)
}

func (o outcomes) compareAUC(figures map[string]Figure) error {
	best := o.best(func(o outcome) float64 { return o.verification.AreaUnderCurve() })
	gain, err := evaluate.AUCDifference(o.trained.verification, best.verification)
	if err != nil {
		return err
	}
	f := o.figure(func(o outcome) evaluate.Estimate { return evaluate.Estimate{Value: o.verification.AreaUnderCurve()} }, &gain)
	f.Low, f.High = o.trained.verification.AUC().Low, o.trained.verification.AUC().High
	figures[verificationAUC] = f
	figures[verificationEER] = o.figure(func(o outcome) evaluate.Estimate { return o.verification.EqualErrorRate() }, nil)
	return nil
}

// compareAccuracy compares accuracies, each at the contender's own threshold.
func (o outcomes) compareAccuracy(figures map[string]Figure) error {
	accuracy := func(o outcome) evaluate.Estimate { return o.verification.AccuracyAt(*o.threshold) }
	best := o.best(func(o outcome) float64 { return accuracy(o).Value })
	gain, err := evaluate.AccuracyDifference(o.trained.verification, *o.trained.threshold, best.verification, *best.threshold)
	if err != nil {
		return err
	}
	figures[verificationAccuracy] = o.figure(accuracy, &gain)
	return nil
}

// contender is a method of comparing images: a network or raw pixels.
type contender interface {
	// embed calls embedded, unless it is nil, with the number of images just embedded.
	embed(d *datasets.Dataset, embedded func(images int)) (evaluate.Embeddings, error)
	metric() (evaluate.Metric, error)
}

// memory is a contender that embeds each image once, because tests share images.
type memory struct {
	contender
	rows     map[imageKey][]float32
	embedded func(images int)
}

// imageKey identifies an image of a dataset, by its place in the source of the images or in
// memory.
type imageKey struct {
	from   datasets.Images
	index  int
	pixels *uint8
}

// keysOf returns the keys of the images of a dataset; nil if its source has none, because
// values of its type cannot be compared.
func keysOf(d *datasets.Dataset) []imageKey {
	if d.From != nil && !reflect.ValueOf(d.From).Comparable() {
		return nil
	}
	keys := make([]imageKey, d.Len())
	for i := range keys {
		if d.From != nil {
			keys[i] = imageKey{from: d.From, index: d.Indices[i]}
		} else {
			keys[i] = imageKey{pixels: unsafe.SliceData(d.Images[i])}
		}
	}
	return keys
}

// embed returns the embeddings of all images and embeds those that no dataset had before.
func (m *memory) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	keys := keysOf(d)
	if keys == nil {
		return m.contender.embed(d, m.embedded)
	}
	var missing []int
	for i, key := range keys {
		if _, found := m.rows[key]; !found {
			m.rows[key] = nil
			missing = append(missing, i)
		}
	}
	if known := d.Len() - len(missing); known > 0 && m.embedded != nil {
		m.embedded(known)
	}
	if len(missing) > 0 {
		more, err := m.contender.embed(d.Subset(missing), m.embedded)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		for row, i := range missing {
			m.rows[keys[i]] = more.Row(row)
		}
	}
	rows := make([][]float32, len(keys))
	for i, key := range keys {
		rows[i] = m.rows[key]
	}
	return evaluate.FromRows(rows)
}

// network is a model, trained or not.
type network struct{ *likeness.Model }

func (n network) metric() (evaluate.Metric, error) {
	if n.Model == nil {
		return nil, errors.New("found no model (nil), expected one")
	}
	return n.Metric()
}

func (n network) embed(d *datasets.Dataset, embedded func(images int)) (evaluate.Embeddings, error) {
	return n.Model.EmbedAll(d, embedded)
}

// rawPixels compares images by the Euclidean distance between their pixels, which
// are integers from 0 to 255, so that distances that are equal in exact arithmetic
// are equal bit for bit. Larger images are scaled to pixelSide: comparing all pixels of a
// photograph would take longer than training, and is no better.
type rawPixels struct{}

func (rawPixels) metric() (evaluate.Metric, error) { return heads.L2{}.Distance(nil) }

func (rawPixels) embed(d *datasets.Dataset, embedded func(images int)) (evaluate.Embeddings, error) {
	size := d.Size
	size.Height, size.Width = min(size.Height, pixelSide), min(size.Width, pixelSide)
	data := make([]float32, d.Len()*size.Len())
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, d.Len(), func(i int) error {
		whole, err := d.Pixels(i)
		if err != nil {
			return err
		}
		pixels, _, err := imaging.Shrink(whole, d.Size, pixelSide)
		for k, v := range pixels {
			data[i*size.Len()+k] = float32(v)
		}
		return err
	})
	if err != nil {
		return evaluate.Embeddings{}, err
	}
	if embedded != nil {
		embedded(d.Len())
	}
	return evaluate.NewEmbeddings(d.Len(), size.Len(), data)
}

// pixelSide is the largest height and width of images that are compared pixel by pixel.
const pixelSide = 32

// outcome holds one contender's results on a plan's trials.
type outcome struct {
	scores       map[string]evaluate.Score // by the name of the figure
	verification *evaluate.Verification
	threshold    *float64 // chosen on validation pairs
	clustering   *evaluate.Clustering
}

// measure evaluates a contender on the plan's trials.
func (p *Plan) measure(c *memory) (outcome, error) {
	o := outcome{scores: map[string]evaluate.Score{}}
	metric, err := c.metric()
	if err != nil {
		return o, err
	}
	if p.seen != nil {
		if err := p.neighbors(c, metric, &o); err != nil {
			return o, errors.Wrap(err, "nearest neighbors")
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
		if err := p.oneShot(metric, embeddings, &o); err != nil {
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

func (p *Plan) neighbors(c *memory, metric evaluate.Metric, o *outcome) error {
	known, err := c.embed(p.references)
	if err != nil {
		return err
	}
	queries, err := c.embed(p.seen)
	if err != nil {
		return err
	}
	o.scores[knnAccuracy], err = evaluate.NearestNeighbors{Metric: metric}.Accuracy(
		evaluate.Labeled{Embeddings: known, Labels: p.references.Labels},
		evaluate.Labeled{Embeddings: queries, Labels: p.seen.Labels})
	return err
}

func (p *Plan) verify(c *memory, metric evaluate.Metric, embeddings evaluate.Embeddings, o *outcome) error {
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

func (p *Plan) oneShot(metric evaluate.Metric, embeddings evaluate.Embeddings, o *outcome) error {
	score, err := evaluate.OneShot(metric, embeddings, p.trials, evaluate.MeanDistance)
	if err == nil && p.groups != nil {
		score.Estimate, err = score.Clustered(p.groups)
	}
	o.scores[oneShotAccuracy] = score
	return err
}

func (p *Plan) retrieve(c *memory, metric evaluate.Metric, o *outcome) error {
	embeddings, err := c.embed(p.retrieval)
	if err != nil {
		return err
	}
	ks := []int{1}
	if p.retrieval.Len() > precisionDepth {
		ks = append(ks, precisionDepth)
	}
	retrieval, err := evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: embeddings, Labels: p.retrieval.Labels}, ks...)
	if err != nil {
		return err
	}
	o.scores[recallAt1], o.scores[mapAtR] = retrieval.RecallAt[1], retrieval.MAPAtR
	o.scores[reciprocalRank], o.scores[discountedGain] = retrieval.MRR, retrieval.NDCG
	if len(ks) > 1 {
		o.scores[precisionAt5] = retrieval.PrecisionAt[precisionDepth]
	}
	set := evaluate.Labeled{Embeddings: embeddings.Select(p.clustered)}
	for _, row := range p.clustered {
		set.Labels = append(set.Labels, p.retrieval.Labels[row])
	}
	o.clustering, err = evaluate.Cluster(metric, set, evaluate.ClusterOptions{Seed: p.clusterSeed})
	return errors.Wrap(err, "clusters")
}

// precisionDepth is the number of nearest images of precisionAt5.
const precisionDepth = 5
