package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Figure is a measure of the trained model with its 95 % interval, beside the
// baselines' values. Where it is known, Gain is trained minus the better of
// the two baselines on the same trials, with the interval of the paired
// bootstrap.
type Figure struct {
	Value     float64 `json:"value"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Untrained float64 `json:"untrained"`
	Pixels    float64 `json:"pixels"`
	Gain      *Gain   `json:"gain,omitempty"`
}

// Gain is a difference with its 95 % interval.
type Gain struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Report is what result.json holds.
type Report struct {
	Dataset         string            `json:"dataset"`
	Protocol        string            `json:"protocol"`
	Seed            uint64            `json:"seed"`
	Seconds         float64           `json:"seconds"` // of training
	ImagesPerSecond float64           `json:"images_per_second"`
	Stopped         string            `json:"stopped,omitempty"`   // why training ended before its last epoch
	Threshold       *float64          `json:"threshold,omitempty"` // chosen on validation pairs
	Metrics         map[string]Figure `json:"metrics"`
}

// rows are the measures in the order of the table.
var rows = []struct{ name, title string }{
	{"knn_accuracy", "nearest neighbour, seen classes"},
	{"verification_auc", "verification, ROC AUC"},
	{"verification_eer", "verification, equal error rate"},
	{"verification_accuracy", "verification, accuracy"},
	{"oneshot_accuracy", "one-shot accuracy"},
	{"recall_at_1", "recall@1"},
	{"map_at_r", "MAP@R"},
}

// Measure puts the trained model, the untrained one and raw pixels to the
// plan's trials. Dataset, seed and speed are for the caller to fill in.
func (p *Plan) Measure(trained, untrained *likeness.Model) (Report, error) {
	var outcomes [3]outcome
	for i, c := range []contender{network{trained}, network{untrained}, rawPixels{}} {
		var err error
		if outcomes[i], err = p.measure(c); err != nil {
			return Report{}, errors.Wrap(err, "measure "+[]string{"the trained network", "the untrained network", "raw pixels"}[i])
		}
	}
	r := Report{Protocol: p.Protocol, Threshold: outcomes[0].threshold, Metrics: map[string]Figure{}}
	return r, r.fill(outcomes, p.groups)
}

func (r *Report) fill(o [3]outcome, groups []int) error {
	t, u, p := o[0], o[1], o[2]
	if t.neighbours != nil {
		if err := r.score("knn_accuracy", t.neighbours.Measure, *t.neighbours, *u.neighbours, *p.neighbours, nil); err != nil {
			return err
		}
	}
	if t.verification != nil {
		if err := r.verification(t, u, p); err != nil {
			return err
		}
	}
	if t.oneShot != nil {
		if err := r.score("oneshot_accuracy", t.oneShotRange, *t.oneShot, *u.oneShot, *p.oneShot, groups); err != nil {
			return err
		}
	}
	if t.retrieval != nil {
		one := func(o outcome) evaluate.Score { return o.retrieval.RecallAt[1] }
		if err := r.score("recall_at_1", one(t).Measure, one(t), one(u), one(p), nil); err != nil {
			return err
		}
		if err := r.score("map_at_r", t.retrieval.MAPAtR.Measure, t.retrieval.MAPAtR, u.retrieval.MAPAtR, p.retrieval.MAPAtR, nil); err != nil {
			return err
		}
	}
	return nil
}

// score adds a figure that is a mean over trials.
func (r *Report) score(name string, interval evaluate.Measure, trained, untrained, pixels evaluate.Score, groups []int) error {
	better := untrained
	if pixels.Value > better.Value {
		better = pixels
	}
	gain, err := evaluate.Difference(trained, better, groups)
	if err != nil {
		return errors.Wrap(err, name)
	}
	r.add(name, interval, untrained.Value, pixels.Value, &gain)
	return nil
}

func (r *Report) verification(t, u, p outcome) error {
	untrained, pixels := u.verification.AUC(), p.verification.AUC()
	better := u.verification
	if pixels.Value > untrained.Value {
		better = p.verification
	}
	gain, err := evaluate.AUCDifference(t.verification, better)
	if err != nil {
		return errors.Wrap(err, "verification_auc")
	}
	r.add("verification_auc", t.verification.AUC(), untrained.Value, pixels.Value, &gain)
	r.add("verification_eer", t.verification.EqualErrorRate(), u.verification.EqualErrorRate().Value, p.verification.EqualErrorRate().Value, nil)
	if t.accepted != nil {
		return r.score("verification_accuracy", t.accepted.Measure, *t.accepted, *u.accepted, *p.accepted, nil)
	}
	return nil
}

func (r *Report) add(name string, m evaluate.Measure, untrained, pixels float64, gain *evaluate.Measure) {
	figure := Figure{Value: m.Value, Low: m.Low, High: m.High, Untrained: untrained, Pixels: pixels}
	if gain != nil {
		figure.Gain = &Gain{gain.Value, gain.Low, gain.High}
	}
	r.Metrics[name] = figure
}

// WriteTable writes the figures in percent, one a line, and the protocol.
func (r Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-33s %8s  %-17s %9s %7s\n", r.Dataset, "trained", "95 % interval", "untrained", "pixels")
	for _, row := range rows {
		if f, ok := r.Metrics[row.name]; ok {
			fmt.Fprintf(&b, "%-33s %8.2f  [%6.2f, %6.2f]  %9.2f %7.2f\n", row.title, 100*f.Value, 100*f.Low, 100*f.High, 100*f.Untrained, 100*f.Pixels)
		}
	}
	fmt.Fprintf(&b, "\nseed %d, trained %.0f s at %.0f images/s\nprotocol: %s\n", r.Seed, r.Seconds, r.ImagesPerSecond, r.Protocol)
	_, err := io.WriteString(w, b.String())
	return err
}

// Save writes the report as JSON, whole or not at all.
func (r Report) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return errors.Wrapf(err, "save report %s", path)
	}
	return errors.Wrapf(atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}), "save report %s", path)
}

// Load reads a report that Save wrote.
func Load(path string) (Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Report{}, errors.Wrap(err, "load report")
	}
	var r Report
	return r, errors.Wrapf(json.Unmarshal(text, &r), "load report %s", path)
}
