package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/processor"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Report holds the figures of a run; result.json is its JSON form.
type Report struct {
	Dataset         string            `json:"dataset"`
	Protocol        string            `json:"protocol"`
	Seed            uint64            `json:"seed"`
	Seconds         float64           `json:"seconds"` // duration of training
	ImagesPerSecond float64           `json:"images_per_second"`
	Stopped         string            `json:"stopped,omitempty"`   // why training ended before its last epoch
	Threshold       *float64          `json:"threshold,omitempty"` // largest distance at which a pair is accepted as the same, chosen on validation pairs
	Metrics         map[string]Figure `json:"metrics"`
	Published       []Published       `json:"published,omitempty"` // published results on the same trials
	// Interpolation is that of the weights before and after the training; nil if the weights are
	// the trained ones.
	Interpolation *trainer.Interpolation `json:"interpolation,omitempty"`
	Refit         *Refit                 `json:"refit,omitempty"`     // nil if the saved model is the one that was measured
	MadeWith      *Provenance            `json:"made_with,omitempty"` // nil if it is unknown
}

// Refit is a training on all images after the figures were measured: the figures are those of
// the model before it, and the saved model is the one after it.
type Refit struct {
	Images  int     `json:"images"`
	Classes int     `json:"classes"`
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
}

// String says what was done.
func (r Refit) String() string {
	if r.Steps == 0 {
		return fmt.Sprintf("refit: the saved model was made again with all %d images of %d classes, without training, because the share of the trained weights is 0; the figures are those of the model before", r.Images, r.Classes)
	}
	return fmt.Sprintf("refit: the saved model was trained again on all %d images of %d classes, %d steps in %.0f s; the figures are those of the model before", r.Images, r.Classes, r.Steps, r.Seconds)
}

// Published is a result from the literature on the trials of a metric.
type Published struct {
	Metric  string  `json:"metric"`            // the key in Report.Metrics
	Name    string  `json:"name"`              // the method or its authors
	Value   float64 `json:"value"`             // as a fraction
	Trained string  `json:"trained,omitempty"` // the training data, if it differs
}

// String formats the result in percent.
func (p Published) String() string {
	text := fmt.Sprintf("%s %.1f", p.Name, 100*p.Value)
	if p.Trained != "" {
		text += " (" + p.Trained + ")"
	}
	return text
}

// PublishedFor lists the published results of a metric; empty if there are none.
func (r Report) PublishedFor(metric string) string {
	var all []string
	for _, p := range r.Published {
		if p.Metric == metric {
			all = append(all, p.String())
		}
	}
	return strings.Join(all, ", ")
}

// Row is a figure of the table with its name in Metrics and its title in words.
type Row struct {
	Name, Title string
	Figure
}

// titles lists the figures in the order of the table.
var titles = []struct{ name, title string }{
	{knnAccuracy, "nearest neighbor, seen classes"},
	{verificationAUC, "verification, ROC AUC"},
	{verificationEER, "verification, equal error rate"},
	{verificationAccuracy, "verification, accuracy"},
	{oneShotAccuracy, "one-shot accuracy"},
	{recallAt1, "recall@1"},
	{mapAtR, "MAP@R"},
	{precisionAt5, "precision@5"},
	{reciprocalRank, "mean reciprocal rank"},
	{discountedGain, "NDCG"},
	{clusterNMI, "clusters, NMI"},
	{clusterAMI, "clusters, AMI"},
}

// Rows returns the figures of the report in the order of the table.
func (r Report) Rows() []Row {
	var rows []Row
	for _, figure := range titles {
		if f, ok := r.Metrics[figure.name]; ok {
			rows = append(rows, Row{figure.name, figure.title, f})
		}
	}
	return rows
}

// pretrained reports whether the figures have values of a model before fine-tuning.
func (r Report) pretrained() bool {
	return slices.ContainsFunc(r.Rows(), func(row Row) bool { return row.Pretrained != nil })
}

// WriteTable writes the figures in percent, one in each line, the published results
// and the protocol. Control characters in the names of the data set and of classes are
// escaped.
func (r Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-33s %8s  %-17s %9s %7s", wording.Printable(r.Dataset), "trained", "95 % interval", "untrained", "pixels")
	if r.pretrained() {
		fmt.Fprintf(&b, " %10s", "pretrained")
	}
	b.WriteByte('\n')
	for _, row := range r.Rows() {
		fmt.Fprintf(&b, "%-33s %8.2f  [%6.2f, %6.2f]  %9.2f %7.2f", row.Title, 100*row.Value, 100*row.Low, 100*row.High, 100*row.Untrained, 100*row.Pixels)
		if row.Pretrained != nil {
			fmt.Fprintf(&b, " %10.2f", 100**row.Pretrained)
		}
		b.WriteByte('\n')
	}
	for _, figure := range titles {
		if published := r.PublishedFor(figure.name); published != "" {
			fmt.Fprintf(&b, "published, %s: %s\n", figure.title, wording.Printable(published))
		}
	}
	fmt.Fprintf(&b, "\nseed %d, trained %.0f s at %.0f images/s\nprotocol: %s\n", r.Seed, r.Seconds, r.ImagesPerSecond, wording.Printable(r.Protocol))
	if r.Interpolation != nil {
		fmt.Fprintln(&b, r.Interpolation)
	}
	if r.Refit != nil {
		fmt.Fprintln(&b, r.Refit)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Save writes the report to a JSON file atomically. A figure that is NaN or infinite
// is an error, because JSON cannot represent it.
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

// Load reads a report from a JSON file that Save wrote.
func Load(path string) (Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Report{}, errors.Wrap(err, "load report")
	}
	r, err := parse(text)
	return r, errors.Wrapf(err, "load report %s", path)
}

func parse(text []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, err
	}
	return r, nil
}

// Provenance holds the versions and the machine of a run.
type Provenance struct {
	Likeness  string    `json:"likeness"` // version; "(devel)" if the build does not record it
	Gorgonia  string    `json:"gorgonia"` // version; empty if the build does not record it
	Go        string    `json:"go"`
	System    string    `json:"system"` // operating system and architecture: linux/amd64
	Processor string    `json:"processor"`
	Threads   int       `json:"threads"` // GOMAXPROCS
	Finished  time.Time `json:"finished"`
}

// NewProvenance returns the provenance of a run that this process finished at the
// given time.
func NewProvenance(now time.Time) *Provenance {
	p := &Provenance{
		Likeness: "(devel)", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Processor: processor.Name(), Threads: runtime.GOMAXPROCS(0), Finished: now.UTC().Truncate(time.Second),
	}
	build, known := debug.ReadBuildInfo()
	if !known {
		return p
	}
	for _, module := range append(build.Deps, &build.Main) {
		switch {
		case module.Version == "":
		case module.Path == "github.com/likeness-go/likeness":
			p.Likeness = module.Version
		case module.Path == "gorgonia.org/gorgonia":
			p.Gorgonia = module.Version
		}
	}
	return p
}
