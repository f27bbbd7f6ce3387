package report

import (
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// The names of the figures.
const (
	knnAccuracy          = "knn_accuracy"
	verificationAUC      = "verification_auc"
	verificationEER      = "verification_eer"
	verificationAccuracy = "verification_accuracy"
	oneShotAccuracy      = "oneshot_accuracy"
	recallAt1            = "recall_at_1"
	mapAtR               = "map_at_r"
)

// Figure is a measure of the trained model with its 95 % interval, beside the
// baselines' values. Where it is known, Gain is trained minus the better of
// the two baselines on the same trials, with the interval of the paired
// bootstrap. Intervals are about other images of the same classes, and resample
// images where trials share them; see the package comment of evaluate.
type Figure struct {
	Value     float64 `json:"value"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Untrained float64 `json:"untrained"`
	Pixels    float64 `json:"pixels"`
	Gain      *Gain   `json:"gain,omitempty"`
}

// String writes the figure with enough digits to tell two apart.
func (f Figure) String() string {
	return fmt.Sprintf("%.8g [%.8g, %.8g], untrained %.8g, pixels %.8g", f.Value, f.Low, f.High, f.Untrained, f.Pixels)
}

// Gain is a difference with its 95 % interval.
type Gain struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Measure puts the trained model, the untrained one and raw pixels to the
// plan's trials. Dataset, seed and speed are for the caller to fill in.
func (p *Plan) Measure(trained, untrained *likeness.Model) (Report, error) {
	report, _, err := p.contend(trained, untrained, p.told(false))
	return report, err
}

// contend also returns what the trained model, the untrained one and raw pixels
// made of the trials.
func (p *Plan) contend(trained, untrained *likeness.Model, embedded func(images int)) (Report, [3]outcome, error) {
	var outcomes [3]outcome
	for i, entry := range []struct {
		name string
		contender
	}{{"the trained network", network{trained, embedded}}, {"the untrained network", network{untrained, embedded}}, {"raw pixels", rawPixels{embedded}}} {
		var err error
		if outcomes[i], err = p.measure(entry.contender); err != nil {
			return Report{}, outcomes, errors.Wrapf(err, "measure %s", entry.name)
		}
	}
	figures, err := p.compare(outcomes[0], outcomes[1], outcomes[2])
	if err != nil {
		return Report{}, outcomes, errors.Wrap(err, "compare with the baselines")
	}
	return Report{Protocol: p.Protocol, Threshold: outcomes[0].threshold, Metrics: figures, Published: p.published}, outcomes, nil
}

// compare makes figures of the outcomes.
func (p *Plan) compare(trained, untrained, pixels outcome) (map[string]Figure, error) {
	figures := map[string]Figure{}
	for name, score := range trained.scores {
		best := untrained.scores[name]
		if pixels.scores[name].Value > best.Value {
			best = pixels.scores[name]
		}
		var groups []int
		if name == oneShotAccuracy {
			if groups = p.groups; groups == nil {
				groups = evaluate.Queries(p.trials)
			}
		}
		gain, err := evaluate.Difference(score, best, groups)
		if err != nil {
			return nil, errors.Wrap(err, name)
		}
		figures[name] = figure(score.Measure, untrained.scores[name].Measure, pixels.scores[name].Measure, &gain)
	}
	if trained.verification == nil {
		return figures, nil
	}
	if err := compareAUC(figures, trained, untrained, pixels); err != nil {
		return nil, errors.Wrap(err, verificationAUC)
	}
	if trained.threshold == nil {
		return figures, nil
	}
	return figures, errors.Wrap(compareAccuracy(figures, trained, untrained, pixels), verificationAccuracy)
}

func compareAUC(figures map[string]Figure, trained, untrained, pixels outcome) error {
	t, u, p := trained.verification, untrained.verification, pixels.verification
	without, raw, best := u.AreaUnderCurve(), p.AreaUnderCurve(), u
	if raw > without {
		best = p
	}
	gain, err := evaluate.AUCDifference(t, best)
	if err != nil {
		return err
	}
	figures[verificationAUC] = figure(t.AUC(), evaluate.Measure{Value: without}, evaluate.Measure{Value: raw}, &gain)
	figures[verificationEER] = figure(t.EqualErrorRate(), u.EqualErrorRate(), p.EqualErrorRate(), nil)
	return nil
}

// compareAccuracy is of each by its own threshold.
func compareAccuracy(figures map[string]Figure, trained, untrained, pixels outcome) error {
	accuracy := func(o outcome) evaluate.Measure { return o.verification.AccuracyAt(*o.threshold) }
	without, raw, best := accuracy(untrained), accuracy(pixels), untrained
	if raw.Value > without.Value {
		best = pixels
	}
	gain, err := evaluate.AccuracyDifference(trained.verification, *trained.threshold, best.verification, *best.threshold)
	if err != nil {
		return err
	}
	figures[verificationAccuracy] = figure(accuracy(trained), without, raw, &gain)
	return nil
}

func figure(trained, untrained, pixels evaluate.Measure, gain *evaluate.Measure) Figure {
	f := Figure{Value: trained.Value, Low: trained.Low, High: trained.High, Untrained: untrained.Value, Pixels: pixels.Value}
	if gain != nil {
		f.Gain = &Gain{gain.Value, gain.Low, gain.High}
	}
	return f
}
